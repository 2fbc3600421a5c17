/// PostgreSQL's five-character error code (PostgreSQL documentation, appendix A).
public struct SQLState: Hashable, Sendable, CustomStringConvertible {
    /// The five ASCII characters, most significant first, in the low 40 bits.
    private let packed: UInt64

    /// A code from its spelling; nil unless it is five characters of `0-9A-Z`.
    public init?(_ text: String) {
        var packed: UInt64 = 0
        var count = 0
        for byte in text.utf8 {
            guard (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) else { return nil }
            packed = packed << 8 | UInt64(byte)
            count += 1
            if count > 5 { return nil }
        }
        guard count == 5 else { return nil }
        self.packed = packed
    }

    private init(literal: StaticString) {
        precondition(literal.utf8CodeUnitCount == 5, "an SQLSTATE has five characters")
        packed = (0..<5).reduce(0) { $0 << 8 | UInt64(literal.utf8Start[$1]) }
    }

    /// The code as text.
    public var description: String {
        String(decoding: (0..<5).map { UInt8(truncatingIfNeeded: packed >> UInt64(32 - 8 * $0)) }, as: UTF8.self)
    }

    /// The first two characters.
    public var errorClass: String { String(description.prefix(2)) }

    /// Whether the code belongs to a class, such as `"08"`.
    public func isInClass(_ name: StaticString) -> Bool {
        precondition(name.utf8CodeUnitCount == 2, "an SQLSTATE class has two characters")
        return packed >> 24 == UInt64(name.utf8Start[0]) << 8 | UInt64(name.utf8Start[1])
    }
}

extension SQLState {
    /// 22P04: the COPY stream itself is malformed, so the fault is the writer's and not a row's.
    public static let badCopyFileFormat = Self(literal: "22P04")
    /// 22P05: text holds a character that the server cannot store, such as NUL.
    public static let untranslatableCharacter = Self(literal: "22P05")
    /// 22021: text is not valid UTF-8.
    public static let characterNotInRepertoire = Self(literal: "22021")
    /// 22P02: text does not spell a value of the column's type.
    public static let invalidTextRepresentation = Self(literal: "22P02")
    /// 22003: a number does not fit its type.
    public static let numericValueOutOfRange = Self(literal: "22003")
    /// 23502: a column that must have a value has none.
    public static let notNullViolation = Self(literal: "23502")
    /// 23503: a row refers to one that does not exist.
    public static let foreignKeyViolation = Self(literal: "23503")
    /// 23505: the key exists.
    public static let uniqueViolation = Self(literal: "23505")
    /// 23514: a check constraint failed, or no partition takes the row.
    public static let checkViolation = Self(literal: "23514")
    /// 25006: the server is a standby or the transaction is read-only.
    public static let readOnlyTransaction = Self(literal: "25006")
    /// 25P02: the transaction has failed and only a rollback is accepted.
    public static let inFailedTransaction = Self(literal: "25P02")
    /// 26000: no such prepared statement.
    public static let invalidStatementName = Self(literal: "26000")
    /// 0A000: not supported; also "cached plan must not change result type" of a prepared statement.
    public static let featureNotSupported = Self(literal: "0A000")
    /// 40001: serialization failure.
    public static let serializationFailure = Self(literal: "40001")
    /// 40P01: deadlock.
    public static let deadlockDetected = Self(literal: "40P01")
    /// 42P01: no such table.
    public static let undefinedTable = Self(literal: "42P01")
    /// 55P03: a lock was not available in time.
    public static let lockNotAvailable = Self(literal: "55P03")
    /// 57014: cancelled, by request or by statement_timeout.
    public static let queryCanceled = Self(literal: "57014")
    /// 57P01: the administrator shut the server down.
    public static let adminShutdown = Self(literal: "57P01")
    /// 57P03: the server does not accept connections yet, or any more.
    public static let cannotConnectNow = Self(literal: "57P03")
    /// ZD001, raised by `decisiond.ship_advance`: the stored position of a journal is not the one expected.
    public static let shipPositionMismatch = Self(literal: "ZD001")
    /// ZD002, raised by `decisiond.ship_advance`: another owner has claimed the journal with a higher epoch.
    public static let shipEpochFenced = Self(literal: "ZD002")
}
