/// How places in an event are written in SQL over `decisiond.event`, there named `e`.
public enum EventSQL {
    private static let attributes: Set<String> = ["id", "source", "type", "subject"]

    /// The text at a path (the tokens of a JSON pointer into the event): a column of the table, or a member of `data` or of
    /// the extensions. NULL where there is nothing.
    public static func text(at path: [String]) -> String {
        if path.count == 1, attributes.contains(path[0]) { return "e.\(path[0])" }
        return member(path, "#>>")
    }

    /// The value at a path where its JSON type is `type` (`number`, `string`, `boolean`), as text; NULL otherwise.
    static func text(at path: [String], ofType type: String) -> String {
        if path.count == 1, attributes.contains(path[0]) { return type == "string" ? "e.\(path[0])" : "NULL::text" }
        return "CASE json_typeof(\(member(path, "#>"))) WHEN \(literal(type)) THEN \(member(path, "#>>")) END"
    }

    private static func member(_ path: [String], _ step: String) -> String {
        let isData = path.first == "data"
        let tokens = (isData ? path.dropFirst() : path[...]).map(literal).joined(separator: ", ")
        return "e.\(isData ? "data" : "extensions") \(step) ARRAY[\(tokens)]"
    }

    /// A text as an SQL literal.
    public static func literal(_ text: String) -> String {
        var quoted = "'"
        for character in text.unicodeScalars {
            if character == "'" { quoted += "'" }
            quoted.unicodeScalars.append(character)
        }
        return quoted + "'"
    }

    /// A name as an SQL identifier.
    public static func identifier(_ text: String) -> String {
        var quoted = "\""
        for character in text.unicodeScalars {
            if character == "\"" { quoted += "\"" }
            quoted.unicodeScalars.append(character)
        }
        return quoted + "\""
    }
}
