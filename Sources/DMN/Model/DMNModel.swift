/// A DMN model as its author wrote it (DMN 1.5, chapters 6 to 10): the content of one `.dmn` file.
public struct DMNModel: Sendable {
    /// The model's name.
    public var name: String
    /// The namespace that its elements are known by elsewhere.
    public var namespace: String
    /// The author's identifier.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// Models that this one refers to.
    public var imports: [Import]
    /// Types.
    public var itemDefinitions: [ItemDefinition]
    /// Inputs, decisions, knowledge models, services and sources, in the file's order.
    public var elements: [DRGElement]
    /// What is kept for writing only: layout, extensions, artifacts, attributes of tools.
    public var kept: Kept

    /// Makes a model.
    public init(
        name: String, namespace: String, id: String? = nil, description: String? = nil, imports: [Import] = [],
        itemDefinitions: [ItemDefinition] = [], elements: [DRGElement] = [], kept: Kept = Kept()
    ) {
        self.name = name
        self.namespace = namespace
        self.id = id
        self.description = description
        self.imports = imports
        self.itemDefinitions = itemDefinitions
        self.elements = elements
        self.kept = kept
    }
}

/// Attributes and child elements that mean nothing here but belong to the file.
public struct Kept: Sendable {
    /// The element's name as written, prefix included; nil when the element was not read from a file.
    public var elementName: String?
    /// Attributes that are not understood, declarations of namespaces included.
    public var attributes: [XMLElement.Attribute]
    /// Child elements that are not understood.
    public var children: [XMLElement]

    /// Makes an empty store.
    public init() {
        attributes = []
        children = []
    }
}

/// A reference to another model.
public struct Import: Sendable {
    /// The name that the other model's elements are reached by; empty puts them into the same scope.
    public var name: String
    /// The other model's namespace.
    public var namespace: String
    /// What is imported; only DMN models are understood.
    public var importType: String
    /// Where the author kept the other file; not followed.
    public var locationURI: String?
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Whether it brings in a DMN model.
    public var isModel: Bool { DMNNamespace.version(ofModel: importType) != nil || importType.isEmpty }

    /// Makes an import.
    public init(
        name: String, namespace: String, importType: String = DMNNamespace.current, locationURI: String? = nil,
        kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.name = name
        self.namespace = namespace
        self.importType = importType
        self.locationURI = locationURI
        self.kept = kept
        self.location = location
    }
}

/// A type that a model defines.
public struct ItemDefinition: Sendable {
    /// The type's name, or the component's.
    public var name: String
    /// The author's identifier.
    public var id: String?
    /// The type that this one is made of: a FEEL type or another definition's name.
    public var typeRef: String?
    /// Whether values are lists of it.
    public var isCollection: Bool
    /// FEEL unary tests that every value (of a collection: every element) passes.
    public var allowedValues: FEELText?
    /// FEEL unary tests that the value as a whole passes (DMN 1.5).
    public var typeConstraint: FEELText?
    /// Entries of a structure.
    public var components: [ItemDefinition]
    /// The signature of a function type.
    public var function: FunctionItem?
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a definition.
    public init(
        name: String, id: String? = nil, typeRef: String? = nil, isCollection: Bool = false,
        allowedValues: FEELText? = nil, typeConstraint: FEELText? = nil, components: [ItemDefinition] = [],
        function: FunctionItem? = nil, kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.typeRef = typeRef
        self.isCollection = isCollection
        self.allowedValues = allowedValues
        self.typeConstraint = typeConstraint
        self.components = components
        self.function = function
        self.kept = kept
        self.location = location
    }
}

/// The signature of a function type.
public struct FunctionItem: Sendable {
    /// Parameters in order.
    public var parameters: [InformationItem]
    /// The result's type.
    public var outputTypeRef: String?
    /// See `DMNModel.kept`.
    public var kept: Kept

    /// Makes a signature.
    public init(parameters: [InformationItem], outputTypeRef: String? = nil, kept: Kept = Kept()) {
        self.parameters = parameters
        self.outputTypeRef = outputTypeRef
        self.kept = kept
    }
}

/// A named, typed place: a variable or a parameter.
public struct InformationItem: Sendable {
    /// Its name.
    public var name: String
    /// Its type's name; nil for any.
    public var typeRef: String?
    /// See `DMNModel.kept`.
    public var kept: Kept

    /// Makes a place.
    public init(name: String, typeRef: String? = nil, kept: Kept = Kept()) {
        self.name = name
        self.typeRef = typeRef
        self.kept = kept
    }
}
