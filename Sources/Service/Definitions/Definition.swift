import JSON

/// The kinds of definitions that exist.
enum DefinitionKind: String, Sendable, CaseIterable {
    case dataContract = "DataContract"
    case featureView = "FeatureView"
    case model = "Model"
    case decision = "Decision"
    case measure = "Measure"
    case kpi = "KPI"
    case policy = "Policy"

    /// Kinds in the order in which they may refer to one another.
    static let compileOrder: [DefinitionKind] = [
        .dataContract, .featureView, .model, .decision, .measure, .kpi, .policy,
    ]
}

/// Kind and name: what a version belongs to.
struct DefinitionKey: Hashable, Sendable {
    let kind: DefinitionKind
    let name: String
}

/// One version of a definition: the envelope as read, and the document as sent.
struct Definition: Sendable {
    let key: DefinitionKey
    /// Assigned by the server, from 1; 0 while it is not published.
    var version: Int
    let domain: String?
    let owner: String?
    let description: String?
    /// The whole document; a contract is an ODCS document verbatim.
    let document: JSONTree
    /// Pointer of the part that the kind's own reader takes.
    var specPointer: String { key.kind == .dataContract ? "" : "/spec" }

    /// The part that the kind's own reader takes.
    var spec: JSONTree { key.kind == .dataContract ? document : document["spec"] ?? .null }

    /// Reads the envelope `kind, name, domain, owner, description, spec`.
    ///
    /// - Parameters:
    ///   - document: one definition.
    ///   - pointer: where it stands in the request, for the problems.
    init?(_ document: JSONTree, at pointer: String, _ problems: ProblemList, version: Int = 0) {
        let before = problems.problems.count
        guard case .object = document else {
            problems.add(pointer, "type_mismatch", "a definition is an object")
            return nil
        }
        guard let kindText = document["kind"]?.string, let kind = DefinitionKind(rawValue: kindText) else {
            let known = DefinitionKind.allCases.map(\.rawValue).joined(separator: ", ")
            problems.add(pointer + "/kind", "unknown_kind", "one of \(known)")
            return nil
        }
        guard let name = document["name"]?.string, Self.isName(name) else {
            problems.add(
                pointer + "/name", "invalid_name",
                "1 to \(Self.nameBytesMax) of a-z, A-Z, 0-9, _ . and -, starting with a letter")
            return nil
        }
        if kind == .dataContract {
            domain = document["domain"]?.string
            owner = document["team"]?["name"]?.string
            description = document["description"]?["purpose"]?.string
        } else {
            let reader = TreeReader(document, at: pointer, problems)
            _ = reader.value("kind")
            _ = reader.value("name")
            domain = reader.string("domain")
            owner = reader.string("owner")
            description = reader.string("description")
            if reader.value("spec") == nil {
                problems.add(pointer + "/spec", "missing_field", "this field is required")
            }
            reader.finish()
        }
        guard problems.problems.count == before else { return nil }
        key = DefinitionKey(kind: kind, name: name)
        self.document = document
        self.version = version
    }

    /// Longest name.
    static let nameBytesMax = 128

    /// Whether a text may name a definition.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= nameBytesMax else { return false }
        let isLetter = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        }
        guard isLetter(first) else { return false }
        return text.utf8.allSatisfy { byte in
            isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        }
    }
}
