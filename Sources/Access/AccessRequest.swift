import FEEL

/// Who asks for access: a caller of this service, or the subject of an AuthZEN request.
public struct AccessSubject: Hashable, Sendable {
    /// `principal` for a caller of this service, else what the request says (`user`, `device`, ...).
    public let type: String
    /// The id within the type.
    public let id: String
    /// Trusted roles; those of the attribute table are added. Never taken from a request.
    public let roles: [String]
    /// Trusted attributes; the row of the attribute table, if there is one, replaces them.
    public let attributes: Context
    /// What the request itself claims about the subject.
    public let properties: Context
    /// Whether nobody in particular asks; only rules that name it reach it.
    public let isAnonymous: Bool

    /// Makes a subject.
    public init(
        type: String, id: String, roles: [String] = [], attributes: Context = Context(),
        properties: Context = Context(),
        isAnonymous: Bool = false
    ) {
        self.type = type
        self.id = id
        self.roles = roles
        self.attributes = attributes
        self.properties = properties
        self.isAnonymous = isAnonymous
    }

    /// The subject that a caller is.
    public init(_ principal: Principal) {
        self.init(
            type: Policy.principalType, id: principal.id, roles: principal.roles, attributes: principal.attributes,
            isAnonymous: principal.kind == .anonymous)
    }
}

/// What access is asked to.
public struct AccessResource: Hashable, Sendable {
    /// E.g. `decision`, `stream`, `feature_view`, or a type of the AuthZEN client's own.
    public let type: String
    /// The id within the type; `*` for all of them (a listing).
    public let id: String
    /// The business unit it belongs to, if known.
    public let domain: String?
    /// What is known of it, readable as `resource.properties` in conditions.
    public let properties: Context

    /// Makes a resource.
    public init(type: String, id: String, domain: String? = nil, properties: Context = Context()) {
        self.type = type
        self.id = id
        self.domain = domain
        self.properties = properties
    }
}

/// One question: may this subject do this to that?
public struct AccessRequest: Hashable, Sendable {
    /// Who asks.
    public let subject: AccessSubject
    /// The action's name.
    public let action: String
    /// Properties of the action, readable as `action.properties`.
    public let actionProperties: Context
    /// What it would be done to.
    public let resource: AccessResource
    /// Circumstances, readable as `context`.
    public let context: Context

    /// Makes a question.
    public init(
        subject: AccessSubject, action: String, actionProperties: Context = Context(), resource: AccessResource,
        context: Context = Context()
    ) {
        self.subject = subject
        self.action = action
        self.actionProperties = actionProperties
        self.resource = resource
        self.context = context
    }
}

/// Where the attributes of subjects come from: rows of reference tables, in memory.
public protocol AttributeSource {
    /// The row of a table whose key is this subject id; nil when there is none.
    func attributes(table: String, subjectID: String) -> Context?
}

/// A source that knows nobody.
public struct NoAttributes: AttributeSource, Sendable {
    /// Makes it.
    public init() {}

    /// Always nil.
    public func attributes(table: String, subjectID: String) -> Context? { nil }
}
