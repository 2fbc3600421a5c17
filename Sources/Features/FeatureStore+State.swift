/// A view of the store by the name that survives a restart.
public struct SavedView: Sendable {
    /// Index that `FeatureStore.add` returned.
    public let index: Int
    /// The view's name.
    public let name: String
    /// A hash of its definition: saved rows of another definition are not taken over.
    public let fingerprint: UInt64

    /// Names a view.
    public init(index: Int, name: String, fingerprint: UInt64) {
        self.index = index
        self.name = name
        self.fingerprint = fingerprint
    }
}

extension FeatureStore {
    /// How many shards there are; each is saved and restored on its own.
    public var shardCount: Int { shards.count }

    /// The bytes of one shard: its entities, and the tables of `views`. Takes the shard's lock once. The caller makes
    /// sure that no event is half applied meanwhile; what it knows to be applied is what the bytes hold.
    public func encodeShard(_ number: Int, views: [SavedView]) -> [UInt8] {
        let types = catalog.withLock { $0.entityTypes }
        return shards[number].mutex.withLock { $0.encode(views: views, types: types) }
    }

    /// Puts a saved shard back, before any event was applied: the tables of those `views` that it holds, complete up to
    /// the journal position `seq`. Events up to there are passed over when they are applied again.
    ///
    /// A view that the bytes do not hold, or hold by another definition or in rows of another make, is set to say
    /// `feature_unavailable`.
    ///
    /// - Returns: names of the views that are not in the bytes.
    /// - Throws: `FeatureRestoreError` when the bytes are not a shard; the store is then not to be used.
    public func restoreShard(
        _ number: Int, from bytes: [UInt8], seq: Int64, views: [SavedView]
    ) throws(FeatureRestoreError) -> [String] {
        let types = catalog.withLock { $0.entityTypes }
        return try shards[number].mutex.withLock { (shard) throws(FeatureRestoreError) in
            try shard.restore(from: bytes, seq: seq, views: views, types: types)
        }
    }
}

extension Shard {
    /// Of the bytes; another version's are refused.
    private static let stateVersion: UInt32 = 1

    func encode(views: [SavedView], types: [String]) -> [UInt8] {
        var writer = StateWriter(capacity: bytesUsed + 4_096)
        writer.integer(Self.stateVersion)
        writer.integer(UInt32(entities.count))
        for (type, dictionary) in entities.enumerated() {
            writer.text(types[type])
            dictionary.encode(into: &writer)
        }
        let held = views.filter { $0.index < tables.count && tables[$0.index] != nil }
        writer.integer(UInt32(held.count))
        for view in held {
            guard let box = tables[view.index] else { continue }
            writer.text(view.name)
            writer.integer(view.fingerprint)
            writer.integer(UInt32(box.entityType))
            var table = StateWriter(capacity: box.table.bytesUsed)
            box.table.encode(into: &table)
            writer.integer(UInt64(table.bytes.count))
            table.bytes.withUnsafeBytes { writer.raw($0) }
        }
        return writer.bytes
    }

    mutating func restore(
        from bytes: [UInt8], seq: Int64, views: [SavedView], types: [String]
    ) throws(FeatureRestoreError) -> [String] {
        try bytes.withUnsafeBufferPointer { (bytes) throws(FeatureRestoreError) in
            try restore(from: StateReader(UnsafeRawBufferPointer(bytes)), seq: seq, views: views, types: types)
        }
    }

    private mutating func restore(
        from reader: StateReader, seq: Int64, views: [SavedView], types: [String]
    ) throws(FeatureRestoreError) -> [String] {
        var reader = reader
        guard try reader.integer(UInt32.self, "a shard's version") == Self.stateVersion else {
            throw FeatureRestoreError("a shard of another version")
        }
        let saved = try restoreEntities(from: &reader, types)
        var missing = Dictionary(uniqueKeysWithValues: views.map { ($0.name, $0) })
        for _ in 0..<(try reader.count(bytesEach: 24, "a shard's tables")) {
            let name = try reader.text("a table's name")
            let fingerprint = try reader.integer(UInt64.self, "a table's definition")
            let type = Int(try reader.integer(UInt32.self, "a table's entity"))
            guard let size = Int(exactly: try reader.integer(UInt64.self, "a table's size")) else {
                throw FeatureRestoreError("a table's size")
            }
            let state = try reader.raw(size, "a table")
            guard let view = missing[name], view.fingerprint == fingerprint, view.index < tables.count,
                let box = tables[view.index], saved.indices.contains(type), saved[type] == box.entityType
            else { continue }
            var table = StateReader(state)
            let dictionary = entities[box.entityType]
            let isTaken = try box.table.restore(from: &table) { slot in
                slot < dictionary.numberBound && dictionary.isLive(slot)
            }
            guard isTaken else { continue }
            box.restoredThrough = seq
            missing[name] = nil
        }
        for view in missing.values where view.index < tables.count {
            tables[view.index]?.table.beginRetiring(through: .max)
        }
        appliedSeq = max(appliedSeq, seq)
        return missing.keys.sorted()
    }

    /// The store's number of each entity type in the bytes; nil for one that no view of the store has.
    private mutating func restoreEntities(
        from reader: inout StateReader, _ types: [String]
    ) throws(FeatureRestoreError) -> [Int?] {
        var saved: [Int?] = []
        for _ in 0..<(try reader.count(bytesEach: 12, "a shard's entity types")) {
            let type = types.firstIndex(of: try reader.text("an entity type"))
            var dictionary = try ByteDictionary(restoring: &reader)
            dictionary.settle()
            if let type, type < entities.count {
                guard entities[type].numberBound == 0 else { throw FeatureRestoreError("an entity type stands twice") }
                entities[type] = dictionary
            }
            saved.append(type)
        }
        return saved
    }
}
