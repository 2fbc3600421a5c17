extension DMNModel {
    /// Reads a `.dmn` file of DMN 1.1 to 1.5.
    ///
    /// What is not understood (layout, extensions, attributes of tools) is kept for writing. Entity declarations are
    /// refused, sizes are limited (`DMNLimits`).
    /// - Throws: `DMNError` with one issue: an `XMLError.Code`, `not_dmn` or `invalid_model`, and where it stands.
    public init(xml bytes: [UInt8]) throws(DMNError) {
        let root: XMLElement
        do throws(XMLError) {
            root = try XMLReader.parse(bytes) { $0 == "DMNDI" || $0 == "extensionElements" }
        } catch {
            throw DMNError(
                issues: [
                    DMNError.Issue(
                        pointer: "", code: error.code.rawValue, message: error.message, location: error.location)
                ])
        }
        guard root.localName == "definitions", DMNNamespace.version(ofModel: root.namespace) != nil else {
            throw DMNReader.error("not_dmn", "the root is not the definitions of DMN 1.1 to 1.5", root)
        }
        self = try DMNReader(root).model(root)
    }
}

/// Turns a tree into a model.
struct DMNReader {
    let namespace: String
    /// What the root's prefixes stand for: the name of an import, or nothing for FEEL's and XML Schema's types.
    private let prefixes: [String: String]

    init(_ root: XMLElement) {
        namespace = root.namespace
        let imports = Dictionary(
            root.all("import").map { ($0.attribute("namespace") ?? "", $0.attribute("name") ?? "") },
            uniquingKeysWith: { first, _ in first })
        var prefixes: [String: String] = [:]
        for attribute in root.attributes where attribute.name.hasPrefix("xmlns:") {
            prefixes[String(attribute.localName)] = imports[attribute.value] ?? ""
        }
        self.prefixes = prefixes
    }

    static func error(_ code: String, _ message: String, _ element: XMLElement) -> DMNError {
        DMNError(issues: [
            DMNError.Issue(pointer: "/\(element.localName)", code: code, message: message, location: element.location)
        ])
    }

    // MARK: Parts

    /// Everything of an element but the named attributes and DMN children.
    func kept(_ element: XMLElement, _ attributes: Set<String>, _ children: Set<String>) -> Kept {
        var kept = Kept()
        kept.elementName = element.name
        kept.attributes = element.attributes.filter { !attributes.contains($0.name) }
        kept.children = element.children.filter {
            !($0.namespace == namespace && children.contains($0.localName))
        }
        return kept
    }

    func required(_ element: XMLElement, _ attribute: String) throws(DMNError) -> String {
        guard let value = element.attribute(attribute) else {
            throw DMNReader.error("invalid_model", "\(element.localName) needs the attribute '\(attribute)'", element)
        }
        return value
    }

    func flag(_ element: XMLElement, _ attribute: String) -> Bool {
        let value = element.attribute(attribute)
        return value == "true" || value == "1"
    }

    /// A name as FEEL sees it: runs of white space count as one.
    func name(_ element: XMLElement) throws(DMNError) -> String {
        DMNReader.normalized(try required(element, "name"))
    }

