import FEEL

/// Who calls: the holder of an API key, or nobody in particular.
public struct Principal: Hashable, Sendable {
    /// How the caller was identified.
    public enum Kind: String, Hashable, Sendable {
        /// By an API key.
        case key
        /// Not at all; only rules that name the principal `anonymous` reach it.
        case anonymous
    }

    /// Stable id of the person or system; several keys may carry the same one.
    public let id: String
    /// How the caller was identified.
    public let kind: Kind
    /// The roles, sorted and distinct.
    public let roles: [String]
    /// Trusted attributes, readable as `subject.attributes` in conditions.
    public let attributes: Context

    /// Makes a principal; roles are sorted and made distinct.
    public init(id: String, kind: Kind = .key, roles: [String], attributes: Context = Context()) {
        self.id = id
        self.kind = kind
        self.roles = Set(roles).sorted()
        self.attributes = attributes
    }

    /// The caller that sent no credentials. It has no role, and no rule reaches it by accident.
    public static let anonymous = Principal(id: "anonymous", kind: .anonymous, roles: [])
}
