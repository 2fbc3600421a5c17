import Synchronization

/// One view's table in one shard; a class, so that a shard can hold tables that cannot be copied.
final class TableBox {
    var table: ViewTable
    let entityType: Int
    /// Events up to this position came with restored state and are passed over.
    var restoredThrough = Int64.min

    init(_ view: FeatureView, entityType: Int) {
        table = ViewTable(view: view)
        self.entityType = entityType
    }
}

/// A part of the entities with everything about them. Only touched under its lock.
struct Shard {
    var tables: [TableBox?] = []
    /// Entity keys per entity type; a key's number is its slot in every table of the type.
    var entities: [ByteDictionary] = []
    private let scratch = ScratchBox()
    /// Position of the last event applied here.
    var appliedSeq: Int64 = 0

    /// A class for the same reason as `TableBox`.
    private final class ScratchBox {
        var scratch = ReadScratch()
    }

    init() {}

    mutating func add(_ view: FeatureView, at index: Int, entityType: Int) {
        while tables.count <= index { tables.append(nil) }
        while entities.count <= entityType { entities.append(ByteDictionary()) }
        tables[index] = TableBox(view, entityType: entityType)
    }

    mutating func remove(view index: Int) {
        tables[index] = nil
    }

    mutating func apply(view index: Int, _ event: FeatureEvent, hash: Int) -> ApplyOutcome {
        appliedSeq = max(appliedSeq, event.seq)
        guard index < tables.count, let box = tables[index] else { return .refused(.unknownView) }
        if event.seq <= box.restoredThrough { return .applied }
        let type = box.entityType
        if let slot = entities[type].find(event.entity, hash: hash) { return box.table.insert(event, slot: Int(slot)) }
        let slot = entities[type].retain(event.entity, hash: hash)
        let outcome = box.table.insert(event, slot: Int(slot))
        if outcome != .applied { entities[type].release(slot) }
        return outcome
    }

    /// Ends an event; nothing happens when memory does not hold it.
    mutating func supersede(view index: Int, _ old: SupersededEvent, by end: Supersession, hash: Int) {
        appliedSeq = max(appliedSeq, end.seq)
        guard index < tables.count, let box = tables[index], end.seq > box.restoredThrough,
            let slot = entities[box.entityType].find(old.entity, hash: hash)
        else { return }
        box.table.supersede(time: old.time, seq: old.seq, by: end, slot: Int(slot))
    }

    func read(
        _ plan: FeaturePlan, entity: String, hash: Int, asOf: Int64, knownAt: KnownAt,
        into vector: inout FeatureVector
    ) {
        let slot =
            plan.entityType < entities.count
            ? entities[plan.entityType].find(entity, hash: hash).map { Int($0) } : nil
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
            if !reading.isAvailable { vector.status = .historyUnavailable }
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
            return box.table.arena.block(slot) == nil
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
        entities.reduce(0) { $0 + $1.bytesUsed } + tables.reduce(0) { $0 + ($1?.table.bytesUsed ?? 0) }
    }

    var entityCount: Int { entities.reduce(0) { $0 + $1.count } }

    var eventCount: Int { tables.reduce(0) { $0 + ($1?.table.rowCount ?? 0) } }
}

/// A shard behind its lock, on the heap so that shards do not share cache lines.
final class LockedShard: Sendable {
    let mutex = Mutex(Shard())
}
