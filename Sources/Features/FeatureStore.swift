import Synchronization

/// Features of several views, kept up to date in memory. Entities are spread over shards; one thread applies, any
/// number read.
public final class FeatureStore: Sendable {
    /// What the store as a whole knows; changed when views come and go.
    struct Catalog: Sendable {
        struct Entry: Sendable {
            let view: FeatureView
            let entityType: Int
        }
        var views: [Entry?] = []
        var entityTypes: [String] = []
    }

    let shards: [LockedShard]
    let catalog = Mutex(Catalog())
    /// Views that nobody uses any more, to be removed.
    private let released = Mutex<[Int]>([])
    /// Every event up to here was applied to its shard, or concerns no view.
    let appliedThrough = Atomic<Int64>(0)
    private let shardHash: ShardHash

    /// A store with `shards` shards, a power of two; more shards mean less waiting between readers and the applier.
    /// `seed` decides which entity lies in which shard: restored state must be of the same seed and number of shards.
    public init(shards: Int = 16, seed: UInt64 = 0) {
        precondition(shards > 0 && shards <= FeatureLimits.shardsMax && shards & (shards - 1) == 0)
        shardHash = ShardHash(seed: seed)
        self.shards = (0..<shards).map { _ in LockedShard() }
    }

    func shard(of entity: String) -> LockedShard { shards[number(of: entity)] }

    func number(of entity: String) -> Int { shardHash.shard(of: entity, shards: shards.count) }

    // MARK: Views

    /// Adds a view without events; its index stays the same while it is there.
    ///
    /// - Parameters:
    ///   - canSpill: whether its events can be read again by entity, so that `spill` may drop them.
    ///   - isFilling: a back-fill adds older events until `filled(view:)`: corrections of events that it has not brought
    ///     yet are remembered.
    public func add(_ view: FeatureView, canSpill: Bool = false, isFilling: Bool = false) -> Int {
        let (index, entityType) = catalog.withLock { catalog in
            let type: Int
            if let known = catalog.entityTypes.firstIndex(of: view.spec.entity) {
                type = known
            } else {
                type = catalog.entityTypes.count
                catalog.entityTypes.append(view.spec.entity)
            }
            let entry = Catalog.Entry(view: view, entityType: type)
            // Plans know their view, not only its index, so the place of a removed one can be given again.
            if let free = catalog.views.firstIndex(where: { $0 == nil }) {
                catalog.views[free] = entry
                return (free, type)
            }
            precondition(catalog.views.count < FeatureLimits.viewsMax, "the caller bounds how many views are active")
            catalog.views.append(entry)
            return (catalog.views.count - 1, type)
        }
        for shard in shards {
            shard.mutex.withLock {
                $0.add(view, at: index, entityType: entityType, canSpill: canSpill, isFilling: isFilling)
            }
        }
        return index
    }

    /// Drops a view and its memory, and the keys that only it used. Plans that name it read null. Locks are held for short
    /// slices.
    public func remove(view index: Int) {
        guard let entityType = catalog.withLock({ $0.views[index]?.entityType }) else { return }
        for shard in shards {
            // Let go of outside the lock.
            let box = shard.mutex.withLock { RemovedTable(box: $0.remove(view: index)) }
            withExtendedLifetime(box) {}
            var next: Int? = 0
            while let slot = next {
                next = shard.mutex.withLock { $0.releaseSlice(entityType: entityType, from: slot) }
            }
        }
        // Last, so that nobody is given the index before everything of the old view is gone.
        catalog.withLock { $0.views[index] = nil }
    }

    /// Says that a view has every older event.
    public func filled(view index: Int) {
        for shard in shards { shard.mutex.withLock { $0.filled(view: index) } }
    }

    /// Notes that nobody reads or feeds a view any more; `removeReleased` removes it.
    public func release(view index: Int) {
        released.withLock { $0.append(index) }
    }

    /// Removes the views that were released.
    public func removeReleased() {
        let gone = released.withLock { released in
            defer { released = [] }
            return released
        }
        for index in gone { remove(view: index) }
    }

    /// Carries a table that nobody else can reach any more out of its shard's lock.
    ///
    /// SAFETY: `@unchecked Sendable` because the one thread that took it out is the only one that holds it.
    private struct RemovedTable: @unchecked Sendable {
        let box: TableBox?
    }

    /// Resolves the features that a reader wants. Views of one plan share one entity type.
    public func plan(_ items: [FeaturePlan.Item]) throws(FeatureError) -> FeaturePlan {
        let views = catalog.withLock { $0.views }
        var issues: [FeatureError.Issue] = []
        var order: [Int] = []
        var wanted: [Int: [(feature: Int, position: Int)]] = [:]
        var entityType: Int?
        for (position, item) in items.enumerated() {
            guard item.view < views.count, let entry = views[item.view] else {
                issues.append(.init(.unknownView, at: "/\(position)", "The view is not active."))
                continue
            }
            guard item.feature >= 0, item.feature < entry.view.features.count else {
                issues.append(.init(.unknownFeature, at: "/\(position)", "The view has no such feature."))
                continue
            }
            if let type = entityType, type != entry.entityType {
                issues.append(.init(.mixedEntities, at: "/\(position)", "The view has another entity type."))
            }
            entityType = entityType ?? entry.entityType
            if wanted[item.view] == nil { order.append(item.view) }
            wanted[item.view, default: []].append((feature: item.feature, position: position))
        }
        if !issues.isEmpty { throw FeatureError(issues) }
        let parts = order.compactMap { index -> FeaturePlan.Part? in
            guard let view = views[index]?.view, let features = wanted[index] else { return nil }
            return FeaturePlan.Part(view: index, program: ReadProgram(view: view, wanted: features))
        }
        return FeaturePlan(items: items, parts: parts, entityType: entityType ?? 0)
    }

