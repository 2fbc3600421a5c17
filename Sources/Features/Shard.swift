import Synchronization

/// One view's table in one shard; a class, so that a shard can hold tables that cannot be copied.
final class TableBox {
    var table: ViewTable
    let entityType: Int
    /// Whether its rows can be read again from PostgreSQL by entity.
    let canSpill: Bool
    /// Events up to this position came with restored state and are passed over.
    var restoredThrough = Int64.min

    init(_ view: FeatureView, entityType: Int, canSpill: Bool) {
        table = ViewTable(view: view)
        self.entityType = entityType
        self.canSpill = canSpill
    }
}

/// A part of the entities with everything about them. Only touched under its lock.
struct Shard {
    var tables: [TableBox?] = []
    /// Entity keys per entity type; a key's number is its slot in every table of the type.
    var entities: [ByteDictionary] = []
    /// Per entity type, which were used lately.
    var clocks: [EntityClock] = []
    private let scratch = ScratchBox()
    /// Position of the last event applied here.
    var appliedSeq: Int64 = 0

    /// A class for the same reason as `TableBox`.
    private final class ScratchBox {
        var scratch = ReadScratch()
    }

    init() {}

    mutating func add(_ view: FeatureView, at index: Int, entityType: Int, canSpill: Bool, isFilling: Bool) {
        while tables.count <= index { tables.append(nil) }
        while entities.count <= entityType { entities.append(ByteDictionary()) }
        while clocks.count <= entityType { clocks.append(EntityClock()) }
        let box = TableBox(view, entityType: entityType, canSpill: canSpill)
        if isFilling { box.table.earlyEnds = [:] }
        tables[index] = box
    }

    /// Takes a view's table out; the caller lets go of it outside the lock, since that may free much.
    mutating func remove(view index: Int) -> TableBox? {
        guard index < tables.count else { return nil }
        let box = tables[index]
        tables[index] = nil
        return box
    }

    /// Releases the keys among the next slots that no table uses any more; nil when all were visited.
    mutating func releaseSlice(entityType type: Int, from slot: Int) -> Int? {
        guard type < entities.count else { return nil }
        let end = min(entities[type].numberBound, slot + FeatureLimits.retireSlice)
        for slot in slot..<max(end, slot) where entities[type].isLive(slot) && isUnused(slot, type) {
            entities[type].release(UInt32(slot))
        }
        return end < entities[type].numberBound ? end : nil
    }

    mutating func apply(view index: Int, _ event: FeatureEvent, hash: Int) -> ApplyOutcome {
        appliedSeq = max(appliedSeq, event.seq)
        guard index < tables.count, let box = tables[index] else { return .refused(.unknownView) }
        if event.seq <= box.restoredThrough { return .applied }
        let type = box.entityType
        if let slot = entities[type].find(event.entity, hash: hash) {
            clocks[type].touch(Int(slot))
            return box.table.insert(event, slot: Int(slot))
        }
        let slot = entities[type].retain(event.entity, hash: hash)
        let outcome = box.table.insert(event, slot: Int(slot))
        if outcome != .applied { entities[type].release(slot) } else { clocks[type].touch(Int(slot)) }
        return outcome
    }

    /// Ends an event; nothing happens when memory does not hold it, unless a back-fill may still bring it.
    mutating func supersede(view index: Int, _ old: SupersededEvent, by end: Supersession, hash: Int) {
        appliedSeq = max(appliedSeq, end.seq)
        guard index < tables.count, let box = tables[index], end.seq > box.restoredThrough else { return }
        if let slot = entities[box.entityType].find(old.entity, hash: hash),
            box.table.supersede(time: old.time, seq: old.seq, by: end, slot: Int(slot))
        {
            return
        }
        box.table.remember(old.seq, by: end)
    }

    mutating func read(
        _ plan: FeaturePlan, entity: String, hash: Int, asOf: Int64, knownAt: KnownAt,
        into vector: inout FeatureVector
    ) {
        let slot =
            plan.entityType < entities.count
            ? entities[plan.entityType].find(entity, hash: hash).map { Int($0) } : nil
        if let slot { clocks[plan.entityType].touch(slot) }
        for (ordinal, part) in plan.parts.enumerated() {
            guard part.view < tables.count, let box = tables[part.view], box.table.view === part.program.view else {
                for stage in part.program.stages {
                    for emission in stage.emissions { vector.values[emission.position] = .null(.featureUnavailable) }
                }
                continue
            }
            let reading = box.table.read(
                part.program, slot: slot, asOf: asOf, knownAt: knownAt, scratch: &scratch.scratch,
                into: &vector.values)
            vector.lastEventTimes[ordinal] = reading.lastEventTime
            if reading.isSpilled {
                vector.status = .spilled
            } else if !reading.isAvailable, vector.status == .complete {
                vector.status = .historyUnavailable
            }
        }
    }

    // MARK: Memory

    func beginRetiring(view index: Int, through cut: Int64) {
        guard index < tables.count, let box = tables[index] else { return }
        box.table.beginRetiring(through: cut)
        box.table.retireCursor = 0
    }

    /// Visits the next entities; false when all were visited.
    mutating func retireSlice(view index: Int, through cut: Int64) -> Bool {
        guard index < tables.count, let box = tables[index] else { return false }
        let type = box.entityType
        let end = min(entities[type].numberBound, box.table.retireCursor + FeatureLimits.retireSlice)
        for slot in box.table.retireCursor..<max(end, box.table.retireCursor) where entities[type].isLive(slot) {
            if box.table.retire(slot: slot, through: cut), isUnused(slot, type) { entities[type].release(UInt32(slot)) }
        }
        box.table.retireCursor = end
        return end < entities[type].numberBound
    }

    private func isUnused(_ slot: Int, _ type: Int) -> Bool {
        tables.allSatisfy { box in
            guard let box, box.entityType == type else { return true }
            return box.table.arena.block(slot) == nil && !box.table.isSpilled(slot)
        }
    }

    mutating func erase(entityType: Int, entity: String, hash: Int) {
        guard entityType < entities.count, let slot = entities[entityType].find(entity, hash: hash) else { return }
        for box in tables {
            if let box, box.entityType == entityType { box.table.erase(slot: Int(slot)) }
        }
        entities[entityType].release(slot)
    }

    var bytesUsed: Int {
        entities.reduce(0) { $0 + $1.bytesUsed } + clocks.reduce(0) { $0 + $1.bytesUsed }
            + tables.reduce(0) { $0 + ($1?.table.bytesUsed ?? 0) }
    }

    /// Slots handed out, over all types.
    var slotCount: Int { entities.reduce(0) { $0 + $1.numberBound } }

    var entityCount: Int { entities.reduce(0) { $0 + $1.count } }

    var eventCount: Int { tables.reduce(0) { $0 + ($1?.table.rowCount ?? 0) } }
}

/// A shard behind its lock, on the heap so that shards do not share cache lines.
final class LockedShard: Sendable {
    let mutex = Mutex(Shard())
}
