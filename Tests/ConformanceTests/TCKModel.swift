import DMN
import FEEL
import Foundation

/// One DMN file, read just far enough to run the suite's literal expressions and top-level tables. Boxed expressions
/// are spelled out as FEEL.
final class TCKModel {
    struct Unsupported: Error {}

    private let root: XMLTree.Element
    private var nodes: [String: XMLTree.Element] = [:]
    private(set) var types: [String: FEELType] = [:]
    private let zones = ZoneOffsets { name, local in
        guard let zone = TimeZone(identifier: name) else { return nil }
        let first = zone.secondsFromGMT(for: Foundation.Date(timeIntervalSince1970: Double(local)))
        return Int32(zone.secondsFromGMT(for: Foundation.Date(timeIntervalSince1970: Double(local) - Double(first))))
    }
    private var cache: [String: Value] = [:]
    private var inputs: [String: Value] = [:]
    private var evaluating: Set<String> = []
    static let now: Int64 = 1_780_000_000_000_000

    init?(_ url: URL) {
        guard let root = XMLTree.parse(url) else { return nil }
        self.root = root
        for child in root.children {
            if let id = child.attribute("id") { nodes[id] = child }
        }
        for _ in 0..<4 {
            for definition in root.all("itemDefinition") {
                if let name = definition.attribute("name") { types[name] = itemType(definition) }
            }
        }
    }

    private func itemType(_ element: XMLTree.Element) -> FEELType {
        var type: FEELType = .any
        let components = element.all("itemComponent")
        if let reference = element.first("typeRef")?.trimmed {
            type = named(reference)
        } else if !components.isEmpty {
            var fields: [String: FEELType] = [:]
            for component in components { fields[component.attribute("name") ?? ""] = itemType(component) }
            type = .context(fields)
        } else if let function = element.first("functionItem") {
            type = .function(
                function.all("parameters").map { named($0.attribute("typeRef") ?? "Any") },
                named(function.attribute("outputTypeRef") ?? "Any"))
        }
        return element.attribute("isCollection") == "true" ? .list(type) : type
    }

    func named(_ reference: String?) -> FEELType {
        guard let reference else { return .any }
        if let type = types[reference] { return type }
        let local = reference.split(separator: ":").last.map(String.init) ?? reference
        return FEELType(name: local) ?? types[local] ?? .any
    }

    // MARK: Running

    func decide(_ name: String, inputs: [String: Value]) throws -> Value {
        guard let decision = root.all("decision").first(where: { $0.attribute("name") == name }) else {
            throw Unsupported()
        }
        self.inputs = inputs
        cache = [:]
        evaluating = []
        return try value(of: decision)
    }

    private func value(of node: XMLTree.Element) throws -> Value {
        let name = node.attribute("name") ?? ""
        if node.name == "inputData" {
            let type = named(node.first("variable")?.attribute("typeRef"))
            return Coercion.coerce(inputs[name] ?? .null, to: type) ?? .null
        }
        if let known = cache[name] { return known }
        guard evaluating.insert(name).inserted else { throw Unsupported() }
        defer { evaluating.remove(name) }
        let (environment, slots) = try environment(of: node)
        let type = named(node.first("variable")?.attribute("typeRef"))
        let raw: Value
        if let table = node.first("decisionTable") {
            let compiled = try DecisionTable.compile(spec(table, type), environment: environment)
            raw = compiled.value(of: compiled.evaluate(slots, now: TCKModel.now))
        } else if let logic = node.first("encapsulatedLogic") {
            raw = evaluate(try text(logic), environment, slots)
        } else if let body = node.children.first(where: { TCKModel.expressions.contains($0.name) }) {
            raw = evaluate(try text(body), environment, slots)
        } else {
            raw = .null
        }
        let value = node.name == "decision" ? Coercion.coerce(raw, to: type) ?? .null : raw
        cache[name] = value
        return value
    }

    private func evaluate(_ source: String, _ environment: Environment, _ slots: [Value]) -> Value {
        guard let expression = try? Expression(source, in: environment) else { return .null }
        return expression.evaluate(slots, now: TCKModel.now)
    }

    private func environment(of node: XMLTree.Element) throws -> (Environment, [Value]) {
        var names: [TypedName] = []
        var slots: [Value] = []
        for requirement in node.children where requirement.name.hasSuffix("Requirement") {
            for reference in requirement.children {
                guard let href = reference.attribute("href"), let target = nodes[String(href.dropFirst())] else {
                    if requirement.name == "authorityRequirement" { continue }
                    throw Unsupported()
                }
                if target.name == "knowledgeSource" { continue }
                if target.name == "decisionService" { throw Unsupported() }
                let value = try value(of: target)
                let declared = named(target.first("variable")?.attribute("typeRef"))
                let type = target.name == "businessKnowledgeModel" ? value.type : declared
                names.append(TypedName(name: target.attribute("name") ?? "", type: type, isNullable: true))
                slots.append(value)
            }
        }
        return (Environment(names, types: types, zones: zones), slots)
    }

