import Postgres

/// What the shipper does about an error of PostgreSQL; the table of `PostgresError.recovery`, seen from one batch.
enum ShipReaction: Sendable, Equatable {
    /// Connect again, read the settled position, go on from there; with a growing pause.
    case retry
    /// Make the partitions of the batch's days and send the same batch again.
    case makePartitions
    /// Send the same frames again and take out the rows that PostgreSQL refuses.
    case isolate
    /// Nothing that shipping can mend: tell, and try again slowly, since an operator will.
    case stop

    /// How far a range of frames has been tried.
    struct Attempt: Sendable, Equatable {
        /// Its partitions were made.
        var hasPartitions = false
        /// It was sent row by row.
        var isIsolating = false
    }

    /// The reaction to an error, by what was tried before for the same frames.
    init(to error: PostgresError, after attempt: Attempt) {
        switch error.recovery {
        case .retry, .resolveOutcome, .rereadPosition: self = .retry
        case .ensurePartitions where !attempt.hasPartitions: self = .makePartitions
        // Row by row, refused rows go to quarantine; so what still fails is no row's fault.
        case .ensurePartitions, .isolateRow: self = attempt.isIsolating ? .stop : .isolate
        case .stop: self = .stop
        }
    }
}

/// Why shipping stands still until somebody mends it.
struct ShipTrouble: Sendable, Equatable {
    /// The SQLSTATE, or a stable snake_case code where there is none.
    let code: String
    /// What is wrong and with which object; no values.
    let detail: String

    /// The trouble behind an error.
    init(_ error: PostgresError) {
        guard case .server(let server) = error else {
            (code, detail) = (error.sqlState?.description ?? error.code, error.message)
            return
        }
        code = server.sqlState.description
        let objects = [("table", server.table), ("column", server.column), ("constraint", server.constraint)]
        let named = objects.compactMap { kind, name in name.map { " \(kind) \($0)" } }.joined(separator: ",")
        detail = "SQLSTATE \(code)\(named.isEmpty ? "" : " on" + named): \(server.message)"
    }

    /// A trouble of the journal, not of PostgreSQL.
    init(code: String, detail: String) {
        self.code = code
        self.detail = detail
    }
}

/// The pause between two tries: doubled up to a limit, and spread, so that daemons that lost the same server do not come
/// back at once.
struct ShipBackoff: Sendable {
    /// The first pause and the longest one [milliseconds].
    static let millisecondsMin = 50
    static let millisecondsMax = 5_000
    /// The pause while shipping is stopped [milliseconds].
    static let stoppedMilliseconds = 5_000

    private var next = Self.millisecondsMin

    /// The next pause: between half of the current one and all of it.
    mutating func pause(using generator: inout some RandomNumberGenerator) -> Int {
        defer { next = min(next * 2, Self.millisecondsMax) }
        return Int.random(in: (next / 2)...next, using: &generator)
    }

    /// Something worked.
    mutating func reset() { next = Self.millisecondsMin }
}
