import JSON

/// A data contract in the Open Data Contract Standard v3.1: what it says, read into types. Made by
/// ``compile(_:)`` together with the program that checks events.
public struct Contract: Sendable {
    /// What a contract is used for.
    public enum Kind: String, Sendable, CaseIterable {
        /// Describes a stream of CloudEvents: its properties are the event's attributes and `data`.
        case stream
        /// Describes the rows of a table, which arrive as the `data` of CloudEvents.
        case reference
        /// Covers no event type: kept for the catalogue, checks nothing.
        case catalogue
    }

    /// The document as it was given.
    public let document: JSONTree
    /// What it is used for, from the custom property `decisiond.kind`.
    public let kind: Kind
    /// `id`.
    public let id: String
    /// `name`; the id when there is none.
    public let name: String
    /// `version`, the author's.
    public let version: String
    /// `status`: proposed, draft, active, deprecated, retired.
    public let status: String
    /// `domain`, the business unit; nil when not said.
    public let domain: String?
    /// `tenant`; nil when not said.
    public let tenant: String?
    /// The user name of the first team member whose role is Owner, else the team's name; nil without a team.
    public let owner: String?
    /// The CloudEvents types that it covers, from the custom property `decisiond.eventTypes`.
    public let eventTypes: [String]
    /// How far behind its source's watermark an event may come, from the custom property `decisiond.lateness`
    /// [microseconds]; nil: as far as it likes.
    public let latenessMicros: Int64?
    /// Its schema objects: exactly one for streams and reference tables.
    public let schema: [SchemaObject]
    /// Its service levels.
    public let serviceLevels: [ServiceLevel]
    /// Every quality rule, with the path of the property it is about (empty for the object as a whole).
    public let qualityRules: [(path: [String], rule: QualityRule)]
    /// Every classified property path with its classification.
    public let classifications: [(path: [String], classification: String)]

    /// Custom properties of the contract that this product understands; others with its prefix are refused.
    static let customProperties = ["decisiond.kind", "decisiond.eventTypes", "decisiond.lateness"]
    static let customPrefix = "decisiond."

    /// Microseconds of a whole number and a unit (s, m, h, d, w) such as `90d`; nil for anything else.
    public static func duration(_ text: String) -> Int64? {
        guard let unit = text.last, text.first?.isNumber == true, let count = Int64(text.dropLast()), count > 0 else {
            return nil
        }
        let seconds: Int64
        switch unit {
        case "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86_400
        case "w": seconds = 604_800
        default: return nil
        }
        let (micros, overflow) = count.multipliedReportingOverflow(by: seconds * 1_000_000)
        return overflow ? nil : micros
    }

    /// Reads and compiles a document. Fails with every issue found, each with a JSON pointer: structure that the
    /// standard does not allow, and for streams and reference tables also rules that could not be enforced.
    public static func compile(_ tree: JSONTree) throws(ContractError) -> CompiledContract {
        var issues = IssueList()
        DocumentShape.Element.contract.check(tree, at: .root, &issues)
        guard issues.issues.isEmpty else { throw ContractError(issues: issues.issues) }
        var reader = ContractReader(document: tree)
        let contract = reader.read()
        var compiler = CheckCompiler(contract: contract, issues: reader.issues)
        let compiled = compiler.compile()
        guard compiler.issues.issues.isEmpty, let compiled else {
            throw ContractError(issues: compiler.issues.issues)
        }
        return compiled
    }
}
