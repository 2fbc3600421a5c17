/// One thing wrong with a document, told so that its author can mend it.
public struct DocumentProblem: Error, Hashable, Sendable {
    /// RFC 6901 pointer to the place, in the document as sent.
    public let pointer: String
    /// Stable snake_case code: `unknown_field`, `missing_field`, `type_mismatch`, ...
    public let code: String
    /// What is wrong, for a person.
    public let message: String

    /// Makes a problem.
    public init(pointer: String, code: String, message: String) {
        self.pointer = pointer
        self.code = code
        self.message = message
    }
}

/// Everything wrong with a document, in the order found. A reader reports on, it does not stop at the first.
public final class ProblemList {
    /// The problems so far.
    public private(set) var problems: [DocumentProblem] = []

    /// An empty list.
    public init() {}

    /// Adds a problem.
    public func add(_ pointer: String, _ code: String, _ message: String) {
        problems.append(DocumentProblem(pointer: pointer, code: code, message: message))
    }

    /// Whether nothing was wrong.
    public var isEmpty: Bool { problems.isEmpty }
}

/// Reads one object of a definition strictly: wrong types and unknown fields become problems with a pointer.
///
/// Ask for every field that the object may have, then call `finish()`, which reports the fields nobody asked for.
public final class TreeReader {
    /// Pointer of this object.
    public let pointer: String
    /// Where problems go.
    public let problems: ProblemList
    private let members: [JSONTree.Member]
    private var asked: Set<String> = []

    /// Reads `tree`; anything but an object is a problem and reads as an empty object.
    public init(_ tree: JSONTree, at pointer: String, _ problems: ProblemList) {
        self.pointer = pointer
        self.problems = problems
        if case .object(let members) = tree {
            self.members = members
        } else {
            problems.add(pointer, "type_mismatch", "an object is expected here")
            members = []
        }
    }

    /// Pointer of a field of this object.
    public func path(_ key: String) -> String {
        pointer + "/" + key.pointerToken
    }

    /// The field's value; nil when it is absent or null.
    public func value(_ key: String) -> JSONTree? {
        asked.insert(key)
        guard let member = members.first(where: { $0.key == key }), member.value != .null else { return nil }
        return member.value
    }

    /// A text field; a problem when it is required and absent, or not text.
    public func string(_ key: String, required: Bool = false) -> String? {
        guard let found = present(key, required) else { return nil }
        if case .string(let text) = found { return text }
        return mismatch(key, "text")
    }

    /// A true-or-false field.
    public func bool(_ key: String, default fallback: Bool = false) -> Bool {
        guard let found = value(key) else { return fallback }
        if case .bool(let flag) = found { return flag }
        let none: Bool? = mismatch(key, "true or false")
        return none ?? fallback
    }

    /// A number field with its exact digits.
    public func number(_ key: String, required: Bool = false) -> JSONNumber? {
        guard let found = present(key, required) else { return nil }
        if case .number(let number) = found { return number }
        return mismatch(key, "a number")
    }

    /// A whole number within bounds.
    public func integer(_ key: String, in range: ClosedRange<Int64>, required: Bool = false) -> Int64? {
        guard let number = number(key, required: required) else { return nil }
        guard let whole = number.scaledInt64(scale: 0), range.contains(whole) else {
            problems.add(path(key), "out_of_range", "a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return whole
    }

    /// A list of texts.
    public func strings(_ key: String, required: Bool = false) -> [String]? {
        guard let items = array(key, required: required) else { return nil }
        var texts: [String] = []
        for (index, item) in items.enumerated() {
            if case .string(let text) = item {
                texts.append(text)
            } else {
                problems.add("\(path(key))/\(index)", "type_mismatch", "text is expected here")
            }
        }
        return texts
    }

    /// A list.
    public func array(_ key: String, required: Bool = false) -> [JSONTree]? {
        guard let found = present(key, required) else { return nil }
        if case .array(let items) = found { return items }
        return mismatch(key, "a list")
    }

    /// A list of objects, each with a reader of its own; each reader is finished after `body`.
    public func objects<R>(_ key: String, required: Bool = false, _ body: (TreeReader) -> R) -> [R] {
        guard let items = array(key, required: required) else { return [] }
        return items.enumerated().map { index, item in
            let reader = TreeReader(item, at: "\(path(key))/\(index)", problems)
            defer { reader.finish() }
            return body(reader)
        }
    }

    /// A nested object; its reader is finished after `body`.
    public func object<R>(_ key: String, required: Bool = false, _ body: (TreeReader) -> R) -> R? {
        guard let found = present(key, required) else { return nil }
        let reader = TreeReader(found, at: path(key), problems)
        defer { reader.finish() }
        return body(reader)
    }

    /// A map from names to values of one shape.
    public func map(_ key: String, required: Bool = false) -> [JSONTree.Member] {
        guard let found = present(key, required) else { return [] }
        if case .object(let members) = found { return members }
        let none: [JSONTree.Member]? = mismatch(key, "an object")
        return none ?? []
    }

    /// Reports every field that was not asked for.
    public func finish() {
        for member in members where !asked.contains(member.key) {
            let known = asked.sorted().joined(separator: ", ")
            problems.add(path(member.key), "unknown_field", "not a field of this object; known fields: \(known)")
        }
    }

    private func present(_ key: String, _ required: Bool) -> JSONTree? {
        if let found = value(key) { return found }
        if required { problems.add(path(key), "missing_field", "this field is required") }
        return nil
    }

    private func mismatch<T>(_ key: String, _ expected: String) -> T? {
        problems.add(path(key), "type_mismatch", "\(expected) is expected here")
        return nil
    }
}

extension String {
    /// RFC 6901 escaping of one reference token.
    public var pointerToken: String {
        guard contains(where: { $0 == "~" || $0 == "/" }) else { return self }
        var escaped = ""
        for character in self {
            switch character {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
