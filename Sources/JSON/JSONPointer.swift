/// A JSON Pointer (RFC 6901): the path to a value inside a document.
public struct JSONPointer: Hashable, Sendable, CustomStringConvertible {
    /// The unescaped reference tokens; empty for the whole document.
    public private(set) var tokens: [String]

    /// The whole document.
    public static let root = JSONPointer(tokens: [])

    /// The path through `tokens`, which are not escaped.
    public init(tokens: [String]) {
        self.tokens = tokens
    }

    /// Parses a pointer such as `/a~1b/0`; nil when it does not start with `/` or holds a bad escape.
    public init?(parsing text: String) {
        guard !text.isEmpty else {
            self.init(tokens: [])
            return
        }
        guard text.utf8.first == UInt8(ascii: "/") else { return nil }
        var tokens: [String] = []
        for part in text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let token = Self.unescape(part) else { return nil }
            tokens.append(token)
        }
        self.init(tokens: tokens)
    }

    private static func unescape(_ part: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        var isEscape = false
        for byte in part {
            if isEscape {
                switch byte {
                case UInt8(ascii: "0"): bytes.append(UInt8(ascii: "~"))
                case UInt8(ascii: "1"): bytes.append(UInt8(ascii: "/"))
                default: return nil
                }
                isEscape = false
            } else if byte == UInt8(ascii: "~") {
                isEscape = true
            } else {
                bytes.append(byte)
            }
        }
        return isEscape ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// The member `key` of the value that this points to.
    public func appending(_ key: String) -> JSONPointer { JSONPointer(tokens: tokens + [key]) }

    /// The element `index` of the value that this points to.
    public func appending(_ index: Int) -> JSONPointer { JSONPointer(tokens: tokens + [String(index)]) }

    /// The escaped spelling: empty for the whole document.
    public var text: String {
        var bytes: [UInt8] = []
        for token in tokens {
            bytes.append(UInt8(ascii: "/"))
            for byte in token.utf8 {
                switch byte {
                case UInt8(ascii: "~"): bytes.append(contentsOf: [byte, UInt8(ascii: "0")])
                case UInt8(ascii: "/"): bytes.append(contentsOf: [UInt8(ascii: "~"), UInt8(ascii: "1")])
                default: bytes.append(byte)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same as ``text``.
    public var description: String { text }

    /// The array index that `token` spells: digits without a leading zero; nil otherwise.
    static func index(_ token: String) -> Int? {
        let digits = token.utf8
        guard let first = digits.first, digits.allSatisfy({ $0 &- UInt8(ascii: "0") <= 9 }) else { return nil }
        guard digits.count == 1 || first != UInt8(ascii: "0") else { return nil }
        return Int(token)
    }
}

extension JSONValue {
    /// The value that `pointer` names inside this one; nil when there is none.
    public func value(at pointer: JSONPointer) -> JSONValue? {
        var current = self
        for token in pointer.tokens {
            let next: JSONValue?
            switch current.kind {
            case .object: next = current.member(token)
            case .array: next = current.element(JSONPointer.index(token))
            default: next = nil
            }
            guard let next else { return nil }
            current = next
        }
        return current
    }

    private func element(_ index: Int?) -> JSONValue? {
        guard let index, index < count else { return nil }
        return elements.dropFirst(index).first { _ in true }
    }
}

extension JSONTree {
    /// The value that `pointer` names inside this one; nil when there is none.
    public func value(at pointer: JSONPointer) -> JSONTree? {
        var current = self
        for token in pointer.tokens {
            let next: JSONTree?
            switch current {
            case .object: next = current[token]
            case .array: next = JSONPointer.index(token).flatMap { current[$0] }
            default: next = nil
            }
            guard let next else { return nil }
            current = next
        }
        return current
    }
}
