import JSON

/// Why a line is not an acceptable event. Neither the message nor the pointer ever holds a value of the event.
public struct Violation: Error, Equatable, Sendable {
    /// The layer that refused the line; the four kinds of quarantine.
    public enum Class: String, Sendable, CaseIterable {
        /// Not one JSON object.
        case malformedJSON = "malformed_json"
        /// Not a CloudEvent 1.0.
        case invalidCloudEvent = "invalid_cloudevent"
        /// Outside its contract.
        case contractViolation = "contract_violation"
        /// Names an entity that its reference table does not have.
        case unknownReference = "unknown_reference"
    }

    /// Stable names of violations; malformed JSON has the codes of ``JSONError/Code`` besides.
    public enum Code: String, Sendable, CaseIterable {
        /// The line is JSON, but not an object.
        case notAnObject = "not_an_object"
        /// A required attribute or property is absent.
        case missingAttribute = "missing_attribute"
        /// A required property is null.
        case nullValue = "null_value"
        /// A value of another type.
        case typeMismatch = "type_mismatch"
        /// An attribute that must not be empty is.
        case emptyAttribute = "empty_attribute"
        /// A `specversion` other than 1.0.
        case unsupportedSpecversion = "unsupported_specversion"
        /// A time that is not an RFC 3339 date-time of a real date, with a zone.
        case invalidTime = "invalid_time"
        /// A source that is no URI reference.
        case invalidSource = "invalid_source"
        /// An attribute with a control character.
        case invalidCharacter = "invalid_character"
        /// A key that is no attribute name: lower-case letters and digits only.
        case attributeName = "attribute_name"
        /// An extension attribute that is no string, boolean or 32-bit integer.
        case attributeType = "attribute_type"
        /// Both `data` and `data_base64`.
        case dataConflict = "data_conflict"
        /// `data_base64` that is not base64.
        case invalidBase64 = "invalid_base64"
        /// No contract covers the event type.
        case unknownType = "unknown_type"
        /// The event's time is too far after the ingest time.
        case futureTime = "future_time"
        /// The event comes later than the contract allows.
        case tooLate = "too_late"
        /// A number that no finite double can hold.
        case notFinite = "not_finite"
        /// More decimal places than the contract allows.
        case scaleExceeded = "scale_exceeded"
        /// Not a multiple of the contract's step.
        case notMultiple = "not_multiple"
        /// Below a lower bound.
        case belowMinimum = "below_minimum"
        /// Above an upper bound.
        case aboveMaximum = "above_maximum"
        /// An integer beyond the bits that its format allows.
        case integerRange = "integer_range"
        /// Text shorter than allowed.
        case tooShort = "too_short"
        /// Text longer than allowed.
        case tooLong = "too_long"
        /// Text that does not match the pattern.
        case patternMismatch = "pattern_mismatch"
        /// Text on which the pattern exceeded its work limit.
        case patternLimit = "pattern_limit"
        /// Text that is not of the declared format.
        case formatMismatch = "format_mismatch"
        /// Fewer elements or members than allowed.
        case tooFew = "too_few"
        /// More elements or members than allowed.
        case tooMany = "too_many"
        /// An element that is there twice.
        case duplicateItem = "duplicate_item"
        /// A value outside the list of valid values.
        case invalidValue = "invalid_value"
        /// A value that the contract counts as missing.
        case missingValue = "missing_value"
        /// No row of the referenced table has this key.
        case unknownReference = "unknown_reference"
    }

    /// The layer that refused.
    public let `class`: Class
    /// Stable name of the reason.
    public let code: String
    /// Where in the event.
    public let pointer: JSONPointer
    /// One sentence for people, made of the contract's words only.
    public let message: String

    /// A violation with any code.
    public init(class: Class, code: String, pointer: JSONPointer, message: String) {
        self.class = `class`
        self.code = code
        self.pointer = pointer
        self.message = message
    }

    /// A violation with one of the codes above.
    init(_ class: Class, _ code: Code, _ pointer: JSONPointer, _ message: String) {
        self.init(class: `class`, code: code.rawValue, pointer: pointer, message: message)
    }

    /// The violation of a line that is not JSON.
    public init(_ error: JSONError) {
        self.init(class: .malformedJSON, code: error.code.rawValue, pointer: .root, message: error.message)
    }

    /// The same violation seen from the value that holds it under `token`.
    func inside(_ token: String) -> Violation {
        Violation(
            class: `class`, code: code, pointer: JSONPointer(tokens: [token] + pointer.tokens), message: message)
    }

    static func contract(_ code: Code, _ message: String) -> Violation {
        Violation(.contractViolation, code, .root, message)
    }
}
