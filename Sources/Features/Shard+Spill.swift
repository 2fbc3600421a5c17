/// Which entities of one type were used since the hand last passed: an approximation of least recently used.
struct EntityClock {
    private var isTouched: [Bool] = []
    /// Next slot to visit.
    var hand = 0

    /// Marks an entity as used.
    @inline(__always)
    mutating func touch(_ slot: Int) {
        if slot < isTouched.count {
            isTouched[slot] = true
        } else {
            grow(slot)
        }
    }

    private mutating func grow(_ slot: Int) {
        while isTouched.count <= slot { isTouched.append(false) }
        isTouched[slot] = true
    }

    /// Whether an entity was used, which is forgotten by asking.
    mutating func take(_ slot: Int) -> Bool {
        guard slot < isTouched.count else { return false }
        defer { isTouched[slot] = false }
        return isTouched[slot]
    }

    var bytesUsed: Int { isTouched.capacity }
}

/// What one turn of spilling did.
struct SpillTurn {
    /// Entities whose rows left memory, per view.
    var spilled = 0
    /// Slots looked at.
    var visited = 0
}

extension Shard {
    /// Visits the next entities of every type: those not used since the last visit, and whose events are all in
    /// PostgreSQL, leave memory. What earlier spilling emptied is freed.
    mutating func spillSlice(through: Int64) -> SpillTurn {
        var turn = SpillTurn()
        for type in clocks.indices {
            let bound = entities[type].numberBound
            for _ in 0..<min(FeatureLimits.spillSlice, bound) {
                if clocks[type].hand >= bound { clocks[type].hand = 0 }
                let slot = clocks[type].hand
                clocks[type].hand += 1
                turn.visited += 1
                guard entities[type].isLive(slot), !clocks[type].take(slot) else { continue }
                for box in tables {
                    guard let box, box.entityType == type, box.canSpill else { continue }
                    if box.table.spill(slot: slot, through: through) { turn.spilled += 1 }
                }
            }
        }
        compact()
        return turn
    }

    /// A back-fill has ended: nothing older comes any more.
    func filled(view index: Int) {
        guard index < tables.count, let box = tables[index] else { return }
        box.table.earlyEnds = nil
    }

    /// Frees what spilling emptied, a bounded number of chunks.
    func compact() {
        for box in tables { box?.table.compact() }
    }

    /// The views among `wanted` in which the entity is spilled, with the position up to which PostgreSQL has it.
    func spilledViews(_ wanted: [Int], entityType: Int, entity: String, hash: Int) -> [SpilledView] {
        guard entityType < entities.count, let slot = entities[entityType].find(entity, hash: hash) else { return [] }
        return wanted.compactMap { index in
            guard index < tables.count, let box = tables[index], let mark = box.table.spilled[slot] else { return nil }
            return SpilledView(view: index, through: mark.through)
        }
    }

    mutating func restore(_ spilled: SpilledView, entity: String, hash: Int, events: [FeatureEvent]) -> Bool {
        guard spilled.view < tables.count, let box = tables[spilled.view],
            let slot = entities[box.entityType].find(entity, hash: hash)
        else { return false }
        clocks[box.entityType].touch(Int(slot))
        return box.table.restore(slot: Int(slot), through: spilled.through, events: events)
    }

    /// Entities with rows in PostgreSQL only, summed over views.
    var spilledCount: Int { tables.reduce(0) { $0 + ($1?.table.spilled.count ?? 0) } }
}
