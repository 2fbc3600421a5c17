extension DMNModel {
    /// The model as a `.dmn` file of DMN 1.5. Layout, extensions and attributes that were not understood when the model
    /// was read stand where they stood; older namespaces of DMN become those of 1.5.
    public func xml() -> String {
        var writer = XMLWriter()
        writer.write(DMNWriter(self).definitions(self))
        return writer.text
    }
}

/// Turns a model into a tree.
struct DMNWriter {
    /// The prefix of DMN's elements with its colon; empty when they are in the default namespace.
    private let prefix: String

    init(_ model: DMNModel) {
        let name = model.kept.elementName ?? "definitions"
        prefix = name.utf8.firstIndex(of: UInt8(ascii: ":")).map { String(name[...$0]) } ?? ""
    }

    // MARK: Building

    typealias Attributes = [(name: String, value: String?)]

    /// An element with what it kept, children in the schema's order.
    /// - Parameter order: groups of names that follow each other; names of no group come last, in the given order.
    func element(
        _ name: String, _ attributes: Attributes = [], _ children: [XMLElement?] = [], kept: Kept = Kept(),
        order: [[String]] = []
    ) -> XMLElement {
        var element = XMLElement(prefix + name)
        for (name, value) in attributes {
            if let value { element.attributes.append(XMLElement.Attribute(name, value)) }
        }
        for attribute in kept.attributes {
            var upgraded = attribute
            upgraded.value = DMNNamespace.upgraded(attribute.value) ?? attribute.value
            element.attributes.append(upgraded)
        }
        let all = children.compactMap(\.self) + kept.children.map { upgraded($0) }
        let groups = [["description"], ["extensionElements"]] + order
        let ranked = all.enumerated().map { offset, child in
            (rank: groups.firstIndex { $0.contains(child.localName) } ?? groups.count, offset: offset, child: child)
        }
        let sorted = ranked.sorted { ($0.rank, $0.offset) < ($1.rank, $1.offset) }
        element.nodes = sorted.map { .element($0.child) }
        return element
    }

    /// What was kept, with DMN's namespaces as of 1.5.
    private func upgraded(_ element: XMLElement) -> XMLElement {
        var element = element
        element.source = element.source.map { DMNNamespace.upgradedAll(in: $0) }
        for index in element.attributes.indices {
            let value = element.attributes[index].value
            element.attributes[index].value = DMNNamespace.upgraded(value) ?? value
        }
        element.nodes = element.nodes.map { node in
            if case .element(let child) = node { .element(upgraded(child)) } else { node }
        }
        return element
    }

    func text(_ name: String, _ content: String?) -> XMLElement? {
        content.map { XMLElement(prefix + name, nodes: $0.isEmpty ? [] : [.text($0)]) }
    }

    func feelText(_ name: String, _ text: FEELText?, _ attributes: Attributes = []) -> XMLElement? {
        text.map { element(name, attributes, [self.text("text", $0.text)], kept: $0.kept) }
    }

    func information(_ name: String, _ item: InformationItem) -> XMLElement {
        element(name, [("name", item.name), ("typeRef", item.typeRef)], kept: item.kept)
    }

    // MARK: Model

    func definitions(_ model: DMNModel) -> XMLElement {
        var kept = model.kept
        if kept.elementName == nil {
            kept.attributes.insert(XMLElement.Attribute("xmlns", DMNNamespace.current), at: 0)
        }
        // It names schemas of the version that was read.
        kept.attributes.removeAll { $0.localName == "schemaLocation" }
        return element(
            "definitions", [("id", model.id), ("name", model.name), ("namespace", model.namespace)],
            [text("description", model.description)] + model.imports.map { importReference($0) }
                + model.itemDefinitions.map { itemDefinition("itemDefinition", $0) }
                + model.elements.map { drgElement($0) },
            kept: kept,
            order: [
                ["import"], ["itemDefinition"],
                ["inputData", "decision", "businessKnowledgeModel", "decisionService", "knowledgeSource"],
                ["group", "textAnnotation", "association"], ["elementCollection"],
                ["performanceIndicator", "organizationUnit"],
            ])
    }