    static func normalized(_ name: String) -> String {
        name.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    func typeRef(_ element: XMLElement) -> String? {
        // DMN 1.1 and some tools write the reference as a child.
        let text = element.attribute("typeRef") ?? element.first("typeRef")?.text
        let trimmed = text.map { DMNReader.normalized($0) }
        return trimmed?.isEmpty == true ? nil : trimmed.map { typeName($0) }
    }

    /// DMN 1.1 qualifies types with prefixes (`feel:number`), later versions with the name of an import.
    private func typeName(_ reference: String) -> String {
        guard let colon = reference.utf8.firstIndex(of: UInt8(ascii: ":")),
            let name = prefixes[String(reference[..<colon])]
        else { return reference }
        let local = String(reference[reference.index(after: colon)...])
        return name.isEmpty ? local : "\(DMNReader.normalized(name)).\(local)"
    }

    func text(_ element: XMLElement?) -> String? { element?.first("text")?.text }

    func information(_ element: XMLElement) throws(DMNError) -> InformationItem {
        InformationItem(
            name: try name(element), typeRef: typeRef(element),
            kept: kept(element, ["name", "typeRef"], ["typeRef"]))
    }

    /// The variable of an element; where it is left out (DMN allows it), one of the element's own name.
    func variable(_ element: XMLElement) throws(DMNError) -> InformationItem {
        if let variable = element.first("variable") {
            if variable.attribute("name") != nil { return try information(variable) }
            var item = InformationItem(name: try name(element), typeRef: typeRef(variable))
            item.kept = kept(variable, ["name", "typeRef"], ["typeRef"])
            return item
        }
        return InformationItem(name: try name(element))
    }

    // MARK: Model

    func model(_ root: XMLElement) throws(DMNError) -> DMNModel {
        var model = DMNModel(
            name: try name(root), namespace: try required(root, "namespace"), id: root.attribute("id"),
            description: root.first("description")?.text)
        var understood: Set<String> = ["description", "import", "itemDefinition"]
        for element in root.children where element.namespace == namespace {
            switch element.localName {
            case "import": model.imports.append(try importReference(element))
            case "itemDefinition": model.itemDefinitions.append(try itemDefinition(element, 1))
            default:
                guard let drgElement = try drgElement(element) else { continue }
                understood.insert(element.localName)
                model.elements.append(drgElement)
            }
        }
        model.kept = kept(root, ["name", "namespace", "id", "expressionLanguage", "typeLanguage"], understood)
        if let language = root.attribute("expressionLanguage"), !DMNNamespace.isFEEL(language) {
            throw DMNReader.error("invalid_model", "the expression language '\(language)' is not FEEL", root)
        }
        return model
    }

    private func importReference(_ element: XMLElement) throws(DMNError) -> Import {
        Import(
            name: DMNReader.normalized(element.attribute("name") ?? ""), namespace: try required(element, "namespace"),
            importType: element.attribute("importType") ?? "", locationURI: element.attribute("locationURI"),
            kept: kept(element, ["name", "namespace", "importType", "locationURI"], []), location: element.location)
    }

    private func itemDefinition(_ element: XMLElement, _ depth: Int) throws(DMNError) -> ItemDefinition {
        guard depth <= DMNLimits.typeDepth else {
            throw DMNReader.error("too_complex", "types are nested deeper than \(DMNLimits.typeDepth)", element)
        }
        var definition = ItemDefinition(
            name: try name(element), id: element.attribute("id"), typeRef: typeRef(element),
            isCollection: flag(element, "isCollection"),
            allowedValues: element.first("allowedValues").map { feelText($0) },
            typeConstraint: element.first("typeConstraint").map { feelText($0) }, location: element.location)
        for component in element.all("itemComponent") {
            definition.components.append(try itemDefinition(component, depth + 1))
        }
        if let function = element.first("functionItem") {
            var parameters: [InformationItem] = []
            for parameter in function.all("parameters") { parameters.append(try information(parameter)) }
            definition.function = FunctionItem(
                parameters: parameters, outputTypeRef: function.attribute("outputTypeRef").map { typeName($0) },
                kept: kept(function, ["outputTypeRef"], ["parameters"]))
        }
        definition.kept = kept(
            element, ["name", "id", "typeRef", "isCollection"],
            ["typeRef", "allowedValues", "typeConstraint", "itemComponent", "functionItem"])
        return definition
    }

    private func drgElement(_ element: XMLElement) throws(DMNError) -> DRGElement? {
        switch element.localName {
        case "inputData":
            return .inputData(
                InputData(
                    name: try name(element), id: element.attribute("id"),
                    description: element.first("description")?.text,
                    variable: try variable(element),
                    kept: kept(element, ["name", "id"], ["description", "variable"]), location: element.location))
        case "decision": return .decision(try decision(element))
        case "businessKnowledgeModel": return .businessKnowledgeModel(try knowledgeModel(element))
        case "decisionService": return .decisionService(try service(element))
        case "knowledgeSource":
            return .knowledgeSource(
                KnowledgeSource(
                    name: try name(element), id: element.attribute("id"),
                    description: element.first("description")?.text,
                    requirements: try requirements(element),
                    kept: kept(
                        element, ["name", "id"],
                        ["description", "authorityRequirement", "informationRequirement", "knowledgeRequirement"]),
                    location: element.location))
        default: return nil
        }
    }

    private func decision(_ element: XMLElement) throws(DMNError) -> Decision {
        let expression = try self.expression(in: element, 1)
        return Decision(
            name: try name(element), id: element.attribute("id"), description: element.first("description")?.text,
            question: element.first("question")?.text, allowedAnswers: element.first("allowedAnswers")?.text,
            variable: try variable(element), requirements: try requirements(element), expression: expression,
            kept: kept(
                element, ["name", "id"],
                DMNReader.expressions.union([
                    "description", "question", "allowedAnswers", "variable", "informationRequirement",
                    "knowledgeRequirement", "authorityRequirement",
                ])), location: element.location)
    }

    private func knowledgeModel(_ element: XMLElement) throws(DMNError) -> BusinessKnowledgeModel {
        var logic: FunctionDefinition?
        if let definition = element.first("encapsulatedLogic") { logic = try function(definition, 1) }
        return BusinessKnowledgeModel(
            name: try name(element), id: element.attribute("id"), description: element.first("description")?.text,
            variable: try variable(element), logic: logic, requirements: try requirements(element),
            kept: kept(
                element, ["name", "id"],
                [
                    "description", "variable", "encapsulatedLogic", "knowledgeRequirement", "authorityRequirement",
                    "informationRequirement",
                ]), location: element.location)
    }

    private func service(_ element: XMLElement) throws(DMNError) -> DecisionService {
        func references(_ name: String) throws(DMNError) -> [String] {
            var references: [String] = []
            for reference in element.all(name) { references.append(try required(reference, "href")) }
            return references
        }
        return DecisionService(
            name: try name(element), id: element.attribute("id"), description: element.first("description")?.text,
            variable: try variable(element), outputDecisions: try references("outputDecision"),
            encapsulatedDecisions: try references("encapsulatedDecision"),
            inputDecisions: try references("inputDecision"), inputData: try references("inputData"),
            kept: kept(
                element, ["name", "id"],
                [
                    "description", "variable", "outputDecision", "encapsulatedDecision", "inputDecision", "inputData",
                ]), location: element.location)
    }

    private func requirements(_ element: XMLElement) throws(DMNError) -> [Requirement] {
        var requirements: [Requirement] = []
        for child in element.children
        where child.namespace == namespace
            && ["informationRequirement", "knowledgeRequirement", "authorityRequirement"].contains(child.localName)
        {
            for reference in child.children where reference.namespace == namespace {
                guard var kind = Requirement.Kind(rawValue: reference.localName) else { continue }
                // An authority may be a decision or an input, too; it is never evaluated.
                if child.localName == "authorityRequirement" { kind = .authority }
                var kept = kept(child, [], [reference.localName])
                kept.elementName = kind == .authority ? reference.localName : nil
                requirements.append(
                    Requirement(
                        kind: kind, href: try required(reference, "href"), kept: kept, location: child.location))
            }
        }
        return requirements
    }
}
