extension DMNWriter {
    func expression(_ expression: BoxedExpression) -> XMLElement {
        let language = expression.expressionLanguage.map { DMNNamespace.upgraded($0) ?? $0 }
        var attributes: Attributes = [("typeRef", expression.typeRef), ("expressionLanguage", language)]
        func part(_ name: String, _ inner: BoxedExpression?) -> XMLElement? {
            inner.map { element(name, [], [self.expression($0)], kept: $0.partKept) }
        }
        let name: String
        var children: [XMLElement?]
        switch expression.kind {
        case .literal(let content): (name, children) = ("literalExpression", [text("text", content)])
        case .decisionTable(let table):
            name = "decisionTable"
            attributes.append(("hitPolicy", table.hitPolicy.rawValue))
            attributes.append(("aggregation", table.aggregation?.rawValue))
            children = self.table(table)
        case .context(let entries):
            name = "context"
            children = entries.map { entry in
                element(
                    "contextEntry", [],
                    [entry.variable.map { information("variable", $0) }, entry.value.map { self.expression($0) }],
                    kept: entry.kept)
            }
        case .invocation(let function, let bindings):
            name = "invocation"
            children = [self.expression(function)]
            children += bindings.map { binding in
                element(
                    "binding", [],
                    [information("parameter", binding.parameter), binding.value.map { self.expression($0) }],
                    kept: binding.kept)
            }
        case .relation(let columns, let rows):
            name = "relation"
            children = columns.map { information("column", $0) }
            children += rows.map { row in
                element("row", [], row.cells.map { self.expression($0) }, kept: row.kept)
            }
        case .list(let items): (name, children) = ("list", items.map { self.expression($0) })
        case .conditional(let condition, let then, let otherwise):
            (name, children) = ("conditional", [part("if", condition), part("then", then), part("else", otherwise)])
        case .filter(let list, let match): (name, children) = ("filter", [part("in", list), part("match", match)])
        case .iteration(let kind, let variable, let domain, let body):
            name = kind.rawValue
            attributes.append(("iteratorVariable", variable.name))
            children = [part("in", domain), part(kind == .collect ? "return" : "satisfies", body)]
        case .function(let definition): return function("functionDefinition", definition)
        }
        return element(name, attributes, children, kept: expression.kept)
    }

    func function(_ name: String, _ definition: FunctionDefinition) -> XMLElement {
        element(
            name,
            [("kind", definition.kind == .feel ? nil : definition.kind.rawValue), ("typeRef", definition.typeRef)],
            definition.parameters.map { information("formalParameter", $0) }
                + [definition.body.map { expression($0) }], kept: definition.kept)
    }

    private func table(_ table: BoxedTable) -> [XMLElement?] {
        var children: [XMLElement?] = table.inputs.map { input in
            element(
                "input", [("label", input.label)],
                [
                    feelText("inputExpression", input.expression, [("typeRef", input.typeRef)]),
                    feelText("inputValues", input.allowedValues),
                ], kept: input.kept)
        }
        children += table.outputs.map { output in
            element(
                "output", [("name", output.name), ("label", output.label), ("typeRef", output.typeRef)],
                [
                    feelText("outputValues", output.allowedValues),
                    feelText("defaultOutputEntry", output.defaultValue),
                ], kept: output.kept)
        }
        children += table.annotations.map { element("annotation", [("name", $0)]) }
        children += table.rules.map { rule in
            element(
                "rule", [("id", rule.id)],
                [text("description", rule.description)] + rule.tests.map { feelText("inputEntry", $0) }
                    + rule.outputs.map { feelText("outputEntry", $0) }
                    + rule.annotations.map { element("annotationEntry", [], [text("text", $0)]) }, kept: rule.kept)
        }
        return children
    }
}
