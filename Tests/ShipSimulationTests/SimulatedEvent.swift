/// What a simulated frame holds: an identity, and what it adds to one entity.
struct SimulatedEvent: Hashable, Sendable {
    let identity: UInt32
    let entity: UInt8
    /// The database's partition.
    let day: UInt8
    /// The database can never store its row.
    let isPoison: Bool
    let value: Int32

    /// As a frame's payload, with some bytes behind it so that frames differ in length.
    func payload(padding: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        withUnsafeBytes(of: identity.littleEndian) { bytes += $0 }
        bytes += [entity, day, isPoison ? 1 : 0, UInt8(truncatingIfNeeded: padding)]
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
        return bytes + [UInt8](repeating: UInt8(truncatingIfNeeded: identity), count: padding)
    }

    init(identity: UInt32, entity: UInt8, day: UInt8, isPoison: Bool, value: Int32) {
        self.identity = identity
        self.entity = entity
        self.day = day
        self.isPoison = isPoison
        self.value = value
    }

    /// From a frame's payload.
    init(_ payload: UnsafeRawBufferPointer) {
        identity = UInt32(littleEndian: payload.loadUnaligned(as: UInt32.self))
        entity = payload[4]
        day = payload[5]
        isPoison = payload[6] == 1
        value = Int32(littleEndian: payload.loadUnaligned(fromByteOffset: 8, as: Int32.self))
    }
}

/// What applying frames makes of memory: per entity a count and a sum, and the identities that were taken.
struct SimulatedMemory: Equatable {
    struct Total: Equatable {
        var count = 0
        var sum: Int64 = 0
    }

    private(set) var entities: [UInt8: Total] = [:]
    private(set) var identities: Set<UInt32> = []
    /// Frames whose identity had been taken: must stay 0.
    private(set) var repeated = 0

    mutating func apply(_ event: SimulatedEvent) {
        if !identities.insert(event.identity).inserted { repeated += 1 }
        entities[event.entity, default: Total()].count += 1
        entities[event.entity, default: Total()].sum += Int64(event.value)
    }
}
