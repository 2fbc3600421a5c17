import DMN
import FEEL

/// Small models for tests, written as text.
enum Models {
    static let namespace = "https://example.com/test"

    /// A DMN 1.5 file around some elements.
    static func file(
        _ content: String, namespace: String = Models.namespace, dmn: String = DMNNamespace.current,
        attributes: String = ""
    ) -> String {
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <definitions xmlns="\(dmn)" name="test" namespace="\(namespace)" id="d" \(attributes)>
        \(content)
        </definitions>
        """
    }

    static func read(_ text: String) throws(DMNError) -> DMNModel { try DMNModel(xml: Array(text.utf8)) }

    /// Compiles as the letter of DMN has it.
    static func compile(_ content: String, imports: [DMNModel] = [], tolerant: Bool = true) throws -> CompiledModel {
        try CompiledModel.compile(
            read(file(content)), imports: imports,
            options: .init(profile: tolerant ? .dmn : .closed, isTolerant: tolerant))
    }

    static func input(_ name: String, _ type: String? = nil) -> String {
        let type = type.map { " typeRef=\"\($0)\"" } ?? ""
        return "<inputData id=\"\(name)\" name=\"\(name)\"><variable name=\"\(name)\"\(type)/></inputData>"
    }

    /// A decision with FEEL text or another box.
    static func decision(
        _ name: String, _ expression: String, inputs: [String] = [], decisions: [String] = [], knowledge: [String] = [],
        type: String? = nil
    ) -> String {
        let type = type.map { " typeRef=\"\($0)\"" } ?? ""
        let needs =
            inputs.map { "<informationRequirement><requiredInput href=\"#\($0)\"/></informationRequirement>" }
            + decisions.map { "<informationRequirement><requiredDecision href=\"#\($0)\"/></informationRequirement>" }
            + knowledge.map { "<knowledgeRequirement><requiredKnowledge href=\"#\($0)\"/></knowledgeRequirement>" }
        let box = expression.hasPrefix("<") ? expression : literal(expression)
        return
            "<decision id=\"\(name)\" name=\"\(name)\"><variable name=\"\(name)\"\(type)/>\(needs.joined())\(box)</decision>"
    }

    static func literal(_ text: String, type: String? = nil) -> String {
        let type = type.map { " typeRef=\"\($0)\"" } ?? ""
        let escaped = text.split(separator: "&", omittingEmptySubsequences: false).joined(separator: "&amp;")
            .split(separator: "<", omittingEmptySubsequences: false).joined(separator: "&lt;")
        return "<literalExpression\(type)><text>\(escaped)</text></literalExpression>"
    }
}

extension CompiledModel {
    /// The value of a decision as FEEL text.
    func text(_ decision: String, _ inputs: [String: Value] = [:]) -> String {
        evaluate(decision: decision, inputs: inputs)?.value.text ?? "no such decision"
    }
}
