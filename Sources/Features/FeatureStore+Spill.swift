/// A view in which an entity's rows are in PostgreSQL only.
public struct SpilledView: Hashable, Sendable {
    /// Index that `FeatureStore.add` returned.
    public let view: Int
    /// Every event of the entity up to this journal position is to be read from PostgreSQL; newer ones are in memory.
    public let through: Int64
}

/// What `FeatureStore.spill` did.
public struct SpillReport: Hashable, Sendable {
    /// Entities whose rows left memory, summed over views.
    public internal(set) var spilled = 0
    /// Memory is at or below the wanted size now.
    public internal(set) var isEnough = false
}

extension FeatureStore {
    /// Drops the rows of entities that were not used lately until the store holds at most `target` bytes, or nothing
    /// more can go. Only entities whose every event is in PostgreSQL go, of views that were added with `canSpill`. Locks
    /// are held for short slices.
    ///
    /// - Parameters:
    ///   - target: wanted size [bytes].
    ///   - through: every event up to this journal position is in PostgreSQL.
    public func spill(to target: Int, through: Int64) -> SpillReport {
        var report = SpillReport()
        var visited = 0
        // Two turns of the hand: the first takes the marks of use away, the second finds them gone.
        while bytesUsed > target {
            var turn = SpillTurn()
            for shard in shards {
                let part = shard.mutex.withLock { $0.spillSlice(through: through) }
                turn.spilled += part.spilled
                turn.visited += part.visited
            }
            report.spilled += turn.spilled
            visited = turn.spilled > 0 ? 0 : visited + turn.visited
            if turn.visited == 0 || visited > 2 * (slotCount + FeatureLimits.spillSlice * shards.count) {
                return report
            }
        }
        report.isEnough = true
        return report
    }

    /// The views of a plan whose rows of this entity are in PostgreSQL only: what to read before reading the plan again.
    public func spilledViews(_ entity: String, _ plan: FeaturePlan) -> [SpilledView] {
        let hash = ByteDictionary.hash(entity)
        return shard(of: entity).mutex.withLock {
            $0.spilledViews(plan.views, entityType: plan.entityType, entity: entity, hash: hash)
        }
    }

    /// Puts rows of a spilled entity back. False when they are not missing any more: somebody else was faster.
    ///
    /// - Parameter events: the entity's latest events of position <= `spilled.through` by (time, source, id), ascending:
    ///   all of them, or `entityEventsMax` + 1.
    @discardableResult
    public func restore(_ spilled: SpilledView, entity: String, events: [FeatureEvent]) -> Bool {
        let hash = ByteDictionary.hash(entity)
        return shard(of: entity).mutex.withLock { $0.restore(spilled, entity: entity, hash: hash, events: events) }
    }

    /// Entities with rows in PostgreSQL only, summed over views.
    public var spilledCount: Int {
        var total = 0
        for shard in shards { total += shard.mutex.withLock { $0.spilledCount } }
        return total
    }

    /// Slots that the hands of all shards go over.
    private var slotCount: Int {
        var total = 0
        for shard in shards { total += shard.mutex.withLock { $0.slotCount } }
        return total
    }
}
