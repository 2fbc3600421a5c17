/// One operation of the document that stands for a general one, with the types of one decision or model.
struct TypedOperation {
    let path: String
    let tag: String
    let operationID: String
    let summary: String
    let description: String
    let action: String
    /// Key and number of the version that the types are of.
    let version: (key: String, number: Int)
    /// Names of `components/parameters`.
    let parameters: [String]
    /// Names of `components/schemas`.
    let request: String
    let answer: String
    let answerDescription: String

    /// What it may answer besides 200: status and name of the response.
    static let refusals: [(status: Int, response: String)] = [
        (400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (408, "RequestTimeout"),
        (413, "ContentTooLarge"), (414, "URITooLong"), (415, "UnsupportedMediaType"), (422, "UnprocessableContent"),
        (431, "HeaderFieldsTooLarge"), (503, "ServiceUnavailable"),
    ]

    /// Writes the path, two spaces in.
    func write(_ lines: inout YAMLLines) {
        lines.add(2, YAMLLines.quoted(path) + ":")
        lines.add(4, "post:")
        lines.add(6, "tags: [\(tag)]")
        lines.add(6, "operationId: \(operationID)")
        lines.add(6, "summary: " + YAMLLines.quoted(summary))
        lines.add(6, "description: \(description)")
        lines.add(6, "x-required-action: \(action)")
        lines.add(6, "\(version.key): \(version.number)")
        lines.add(6, "parameters:")
        for parameter in parameters { lines.add(8, "- " + YAMLLines.reference("parameters", parameter)) }
        lines.add(6, "requestBody:")
        lines.add(8, "required: true")
        writeContent(8, request, &lines)
        lines.add(6, "responses:")
        lines.add(8, "\"200\":")
        lines.add(10, "description: \(answerDescription)")
        writeContent(10, answer, &lines)
        for refusal in Self.refusals {
            lines.add(8, "\"\(refusal.status)\": " + YAMLLines.reference("responses", refusal.response))
        }
    }

    private func writeContent(_ indentation: Int, _ schema: String, _ lines: inout YAMLLines) {
        lines.add(indentation, "content:")
        lines.add(indentation + 2, "application/json:")
        lines.add(indentation + 4, "schema: " + YAMLLines.schema(schema))
    }

    /// Gives everything of a name what it is called in the document, by name in ascending order: the prefix of its schemas
    /// and its operation. Names that differ only in case or punctuation would get the same; the later ones then get a number.
    static func naming<Named>(
        _ items: [Named], verb: String, name: (Named) -> String
    ) -> [(item: Named, prefix: String, operationID: String)] {
        var taken: Set<String> = []
        return items.sorted { name($0) < name($1) }.map { item in
            let words = name(item).split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
            let prefix = verb + words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            let operation = verb.lowercased() + "_" + String(name(item).map { $0.isLetter || $0.isNumber ? $0 : "_" })
            var (number, suffix) = (1, "")
            while taken.contains((prefix + suffix).lowercased()) || taken.contains((operation + suffix).lowercased()) {
                number += 1
                suffix = "_\(number)"
            }
            taken.insert((prefix + suffix).lowercased())
            taken.insert((operation + suffix).lowercased())
            return (item, prefix + suffix, operation + suffix)
        }
    }
}
