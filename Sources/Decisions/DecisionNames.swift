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
    private let reasonTexts: [String: String]

    init(
        name: String, version: Int, tzdata: String?, spec: DecisionSpec, nodes: [(name: String, node: CompiledNode)],
        views: [(name: String, interface: ViewInterface)], reasonTexts: [String: String]
    ) {
        self.reasonTexts = reasonTexts
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
        let reason = table.reasons[index].map { self.reason($0, texts[$0] ?? "", table: name, rule: index + 1) }
        return Rule(members: members, reason: reason)
    }

    private static func reason(_ code: String, _ text: String, table: String, rule: Int) -> [UInt8] {
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.key("code")
        writer.string(code)
        writer.key("text")
        writer.string(text)
        writer.key("table")
        writer.string(table)
        writer.key("rule")
        writer.integer(rule)
        writer.endObject()
        return writer.finish()
    }

    /// What a matched rule's entry in the trace begins with; nil for a rule of a DMN model's table.
    func rule(_ matched: MatchedRule) -> EncodedMembers? {
        rules[matched.node].isEmpty ? nil : rules[matched.node][matched.rule - 1].members
    }

    /// The reason that a matched rule gives, if any.
    func reason(of matched: MatchedRule) -> [UInt8]? {
        if !rules[matched.node].isEmpty { return rules[matched.node][matched.rule - 1].reason }
        return matched.reason.map {
            Self.reason($0, reasonTexts[$0] ?? "", table: matched.table, rule: matched.rule)
        }
    }

    /// The text of a reason code; nil for a code that the decision does not declare.
    func reasonText(_ code: String) -> String? { reasonTexts[code] }
}
