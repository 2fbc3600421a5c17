import Decisions
import JSON

/// A model's card for people: what its author wrote, beside what the registry and the artifact say.
struct ModelCardPage {
    let name: String
    let version: ModelVersion
    let definition: ModelDefinition
    /// Nil when the artifact cannot be loaded.
    let served: ServedModel?

    private var card: ModelCard { definition.card }
    private var owner: String? { card.owner ?? version.definition.owner }

    // MARK: JSON

    /// The card as JSON.
    var json: [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("version")
        writer.integer(version.number)
        writer.key("stage")
        writer.string(version.stage.rawValue)
        writer.key("sha256")
        writer.string(definition.artifact)
        for (key, text) in [
            ("owner", owner), ("description", version.definition.description), ("purpose", card.purpose),
            ("limitations", card.limitations), ("review_date", card.reviewDate),
        ] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.key("training_data")
        (card.trainingData ?? .null).write(to: &writer)
        writer.key("metrics")
        writer.beginObject()
        for metric in card.metrics {
            writer.key(metric.name)
            metric.value.write(to: &writer)
        }
        writer.endObject()
        writer.key("approval")
        writeApproval(&writer)
        writer.key("features")
        writeFeatures(&writer)
        writer.key("reasons")
        writeReasons(&writer)
        writer.key("reference")
        (card.reference?.tree ?? .null).write(to: &writer)
        writer.endObject()
        return writer.bytes
    }

    private func writeApproval(_ writer: inout JSONWriter) {
        guard let approval = card.approval else { return writer.null() }
        writer.beginObject()
        writer.key("by")
        writer.string(approval.by)
        for (key, text) in [("at", approval.at), ("note", approval.note)] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.endObject()
    }

    private func writeFeatures(_ writer: inout JSONWriter) {
        writer.beginArray()
        for input in served?.inputs ?? [] {
            writer.beginObject()
            writer.key("name")
            writer.string(input.name)
            writer.key("type")
            writer.string(input.kind.rawValue)
            writer.key("missing")
            writer.string(Self.text(input.rule.missing))
            writer.key("unknown")
            writer.string(Self.text(input.rule.unknown))
            writer.endObject()
        }
        writer.endArray()
    }

    private func writeReasons(_ writer: inout JSONWriter) {
        writer.beginArray()
        for code in definition.reasons?.codes ?? [] {
            writer.beginObject()
            writer.key("feature")
            writer.string(code.feature)
            writer.key("code")
            writer.string(code.code)
            writer.key("text")
            writer.string(code.text)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func text(_ replacement: ModelInputRule.Replacement) -> String {
        switch replacement {
        case .missing: "missing"
        case .refuse: "refuse"
        case .value(let number): "default \(number)"
        }
    }

    // MARK: Markdown

    /// The card as Markdown.
    var markdown: String {
        var lines = ["# \(Self.plain(name)), version \(version.number)", ""]
        if let text = version.definition.description { lines += [Self.plain(text), ""] }
        lines += ["| | |", "|---|---|"]
        for (key, value) in facts { lines.append("| \(key) | \(Self.cell(value)) |") }
        section("Purpose", card.purpose, &lines)
        section("Limitations", card.limitations, &lines)
        switch card.trainingData {
        case .string(let text): section("Training data", text, &lines)
        case .object(let members):
            table("Training data", ["what", "value"], members.map { [$0.key, Self.text($0.value)] }, &lines)
        default: break
        }
        table("Metrics", ["metric", "value"], card.metrics.map { [$0.name, Self.text($0.value)] }, &lines)
        table(
            "Inputs", ["input", "type", "missing", "unknown category"],
            (served?.inputs ?? []).map {
                [
                    $0.name, $0.kind.rawValue, Self.text($0.rule.missing),
                    $0.kind == .category ? Self.text($0.rule.unknown) : "",
                ]
            }, &lines)
        table(
            "Reason codes", ["input", "code", "text"],
            (definition.reasons?.codes ?? []).map { [$0.feature, $0.code, $0.text] }, &lines)
        table(
            "Stages", ["stage", "at", "by", "why"],
            version.changes.map { [$0.stage.rawValue, Timestamp.text($0.atMicros), $0.principal, $0.reason] }, &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private var facts: [(String, String)] {
        var facts = [("stage", version.stage.rawValue), ("owner", owner ?? "nobody")]
        if let served {
            facts.append(("format", served.model.format.rawValue))
            facts.append(("objective", served.model.objective))
            if served.model.treeCount > 0 { facts.append(("trees", String(served.model.treeCount))) }
        }
        facts.append(("artifact (SHA-256)", definition.artifact))
        if let approval = card.approval {
            facts.append(
                ("approved by", [approval.by, approval.at, approval.note].compactMap { $0 }.joined(separator: ", ")))
        }
        facts.append(("to be reviewed", card.reviewDate ?? "no date given"))
        return facts
    }

    private func section(_ title: String, _ text: String?, _ lines: inout [String]) {
        if let text { lines += ["", "## \(title)", "", Self.plain(text)] }
    }

    private func table(_ title: String, _ columns: [String], _ rows: [[String]], _ lines: inout [String]) {
        guard !rows.isEmpty else { return }
        lines += ["", "## \(title)", "", Self.row(columns), "|" + String(repeating: "---|", count: columns.count)]
        for row in rows { lines.append(Self.row(row)) }
    }

    private static func row(_ cells: [String]) -> String {
        "| " + cells.map(cell).joined(separator: " | ") + " |"
    }

    private static func text(_ tree: JSONTree) -> String {
        tree.string ?? String(decoding: tree.bytes, as: UTF8.self)
    }

    /// A text in which nothing is taken for markup of HTML or a heading.
    private static func plain(_ text: String) -> String {
        var made = ""
        for character in text {
            switch character {
            case "<": made += "&lt;"
            case ">": made += "&gt;"
            case "&": made += "&amp;"
            default: made.append(character)
            }
        }
        return made
    }

    /// The same within a table.
    private static func cell(_ text: String) -> String {
        plain(text).replacing("|", with: "\\|").replacing("\n", with: " ")
    }
}