    /// A plan of every feature of one view, in serving order.
    public func plan(view index: Int) throws(FeatureError) -> FeaturePlan {
        let count = catalog.withLock { index < $0.views.count ? $0.views[index]?.view.features.count ?? 0 : 0 }
        if count == 0 { throw FeatureError([.init(.unknownView, at: "", "The view is not active.")]) }
        return try plan((0..<count).map { FeaturePlan.Item(view: index, feature: $0) })
    }

    // MARK: Apply

    /// Adds one event to one view. For live events, which concern several views at once, see `apply(_:)`; a back-fill may
    /// add older ones from another thread, in any order, each once.
    @discardableResult
    public func apply(view index: Int, _ event: FeatureEvent) -> ApplyOutcome {
        guard event.entity.utf8.count <= FeatureLimits.stringBytesMax else { return .refused(.textTooLong) }
        let hash = ByteDictionary.hash(event.entity)
        return shard(of: event.entity).mutex.withLock { $0.apply(view: index, event, hash: hash) }
    }

    /// Applies a correction to one view: ends the event that it supersedes and adds the one that stands in its place.
    /// For one entity both happen under one acquisition of its lock, so no reader sees half of it.
    ///
    /// - Parameters:
    ///   - old: the superseded event; nil when the view never took it. One that memory has let go changes nothing: reads
    ///     that reach it say so already.
    ///   - end: the correction.
    ///   - event: what replaces it; nil for a retraction.
    /// - Returns: what became of the replacement; `applied` for a retraction.
    @discardableResult
    public func correct(
        view index: Int, _ old: SupersededEvent?, by end: Supersession, with event: FeatureEvent?
    ) -> ApplyOutcome {
        guard let old else { return event.map { apply(view: index, $0) } ?? .applied }
        let oldHash = ByteDictionary.hash(old.entity)
        guard let event, event.entity == old.entity else {
            shard(of: old.entity).mutex.withLock { $0.supersede(view: index, old, by: end, hash: oldHash) }
            return event.map { apply(view: index, $0) } ?? .applied
        }
        return shard(of: old.entity).mutex.withLock { shard in
            shard.supersede(view: index, old, by: end, hash: oldHash)
            return shard.apply(view: index, event, hash: oldHash)
        }
    }

    /// Says that every event up to `seq` has been applied, so that readers of quiet shards see the journal's position.
    public func advance(to seq: Int64) {
        appliedThrough.store(seq, ordering: .releasing)
    }

    // MARK: Read

    /// Computes the plan's features of one entity under one acquisition of its shard's lock.
    public func read(
        _ entity: String, _ plan: FeaturePlan, asOf: Int64, knownAt: KnownAt = .latest, into vector: inout FeatureVector
    ) {
        vector.begin(count: plan.items.count, views: plan.parts.count)
        let hash = ByteDictionary.hash(entity)
        shard(of: entity).mutex.withLock { shard in
            // Loaded under the lock: what was applied before this position was stored is in the shard by now.
            let through = appliedThrough.load(ordering: .acquiring)
            shard.read(plan, entity: entity, hash: hash, asOf: asOf, knownAt: knownAt, into: &vector)
            vector.featuresSeq = max(through, shard.appliedSeq)
        }
    }

    // MARK: Memory

    /// Drops events that no live window of the view can reach: those at or before `watermark` minus the view's
    /// retention. `watermark` is the lowest event-time watermark of the view's sources [microseconds]. Locks are held
    /// for short slices.
    public func retire(view index: Int, watermark: Int64) {
        let view = catalog.withLock { index < $0.views.count ? $0.views[index]?.view : nil }
        guard let retention = view?.spec.retentionMicros else { return }
        let (cut, isOverflow) = watermark.subtractingReportingOverflow(retention)
        if isOverflow { return }
        for shard in shards {
            shard.mutex.withLock { $0.beginRetiring(view: index, through: cut) }
            while shard.mutex.withLock({ $0.retireSlice(view: index, through: cut) }) {}
        }
    }

    /// Forgets one entity in every view of its type.
    public func erase(entityType: String, entity: String) {
        let type = catalog.withLock { $0.entityTypes.firstIndex(of: entityType) }
        guard let type else { return }
        let hash = ByteDictionary.hash(entity)
        shard(of: entity).mutex.withLock { $0.erase(entityType: type, entity: entity, hash: hash) }
    }

    /// Heap bytes held by entities, events and texts.
    public var bytesUsed: Int {
        var total = 0
        for shard in shards { total += shard.mutex.withLock { $0.bytesUsed } }
        return total
    }

    /// Entities known per entity type, and events held, summed over views.
    public var counts: (entities: Int, events: Int) {
        var (entities, events) = (0, 0)
        for shard in shards {
            let counts = shard.mutex.withLock { ($0.entityCount, $0.eventCount) }
            entities += counts.0
            events += counts.1
        }
        return (entities, events)
    }
}
