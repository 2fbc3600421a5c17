extension DMNReader {
    static let expressions: Set<String> = [
        "literalExpression", "decisionTable", "context", "invocation", "relation", "list", "conditional", "filter",
        "for", "some", "every", "functionDefinition",
    ]

    /// The expression that an element holds; nil when there is none.
    func expression(in element: XMLElement?, _ depth: Int) throws(DMNError) -> BoxedExpression? {
        guard let element else { return nil }
        for child in element.children
        where child.namespace == namespace && DMNReader.expressions.contains(child.localName) {
            return try expression(child, depth)
        }
        return nil
    }

    private func expression(_ element: XMLElement, _ depth: Int) throws(DMNError) -> BoxedExpression {
        guard depth <= DMNLimits.expressionDepth else {
            throw DMNReader.error(
                "too_complex", "boxed expressions are nested deeper than \(DMNLimits.expressionDepth)", element)
        }
        let kind: BoxedExpression.Kind
        var attributes: Set<String> = ["typeRef"]
        var children: Set<String> = []
        switch element.localName {
        case "literalExpression":
            kind = .literal(text(element) ?? "")
            attributes.insert("expressionLanguage")
            children = ["text"]
        case "decisionTable":
            kind = .decisionTable(try table(element))
            attributes.formUnion(["hitPolicy", "aggregation"])
            children = ["input", "output", "annotation", "rule"]
        case "context":
            kind = .context(try contextEntries(element, depth))
            children = ["contextEntry"]
        case "invocation":
            kind = try invocation(element, depth)
            children = DMNReader.expressions.union(["binding"])
        case "relation":
            kind = try relation(element, depth)
            children = ["column", "row"]
        case "list":
            kind = .list(try items(element, depth))
            children = DMNReader.expressions
        case "functionDefinition":
            kind = .function(try function(element, depth))
            attributes.insert("kind")
            children = DMNReader.expressions.union(["formalParameter"])
        default: (kind, attributes, children) = try control(element, depth)
        }
        var location = element.location
        if element.localName == "literalExpression", let text = element.first("text") { location = text.location }
        return BoxedExpression(
            kind, typeRef: typeRef(element), expressionLanguage: element.attribute("expressionLanguage"),
            kept: kept(element, attributes, children), location: location)
    }

    /// The boxes of DMN 1.4: conditional, filter, for, some, every.
    private func control(
        _ element: XMLElement, _ depth: Int
    ) throws(DMNError) -> (BoxedExpression.Kind, Set<String>, Set<String>) {
        func part(_ name: String) throws(DMNError) -> BoxedExpression? {
            guard let part = element.first(name), var inner = try expression(in: part, depth + 1) else { return nil }
            inner.partKept = kept(part, [], DMNReader.expressions)
            return inner
        }
        switch element.localName {
        case "conditional":
            return (
                .conditional(condition: try part("if"), then: try part("then"), otherwise: try part("else")),
                ["typeRef"], ["if", "then", "else"]
            )
        case "filter":
            return (.filter(list: try part("in"), match: try part("match")), ["typeRef"], ["in", "match"])
        default:
            let kind = BoxedExpression.IterationKind(rawValue: element.localName) ?? .collect
            let body = kind == .collect ? "return" : "satisfies"
            let variable = InformationItem(name: DMNReader.normalized(try required(element, "iteratorVariable")))
            return (
                .iteration(kind, variable: variable, domain: try part("in"), body: try part(body)),
                ["typeRef", "iteratorVariable"], ["in", body]
            )
        }
    }

    private func items(_ element: XMLElement, _ depth: Int) throws(DMNError) -> [BoxedExpression] {
        var items: [BoxedExpression] = []
        for child in element.children
        where child.namespace == namespace && DMNReader.expressions.contains(child.localName) {
            items.append(try expression(child, depth + 1))
        }
        return items
    }

    private func contextEntries(
        _ element: XMLElement, _ depth: Int
    ) throws(DMNError) -> [BoxedExpression.ContextEntry] {
        var entries: [BoxedExpression.ContextEntry] = []
        for entry in element.all("contextEntry") {
            var variable: InformationItem?
            if let named = entry.first("variable") { variable = try information(named) }
            entries.append(
                BoxedExpression.ContextEntry(
                    variable: variable, value: try expression(in: entry, depth + 1),
                    kept: kept(entry, [], DMNReader.expressions.union(["variable"]))))
        }
        return entries
    }

    private func invocation(_ element: XMLElement, _ depth: Int) throws(DMNError) -> BoxedExpression.Kind {
        guard let function = try expression(in: element, depth + 1) else {
            throw DMNReader.error("invalid_model", "an invocation needs the expression of its function", element)
        }
        var bindings: [BoxedExpression.Binding] = []
        for binding in element.all("binding") {
            guard let parameter = binding.first("parameter") else {
                throw DMNReader.error("invalid_model", "a binding needs its parameter", binding)
            }
            bindings.append(
                BoxedExpression.Binding(
                    parameter: try information(parameter), value: try expression(in: binding, depth + 1),
                    kept: kept(binding, [], DMNReader.expressions.union(["parameter"]))))
        }
        return .invocation(function: function, bindings: bindings)
    }

    private func relation(_ element: XMLElement, _ depth: Int) throws(DMNError) -> BoxedExpression.Kind {
        var columns: [InformationItem] = []
        for column in element.all("column") { columns.append(try information(column)) }
        var rows: [BoxedExpression.Row] = []
        for row in element.all("row") {
            let items = try items(row, depth)
            guard items.count == columns.count else {
                throw DMNReader.error("invalid_model", "a row needs \(columns.count) cells", row)
            }
            rows.append(BoxedExpression.Row(items, kept: kept(row, [], DMNReader.expressions)))
        }
        return .relation(columns: columns, rows: rows)
    }

    func function(_ element: XMLElement, _ depth: Int) throws(DMNError) -> FunctionDefinition {
        let kindName = element.attribute("kind") ?? "FEEL"
        guard let kind = FunctionDefinition.Kind(rawValue: kindName) else {
            throw DMNReader.error("invalid_model", "'\(kindName)' is no kind of function", element)
        }
        var parameters: [InformationItem] = []
        for parameter in element.all("formalParameter") { parameters.append(try information(parameter)) }
        guard parameters.count <= DMNLimits.parameters else {
            throw DMNReader.error("too_complex", "more than \(DMNLimits.parameters) parameters", element)
        }
        return FunctionDefinition(
            kind: kind, parameters: parameters, body: try expression(in: element, depth + 1),
            typeRef: typeRef(element),
            kept: kept(
                element, ["kind", "typeRef"], DMNReader.expressions.union(["formalParameter"])),
            location: element.location)
    }

    // MARK: Tables

    /// - Parameter attributes: those that are understood elsewhere.
    func feelText(_ element: XMLElement, _ attributes: Set<String> = []) -> FEELText {
        FEELText(
            text(element) ?? "", kept: kept(element, attributes, ["text"]),
            location: element.first("text")?.location ?? element.location)
    }

    private func table(_ element: XMLElement) throws(DMNError) -> BoxedTable {
        let policyName = element.attribute("hitPolicy") ?? HitPolicy.unique.rawValue
        guard let policy = HitPolicy(rawValue: policyName) else {
            throw DMNReader.error("invalid_model", "'\(policyName)' is no hit policy", element)
        }
        var aggregation: Aggregation?
        if let name = element.attribute("aggregation") {
            aggregation = Aggregation(rawValue: name)
            if aggregation == nil {
                throw DMNReader.error("invalid_model", "'\(name)' is no aggregation", element)
            }
        }
        var table = BoxedTable(inputs: [], outputs: [], rules: [], hitPolicy: policy, aggregation: aggregation)
        for input in element.all("input") { table.inputs.append(try self.input(input)) }
        for output in element.all("output") { table.outputs.append(self.output(output)) }
        table.annotations = element.all("annotation").map { $0.attribute("name") ?? "" }
        for rule in element.all("rule") { table.rules.append(self.rule(rule)) }
        return table
    }

    private func input(_ element: XMLElement) throws(DMNError) -> BoxedTable.Input {
        guard let expression = element.first("inputExpression") else {
            throw DMNReader.error("invalid_model", "an input needs its expression", element)
        }
        return BoxedTable.Input(
            label: element.attribute("label"), expression: feelText(expression, ["typeRef"]),
            typeRef: typeRef(expression),
            allowedValues: element.first("inputValues").map { feelText($0) },
            kept: kept(element, ["label"], ["inputExpression", "inputValues"]))
    }

    private func output(_ element: XMLElement) -> BoxedTable.Output {
        BoxedTable.Output(
            name: element.attribute("name").map { DMNReader.normalized($0) }, label: element.attribute("label"),
            typeRef: typeRef(element), allowedValues: element.first("outputValues").map { feelText($0) },
            defaultValue: element.first("defaultOutputEntry").map { feelText($0) },
            kept: kept(element, ["name", "label", "typeRef"], ["outputValues", "defaultOutputEntry"]))
    }

    private func rule(_ element: XMLElement) -> BoxedTable.Rule {
        BoxedTable.Rule(
            id: element.attribute("id"), tests: element.all("inputEntry").map { feelText($0) },
            outputs: element.all("outputEntry").map { feelText($0) },
            annotations: element.all("annotationEntry").map { text($0) ?? "" },
            description: element.first("description")?.text,
            kept: kept(
                element, ["id"], ["inputEntry", "outputEntry", "annotationEntry", "description"]),
            location: element.location)
    }
}
