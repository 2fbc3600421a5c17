/// Why bytes are not acceptable JSON. The message never quotes the input.
public struct JSONError: Error, Equatable, Sendable {
    /// Stable names of everything that a parse refuses.
    public enum Code: String, Sendable, CaseIterable {
        /// Nothing but white space.
        case empty
        /// Not UTF-8 (RFC 3629).
        case invalidUTF8 = "invalid_utf8"
        /// A raw character below U+0020 inside a string.
        case controlCharacter = "control_character"
        /// A string without its closing quote.
        case unclosedString = "unclosed_string"
        /// A token that the grammar of RFC 8259 does not allow here.
        case syntax
        /// A number with a leading zero, without digits, or with other characters attached.
        case invalidNumber = "invalid_number"
        /// An unknown or incomplete escape.
        case invalidEscape = "invalid_escape"
        /// Half of a surrogate pair, which no UTF-8 text can hold.
        case loneSurrogate = "lone_surrogate"
        /// `\u0000`, which PostgreSQL cannot store in text.
        case nulInString = "nul_in_string"
        /// An object with the same key twice, compared after decoding.
        case duplicateKey = "duplicate_key"
        /// More open containers than ``JSONLimits/depthMax``.
        case tooDeep = "too_deep"
        /// More bytes than ``JSONLimits/bytesMax``.
        case tooLarge = "too_large"
        /// Something after the value.
        case trailingContent = "trailing_content"
        /// The text ends inside an array or an object.
        case truncated
        /// No memory for the index of the document.
        case outOfMemory = "out_of_memory"
    }

    /// What is wrong.
    public let code: Code
    /// Where, in bytes from the start.
    public let offset: Int
    /// One sentence for people.
    public let message: String

    /// An error of `code` at `offset`, with the code's own message unless another is given.
    public init(code: Code, offset: Int, message: String? = nil) {
        self.code = code
        self.offset = offset
        self.message = message ?? code.message
    }
}

extension JSONError.Code {
    /// One sentence for people.
    public var message: String {
        switch self {
        case .empty: "the text holds no JSON value"
        case .invalidUTF8: "the text is not valid UTF-8"
        case .controlCharacter: "a string holds a raw control character"
        case .unclosedString: "a string is not closed"
        case .syntax: "unexpected token"
        case .invalidNumber: "a number is not written as JSON requires"
        case .invalidEscape: "a string holds an invalid escape"
        case .loneSurrogate: "a string holds half of a surrogate pair"
        case .nulInString: "a string holds the character U+0000, which cannot be stored"
        case .duplicateKey: "an object holds the same key twice"
        case .tooDeep: "arrays and objects are nested too deeply"
        case .tooLarge: "the text is longer than the limit"
        case .trailingContent: "something follows the JSON value"
        case .truncated: "the text ends inside an array or object"
        case .outOfMemory: "no memory left to index the text"
        }
    }
}
