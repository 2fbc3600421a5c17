import FEEL

/// A compiled policy definition: rules of one name and version.
public struct Policy: Sendable {
    /// The definition's name.
    public let name: String
    /// The definition's version, as the server assigned it.
    public let version: Int
    /// The business unit that owns the policy; empty for none.
    public let domain: String
    /// The owner; empty for none.
    public let owner: String
    /// What it is for.
    public let summary: String
    /// The subject type whose requests the rules decide: `principal` for callers of this service (the default),
    /// anything else for the subjects of AuthZEN requests.
    public let subjectType: String
    /// The reference table, keyed by subject id, that supplies `subject.attributes` and, by its field `roles`, the
    /// subject's roles.
    public let attributeTable: String?
    /// The rules in order.
    public let rules: [PolicyRule]
    /// What an author should look at, though it is allowed: a permit that holds when every attribute is absent.
    public let warnings: [AccessError.Issue]

    /// The subject type of callers of this service.
    public static let principalType = "principal"
}

/// One rule of a policy.
public struct PolicyRule: Sendable {
    /// What a rule does where it applies.
    public enum Effect: Hashable, Sendable {
        /// Allows the action, unless a forbid rule applies too.
        case permit
        /// Refuses the action, whatever else permits it.
        case forbid
        /// Masks fields of what is read.
        case mask(Mask)
    }

    /// Unique within the policy.
    public let id: String
    /// What it does.
    public let effect: Effect
    /// Subjects with one of these roles; with `principals` also empty: every identified subject (and for forbid and
    /// mask, the anonymous one too).
    public let roles: [String]
    /// Subjects with one of these ids. The only way to permit something to `anonymous`.
    public let principals: [String]
    /// Subjects with one of these roles are exempt (forbid and mask only).
    public let unlessRoles: [String]
    /// Actions; empty in a mask rule.
    public let actions: [ActionPattern]
    /// Resource types; `*` is any.
    public let resourceTypes: [String]
    /// Resource ids; empty is any.
    public let resourceIDs: [String]
    /// Domains of the resource; empty is any.
    public let resourceDomains: [String]
    /// Paths of the properties that a mask rule masks, with everything below them (`address`, `address.city`; lists are
    /// transparent).
    public let fields: [String]
    /// Classifications (lower case) of the properties that a mask rule masks.
    public let classifications: [String]
    /// The condition; nil is true.
    public let condition: Expression?
    /// In force from this time on, microseconds since the Unix epoch.
    public let validFromMicros: Int64?
    /// In force until before this time.
    public let validToMicros: Int64?
    /// Why the rule exists, in the author's words; told with each refusal.
    public let reason: String

    /// Whether the rule is in force at a time.
    public func isInForce(at nowMicros: Int64) -> Bool {
        if let validFromMicros, nowMicros < validFromMicros { return false }
        if let validToMicros, nowMicros >= validToMicros { return false }
        return true
    }
}

/// Which actions a rule speaks of.
public enum ActionPattern: Hashable, Sendable {
    /// Every action. A permit rule's wildcard leaves out the data rights `read_personal` and `unmask`: they must be
    /// named.
    case any
    /// Actions that begin with this text and a dot (`definitions.*`).
    case prefix(String)
    /// One action.
    case exact(String)

    /// Reads `*`, `definitions.*` or `definitions.read`; nil for a star anywhere else, or an empty text.
    public init?(_ text: String) {
        if text == "*" {
            self = .any
            return
        }
        if text.hasSuffix(".*") {
            let stem = String(text.dropLast(2))
            guard !stem.isEmpty, !stem.contains("*"), stem.count(where: { $0 == "." }) < AccessLimits.actionDots else {
                return nil
            }
            self = .prefix(stem)
            return
        }
        guard !text.isEmpty, !text.contains("*") else { return nil }
        self = .exact(text)
    }
}

/// The two rights over data that no wildcard grants.
public enum DataRight {
    /// Shows fields that a contract classifies as personal or confidential and no mask rule covers.
    public static let readPersonal = "read_personal"
    /// Shows every field, whatever masks it.
    public static let unmask = "unmask"

    static func isDataRight(_ action: String) -> Bool { action == readPersonal || action == unmask }
}