    private func spec(_ table: XMLTree.Element, _ type: FEELType) -> DecisionTableSpec {
        let outputs = table.all("output")
        return DecisionTableSpec(
            inputs: table.all("input").map { input in
                let expression = input.first("inputExpression")
                return DecisionTableSpec.Input(
                    name: input.attribute("label") ?? "", expression: expression?.first("text")?.text ?? "null",
                    type: named(expression?.attribute("typeRef")),
                    allowedValues: input.first("inputValues")?.first("text")?.text)
            },
            outputs: outputs.enumerated().map { index, output in
                DecisionTableSpec.Output(
                    name: output.attribute("name") ?? "output \(index)",
                    type: outputs.count == 1 ? type : named(output.attribute("typeRef")),
                    allowedValues: output.first("outputValues")?.first("text")?.text,
                    defaultValue: output.first("defaultOutputEntry")?.first("text")?.text)
            },
            rules: table.all("rule").map { rule in
                DecisionTableSpec.Rule(
                    tests: rule.all("inputEntry").map { $0.first("text")?.text ?? "-" },
                    outputs: rule.all("outputEntry").map { $0.first("text")?.text ?? "null" })
            },
            hitPolicy: HitPolicy(rawValue: table.attribute("hitPolicy") ?? "UNIQUE") ?? .unique,
            aggregation: table.attribute("aggregation").flatMap { Aggregation(rawValue: $0) })
    }

    // MARK: Boxed expressions as FEEL

    static let expressions = [
        "literalExpression", "context", "invocation", "list", "relation", "functionDefinition", "conditional", "filter",
        "for", "some", "every",
    ]

    private func body(_ element: XMLTree.Element?) throws -> String {
        guard let element else { throw Unsupported() }
        if element.first("decisionTable") != nil { throw Unsupported() }
        guard let inner = element.children.first(where: { TCKModel.expressions.contains($0.name) }) else {
            return "null"
        }
        return try text(inner)
    }

    private func text(_ element: XMLTree.Element) throws -> String {
        switch element.name {
        case "literalExpression":
            return element.first("text")?.text ?? "null"
        case "list":
            return "[" + (try items(element)).joined(separator: ", ") + "]"
        case "relation":
            let columns = element.all("column").map { $0.attribute("name") ?? "" }
            let rows = try element.all("row").map { row in
                "{" + zip(columns, try items(row)).map { "\($0): \($1)" }.joined(separator: ", ") + "}"
            }
            return "[" + rows.joined(separator: ", ") + "]"
        case "context": return try contextText(element)
        case "invocation":
            guard let function = element.children.first(where: { TCKModel.expressions.contains($0.name) }) else {
                throw Unsupported()
            }
            let arguments = try element.all("binding").map { binding in
                "\(binding.first("parameter")?.attribute("name") ?? ""): \(try body(binding))"
            }
            return "\(try text(function))(\(arguments.joined(separator: ", ")))"
        case "functionDefinition", "encapsulatedLogic":
            if element.attribute("kind") ?? "FEEL" != "FEEL" { throw Unsupported() }
            let parameters = element.all("formalParameter").map { parameter in
                (parameter.attribute("name") ?? "") + (parameter.attribute("typeRef").map { ": \($0)" } ?? "")
            }
            return "function(\(parameters.joined(separator: ", "))) (\(try body(element)))"
        case "conditional":
            return "if (\(try body(element.first("if")))) then (\(try body(element.first("then")))) "
                + "else (\(try body(element.first("else"))))"
        case "filter":
            return "(\(try body(element.first("in"))))[\(try body(element.first("match")))]"
        case "for", "some", "every":
            let variable = element.attribute("iteratorVariable") ?? "item"
            let (word, part) = element.name == "for" ? ("return", "return") : ("satisfies", "satisfies")
            return "\(element.name) \(variable) in (\(try body(element.first("in")))) \(word) "
                + "(\(try body(element.first(part))))"
        default: throw Unsupported()
        }
    }

    private func items(_ element: XMLTree.Element) throws -> [String] {
        try element.children.filter { $0.name != "decisionTable" }
            .filter { TCKModel.expressions.contains($0.name) }.map { try text($0) }
    }

    private func contextText(_ element: XMLTree.Element) throws -> String {
        var entries: [String] = []
        var result: String?
        for (index, entry) in element.all("contextEntry").enumerated() {
            if let variable = entry.first("variable") {
                entries.append("\(variable.attribute("name") ?? "entry \(index)"): \(try body(entry))")
            } else {
                result = try body(entry)
            }
        }
        guard let result else { return "{" + entries.joined(separator: ", ") + "}" }
        return "{" + (entries + ["result of the context: \(result)"]).joined(separator: ", ")
            + "}.result of the context"
    }
}
