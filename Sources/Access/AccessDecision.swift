/// Names one rule of one version of one policy.
public struct RuleReference: Hashable, Sendable {
    /// The policy's name; `builtin` for the rules that this module brings.
    public let policy: String
    /// The policy's version; 0 for `builtin`.
    public let version: Int
    /// The rule's id.
    public let rule: String

    /// Makes a reference.
    public init(policy: String, version: Int, rule: String) {
        self.policy = policy
        self.version = version
        self.rule = rule
    }

    /// The role `admin` permits everything.
    public static let admin = RuleReference(policy: "builtin", version: 0, rule: "admin")
    /// Fields classified as personal or confidential are null without the right `read_personal`.
    public static let personalDefault = RuleReference(policy: "builtin", version: 0, rule: "personal_default")
}

/// One reason of a decision.
public struct AccessReason: Hashable, Sendable {
    /// Stable codes.
    public enum Code: String, Hashable, Sendable {
        /// No rule speaks of this subject, action and resource.
        case noMatchingRule = "no_matching_rule"
        /// A forbid rule applies; the detail is its reason.
        case forbidden
        /// A forbid rule's condition is null, which denies; the detail says why it is null.
        case forbidUndetermined = "forbid_undetermined"
        /// A permit rule's condition is false.
        case conditionFalse = "condition_false"
        /// A condition is null since this path is null or absent.
        case missingAttribute = "missing_attribute"
        /// A condition is null for another reason.
        case conditionNull = "condition_null"
        /// A permit rule that would apply is not in force at this time.
        case notInForce = "not_in_force"
    }

    /// What kind of reason.
    public let code: Code
    /// The path, the author's reason, or more words; may be empty.
    public let detail: String
    /// The rule it is about; nil for `no_matching_rule`.
    public let rule: RuleReference?

    /// Makes a reason.
    public init(code: Code, detail: String = "", rule: RuleReference? = nil) {
        self.code = code
        self.detail = detail
        self.rule = rule
    }

    /// `code`, or `code:detail`, e.g. `missing_attribute:subject.attributes.email`.
    public var text: String { detail.isEmpty ? code.rawValue : "\(code.rawValue):\(detail)" }
}

/// A mask that must be put over fields of what a permitted action shows.
public struct MaskObligation: Hashable, Sendable {
    /// The mask rule.
    public let rule: RuleReference
    /// The kind of mask.
    public let mask: Mask
    /// Property paths.
    public let fields: [String]
    /// Classifications.
    public let classifications: [String]
}

/// The answer to an `AccessRequest`.
public struct AccessDecision: Hashable, Sendable {
    /// Whether it is allowed. Nothing but a permit rule, or the role `admin`, makes this true.
    public let permitted: Bool
    /// The rule that decided: the first permit in policy order, or the first forbid; nil when no rule applied.
    public let rule: RuleReference?
    /// Why it was refused, at most `AccessLimits.reasons`; empty when permitted.
    public let reasons: [AccessReason]
    /// Written mask rules that hold for this subject and resource type when permitted. `PolicySet.maskPlan` has the
    /// whole answer, with defaults.
    public let masks: [MaskObligation]
}
