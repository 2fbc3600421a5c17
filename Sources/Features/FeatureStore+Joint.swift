/// What one frame of the journal changes in one view.
public struct FeatureChange: Sendable {
    /// Index that `FeatureStore.add` returned.
    public let view: Int
    /// The event that ends, and what ended it; nil when nothing ends.
    public let superseded: (event: SupersededEvent, by: Supersession)?
    /// The event that is added; nil for a retraction.
    public let event: FeatureEvent?

    /// Makes a change.
    public init(view: Int, superseded: (event: SupersededEvent, by: Supersession)? = nil, event: FeatureEvent?) {
        self.view = view
        self.superseded = superseded
        self.event = event
    }

    /// An entity that it concerns; nil when it concerns none.
    fileprivate var entity: String? { event?.entity ?? superseded?.event.entity }

    fileprivate func concerns(only entity: String) -> Bool {
        (event.map { $0.entity == entity } ?? true) && (superseded.map { $0.event.entity == entity } ?? true)
    }
}

/// A read of several plans, each of an entity of its own, as of one position of the journal. Keep one per thread and reuse
/// it.
public struct JointRead: Sendable {
    struct Request: Sendable {
        let entity: String
        let plan: FeaturePlan
        let hash: Int
        var shard = 0
    }

    private(set) var requests: [Request] = []
    /// One per request, in the order of `add`; further ones are of earlier reads.
    public internal(set) var vectors: [FeatureVector] = []
    /// Every event up to this journal position was part of memory, and none after it, for all entities and views read.
    public internal(set) var featuresSeq: Int64 = 0

    /// A read of nothing.
    public init() {}

    /// Forgets what was asked for before.
    public mutating func begin() {
        requests.removeAll(keepingCapacity: true)
        featuresSeq = 0
    }

    /// Asks for a plan's features of one entity.
    public mutating func add(_ entity: String, _ plan: FeaturePlan) {
        requests.append(Request(entity: entity, plan: plan, hash: ByteDictionary.hash(entity)))
        if vectors.count < requests.count { vectors.append(FeatureVector()) }
    }

    /// Says which shard each request is of; the shard if it is the same for all.
    fileprivate mutating func assign(_ shard: (String) -> Int) -> Int? {
        var isOne = true
        for index in requests.indices {
            requests[index].shard = shard(requests[index].entity)
            isOne = isOne && requests[index].shard == requests[0].shard
        }
        return isOne ? requests.first?.shard : nil
    }
}

// A frame of the journal may concern several views, and, where their keys differ, entities of several shards. Whoever
// applies it, and whoever reads several entities, takes the locks of all shards concerned in the order of their numbers and
// lets go of them together. So a reader sees all of a frame or nothing of it, and one position holds for everything it read.
extension FeatureStore {
    /// Applies what one frame changes in all views. One thread, in journal order.
    public func apply(_ changes: [FeatureChange]) {
        guard let entity = changes.first(where: { $0.entity != nil })?.entity else { return }
        // The usual case: all views of one key.
        if changes.allSatisfy({ $0.concerns(only: entity) }) {
            let hash = ByteDictionary.hash(entity)
            shard(of: entity).mutex.withLock { shard in
                // By index: taking an element out would count references to all that it holds.
                for index in changes.indices { shard.apply(changes[index], hash: hash) }
            }
            return
        }
        var numbers: Set<Int> = []
        for change in changes {
            if let superseded = change.superseded { numbers.insert(number(of: superseded.event.entity)) }
            if let event = change.event { numbers.insert(number(of: event.entity)) }
        }
        apply(changes, holding: numbers.sorted()[...])
    }

    private func apply(_ changes: [FeatureChange], holding numbers: ArraySlice<Int>) {
        guard let next = numbers.first else { return }
        shards[next].mutex.withLock { shard in
            for change in changes { shard.apply(change, of: next, number(of:)) }
            apply(changes, holding: numbers.dropFirst())
        }
    }

    /// Computes what was asked for, as of one position of the journal.
    public func read(_ joint: inout JointRead, asOf: Int64, knownAt: KnownAt = .latest) {
        guard !joint.requests.isEmpty else { return }
        if let only = joint.assign(number(of:)) {
            joint.featuresSeq = shards[only].mutex.withLock { shard in
                shard.read(&joint, of: only, asOf: asOf, knownAt: knownAt)
                return max(appliedThrough.load(ordering: .acquiring), shard.appliedSeq)
            }
        } else {
            let numbers = Set(joint.requests.map(\.shard)).sorted()
            joint.featuresSeq = read(&joint, holding: numbers[...], applied: .min, asOf: asOf, knownAt: knownAt)
        }
        for index in joint.requests.indices { joint.vectors[index].featuresSeq = joint.featuresSeq }
    }

    /// - Parameter applied: the last position that any of the shards held already has applied.
    /// - Returns: the position that holds for all of them.
    private func read(
        _ joint: inout JointRead, holding numbers: ArraySlice<Int>, applied: Int64, asOf: Int64, knownAt: KnownAt
    ) -> Int64 {
        guard let next = numbers.first else {
            // Loaded under all locks: what was applied before this position was stored is in the shards by now.
            return max(appliedThrough.load(ordering: .acquiring), applied)
        }
        return shards[next].mutex.withLock { shard in
            shard.read(&joint, of: next, asOf: asOf, knownAt: knownAt)
            return read(
                &joint, holding: numbers.dropFirst(), applied: max(applied, shard.appliedSeq), asOf: asOf,
                knownAt: knownAt)
        }
    }
}

extension Shard {
    /// Applies a change of one entity.
    fileprivate mutating func apply(_ change: FeatureChange, hash: Int) {
        if let (old, end) = change.superseded { supersede(view: change.view, old, by: end, hash: hash) }
        if let event = change.event, event.entity.utf8.count <= FeatureLimits.stringBytesMax {
            _ = apply(view: change.view, event, hash: hash)
        }
    }

    /// Applies the part of a change that concerns the shard `own`.
    fileprivate mutating func apply(_ change: FeatureChange, of own: Int, _ number: (String) -> Int) {
        if let (old, end) = change.superseded, number(old.entity) == own {
            supersede(view: change.view, old, by: end, hash: ByteDictionary.hash(old.entity))
        }
        if let event = change.event, event.entity.utf8.count <= FeatureLimits.stringBytesMax,
            number(event.entity) == own
        {
            _ = apply(view: change.view, event, hash: ByteDictionary.hash(event.entity))
        }
    }

    fileprivate mutating func read(_ joint: inout JointRead, of number: Int, asOf: Int64, knownAt: KnownAt) {
        for index in joint.requests.indices where joint.requests[index].shard == number {
            joint.vectors[index].begin(
                count: joint.requests[index].plan.items.count, views: joint.requests[index].plan.parts.count)
            read(
                joint.requests[index].plan, entity: joint.requests[index].entity, hash: joint.requests[index].hash,
                asOf: asOf, knownAt: knownAt, into: &joint.vectors[index])
        }
    }
}
