/// Why a reference distribution, a stored window or a report was refused.
public struct DriftError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Stable, machine-readable kinds of refusal; the raw value is the wire form.
    public enum Code: String, Sendable, CaseIterable {
        /// There is nothing to compare.
        case noRows = "no_rows"
        /// An edge, a point or a reference value is NaN or infinite.
        case notFinite = "not_finite"
        /// Edges, points or categories do not ascend strictly.
        case notAscending = "not_ascending"
        /// Two counts that must agree differ.
        case countMismatch = "count_mismatch"
        /// A count of rows is negative or past `DriftLimits.rowsMax`.
        case invalidCount = "invalid_count"
        /// More of something than a limit in `DriftLimits`.
        case limitExceeded = "limit_exceeded"
        /// The bytes are not those of a window.
        case invalidBytes = "invalid_bytes"
        /// The bytes were written in a version of the format that is not known.
        case unknownVersion = "unknown_version"
        /// The window was counted against another reference.
        case otherReference = "other_reference"
    }

    /// What kind of fault.
    public let code: Code
    /// What is wrong, for a person.
    public let message: String

    /// Code and message in one line.
    public var description: String { "\(code.rawValue): \(message)" }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
