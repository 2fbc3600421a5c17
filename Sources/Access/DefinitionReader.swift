import JSON

/// Reads the fields of a definition, and collects every problem with its pointer instead of stopping at the first.
struct DefinitionReader {
    private(set) var issues: [AccessError.Issue] = []
    private var dropped = 0

    mutating func report(_ pointer: JSONPointer, _ code: String, _ message: String) {
        guard issues.count < AccessLimits.issues else {
            dropped += 1
            return
        }
        issues.append(AccessError.Issue(pointer: pointer.text, code: code, message: message))
    }

    /// Every problem as an error; nil when there was none.
    func error() -> AccessError? {
        guard !issues.isEmpty else { return nil }
        guard dropped > 0 else { return AccessError(issues: issues) }
        let more = AccessError.Issue(
            pointer: "", code: "too_many_problems", message: "\(dropped + 1) more problems are not listed")
        return AccessError(issues: issues.dropLast() + [more])
    }

    /// Checks that a value is an object and has only these fields.
    mutating func checkObject(_ value: JSONTree, at pointer: JSONPointer, allowed: Set<String>) -> Bool {
        guard let members = value.object else {
            report(pointer, "wrong_type", "an object is needed here")
            return false
        }
        for member in members where !allowed.contains(member.key) {
            report(
                pointer.appending(member.key), "unknown_field",
                "\(member.key) is not a field here; there are: \(allowed.sorted().joined(separator: ", "))")
        }
        return true
    }

    /// A text field; null is absent. Reports a missing required one, a wrong type, and an empty or overlong text.
    mutating func string(
        _ object: JSONTree, _ key: String, at pointer: JSONPointer, required: Bool = false,
        bytesMax: Int = AccessLimits.nameCharacters
    ) -> String? {
        guard let value = object[key], !value.isNull else {
            if required { report(pointer, "missing_field", "\(key) is missing") }
            return nil
        }
        guard let text = value.string else {
            report(pointer.appending(key), "wrong_type", "\(key) must be text")
            return nil
        }
        guard !text.isEmpty, text.utf8.count <= bytesMax else {
            report(pointer.appending(key), "wrong_length", "\(key) must have 1 to \(bytesMax) bytes")
            return nil
        }
        return text
    }

    /// A list of texts; a single text counts as a list of one. Empty when absent.
    mutating func strings(
        _ object: JSONTree, _ key: String, at pointer: JSONPointer, required: Bool = false
    ) -> [String] {
        guard let value = object[key], !value.isNull else {
            if required { report(pointer, "missing_field", "\(key) is missing") }
            return []
        }
        let field = pointer.appending(key)
        if let text = value.string { return checked([.string(text)], at: field) }
        guard let elements = value.array else {
            report(field, "wrong_type", "\(key) must be a list of texts")
            return []
        }
        guard !elements.isEmpty, elements.count <= AccessLimits.listEntries else {
            report(field, "wrong_length", "\(key) must have 1 to \(AccessLimits.listEntries) entries")
            return []
        }
        return checked(elements, at: field)
    }

    private mutating func checked(_ elements: [JSONTree], at pointer: JSONPointer) -> [String] {
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            guard let text = element.string else {
                report(pointer.appending(index), "wrong_type", "an entry must be text")
                continue
            }
            guard !text.isEmpty, text.utf8.count <= AccessLimits.actionCharacters else {
                report(
                    pointer.appending(index), "wrong_length",
                    "an entry must have 1 to \(AccessLimits.actionCharacters) bytes")
                continue
            }
            if texts.contains(text) {
                report(pointer.appending(index), "duplicate_entry", "\(text) is listed twice")
                continue
            }
            texts.append(text)
        }
        return texts
    }
}