    private func importReference(_ reference: Import) -> XMLElement {
        element(
            "import",
            [
                ("name", reference.name), ("namespace", reference.namespace),
                ("importType", DMNNamespace.upgraded(reference.importType) ?? reference.importType),
                ("locationURI", reference.locationURI),
            ], kept: reference.kept)
    }

    private func itemDefinition(_ name: String, _ definition: ItemDefinition) -> XMLElement {
        let function = definition.function.map { function in
            element(
                "functionItem", [("outputTypeRef", function.outputTypeRef)],
                function.parameters.map { information("parameters", $0) }, kept: function.kept)
        }
        return element(
            name,
            [
                ("id", definition.id), ("name", definition.name),
                ("isCollection", definition.isCollection ? "true" : nil),
            ],
            [
                text("typeRef", definition.typeRef), feelText("allowedValues", definition.allowedValues),
                feelText("typeConstraint", definition.typeConstraint),
            ] + definition.components.map { itemDefinition("itemComponent", $0) } + [function], kept: definition.kept)
    }

    private func drgElement(_ drgElement: DRGElement) -> XMLElement {
        switch drgElement {
        case .inputData(let input):
            return element(
                "inputData", [("id", input.id), ("name", input.name)],
                [text("description", input.description), information("variable", input.variable)], kept: input.kept)
        case .decision(let decision): return self.decision(decision)
        case .businessKnowledgeModel(let model):
            return element(
                "businessKnowledgeModel", [("id", model.id), ("name", model.name)],
                [
                    text("description", model.description), information("variable", model.variable),
                    model.logic.map { function("encapsulatedLogic", $0) },
                ] + model.requirements.map { requirement($0) }, kept: model.kept,
                order: [["variable"], ["encapsulatedLogic"], ["knowledgeRequirement"], ["authorityRequirement"]])
        case .decisionService(let service): return self.service(service)
        case .knowledgeSource(let source):
            return element(
                "knowledgeSource", [("id", source.id), ("name", source.name)],
                [text("description", source.description)] + source.requirements.map { requirement($0) },
                kept: source.kept, order: [["authorityRequirement"], ["type"], ["owner"]])
        }
    }

    private func decision(_ decision: Decision) -> XMLElement {
        element(
            "decision", [("id", decision.id), ("name", decision.name)],
            [
                text("description", decision.description), text("question", decision.question),
                text("allowedAnswers", decision.allowedAnswers), information("variable", decision.variable),
            ] + decision.requirements.map { requirement($0) } + [decision.expression.map { expression($0) }],
            kept: decision.kept,
            order: [
                ["question"], ["allowedAnswers"], ["variable"], ["informationRequirement"], ["knowledgeRequirement"],
                ["authorityRequirement"], ["supportedObjective"], ["impactedPerformanceIndicator"], ["decisionMaker"],
                ["decisionOwner"], ["usingProcess"], ["usingTask"],
            ])
    }

    private func service(_ service: DecisionService) -> XMLElement {
        func references(_ name: String, _ references: [String]) -> [XMLElement] {
            references.map { element(name, [("href", $0)]) }
        }
        return element(
            "decisionService", [("id", service.id), ("name", service.name)],
            [text("description", service.description), information("variable", service.variable)]
                + references("outputDecision", service.outputDecisions)
                + references("encapsulatedDecision", service.encapsulatedDecisions)
                + references("inputDecision", service.inputDecisions) + references("inputData", service.inputData),
            kept: service.kept)
    }

    private func requirement(_ requirement: Requirement) -> XMLElement {
        let name =
            switch requirement.kind {
            case .input, .decision: "informationRequirement"
            case .knowledge: "knowledgeRequirement"
            case .authority: "authorityRequirement"
            }
        // An authority may be a decision or an input; its kind of reference was kept.
        let reference = requirement.kept.elementName ?? requirement.kind.rawValue
        return element(name, [], [element(reference, [("href", requirement.href)])], kept: requirement.kept)
    }
}
