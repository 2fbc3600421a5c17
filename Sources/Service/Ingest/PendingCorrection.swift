import JSON

/// A correction that passed the checks of an event and waits for what it corrects.
struct PendingCorrection: Sendable {
    /// Where its outcome belongs in the request.
    struct Place: Sendable {
        let slice: Int
        let index: Int
    }

    let identity: Hash128
    let content: UInt64
    /// An encoded `EventFrame`.
    let payload: [UInt8]
    let contract: String
    /// The id that it names.
    let corrects: String
    let isRetraction: Bool
    let ingestMicros: Int64
    /// Slice of the request and index within.
    var slice = 0
    var index = 0

    init(
        identity: Hash128, content: UInt64, payload: [UInt8], contract: String, corrects: String, isRetraction: Bool,
        ingestMicros: Int64
    ) {
        self.identity = identity
        self.content = content
        self.payload = payload
        self.contract = contract
        self.corrects = corrects
        self.isRetraction = isRetraction
        self.ingestMicros = ingestMicros
    }

    var place: Place { Place(slice: slice, index: index) }
}

/// What the table has to learn about a slice that became durable.
struct SettledSlice: Sendable {
    let firstSeq: UInt64
    let reserved: [Hash128]
    let links: [DedupeTable.Link]

    func write(into dedupe: inout DedupeTable) {
        for (frame, identity) in reserved.enumerated() { dedupe.settle(identity, seq: firstSeq + UInt64(frame)) }
        for link in links { dedupe.shorten(link) }
    }
}

/// Duplicates of one slice by contract.
struct DuplicateCounts {
    private(set) var byContract: [String: (count: UInt32, differs: UInt32)] = [:]

    mutating func add(_ contract: String, contentDiffers: Bool) {
        byContract[contract, default: (0, 0)].count += 1
        if contentDiffers { byContract[contract, default: (0, 0)].differs += 1 }
    }
}
