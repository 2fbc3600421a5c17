import FEEL
import JSON

/// The parts of answers and records that never change from call to call, as JSON text: names, versions, reasons.
struct DecisionNames: Sendable {
    /// A view's name, version and feature names.
    struct View: Sendable {
        let view: EncodedKey
        let version: EncodedMembers
        let features: [EncodedKey]
    }

    /// The members of one rule's entry in the trace, and its reason as a whole object.
    private struct Rule: Sendable {
        let members: EncodedMembers
        let reason: [UInt8]?
    }

    /// Id, decision and version of the decision's answers; the id's value goes in front of them.
    let decision: EncodedMembers
    /// The version of the time zone database, for records; nil when it is not known.
    let tzdata: EncodedMembers?
    let inputs: [EncodedKey]
    let views: [View]
    let outputs: [EncodedKey]
    /// By node and column; empty for nodes that are no tables.
    let tableInputs: [[EncodedKey]]
    private let rules: [[Rule]]

    init(
        name: String, version: Int, tzdata: String?, spec: DecisionSpec, nodes: [(name: String, node: CompiledNode)],
        views: [(name: String, interface: ViewInterface)], reasonTexts: [String: String]
    ) {
        decision = EncodedMembers { writer in
            writer.key("decision")
            writer.string(name)
            writer.key("version")
            writer.integer(version)
        }
        self.tzdata = tzdata.map { version in
            EncodedMembers { writer in
                writer.key("tzdata")
                writer.string(version)
            }
        }
        inputs = spec.inputs.map { EncodedKey($0.name) }
        outputs = spec.outputs.map { EncodedKey($0.name) }
        self.views = views.map { view in
            View(
                view: EncodedKey(view.name),
                version: EncodedMembers { writer in
                    writer.key("version")
                    writer.integer(view.interface.version)
                },
                features: view.interface.features.map { EncodedKey($0.name) })
        }
        tableInputs = nodes.map { item in
            guard case .table(let table) = item.node else { return [] }
            return table.inputNames.map { EncodedKey($0) }
        }
        rules = nodes.map { item in
            guard case .table(let table) = item.node else { return [] }
            return table.ruleIDs.indices.map { Self.rule($0, of: table, named: item.name, reasonTexts) }
        }
    }

    private static func rule(
        _ index: Int, of table: CompiledTable, named name: String, _ texts: [String: String]
    ) -> Rule {
        let members = EncodedMembers { writer in
            writer.key("table")
            writer.string(name)
            writer.key("rule")
            writer.integer(index + 1)
            writer.key("rule_id")
            writer.string(table.ruleIDs[index])
        }
        guard let code = table.reasons[index] else { return Rule(members: members, reason: nil) }
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.key("code")
        writer.string(code)
        writer.key("text")
        writer.string(texts[code] ?? "")
        writer.key("table")
        writer.string(name)
        writer.key("rule")
        writer.integer(index + 1)
        writer.endObject()
        return Rule(members: members, reason: writer.finish())
    }

    /// What a matched rule's entry in the trace begins with.
    func rule(_ matched: MatchedRule) -> EncodedMembers { rules[matched.node][matched.rule - 1].members }

    /// The reason that a matched rule gives, if any.
    func reason(of matched: MatchedRule) -> [UInt8]? { rules[matched.node][matched.rule - 1].reason }
}
