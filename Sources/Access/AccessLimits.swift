/// Every bound of this module, in one place.
public enum AccessLimits {
    /// Live keys (not revoked, not expired) that one principal may have: one in use and one being rotated in.
    public static let liveKeysPerPrincipal = 2
    /// Bytes of an `Authorization` header value that are looked at; a longer one is malformed.
    public static let authorizationBytes = 512
    /// Characters of a principal id, role or attribute table name.
    public static let nameCharacters = 128
    /// Roles of one principal or subject.
    public static let roles = 64
    /// Rules in one policy.
    public static let rulesPerPolicy = 2_000
    /// Rules in all active policies together.
    public static let rules = 20_000
    /// Entries in one list of a rule (actions, roles, principals, types, ids, fields).
    public static let listEntries = 1_000
    /// Characters of an action name, and dots in it; more dots than this are never matched by a prefix rule.
    public static let actionCharacters = 256
    /// Dots of an action name at which a prefix rule may match.
    public static let actionDots = 8
    /// UTF-8 bytes of a condition.
    public static let conditionBytes = 8_192
    /// Problems reported for one definition; the rest are counted in the last one.
    public static let issues = 50
    /// Reasons carried by one decision.
    public static let reasons = 8
    /// Items of one AuthZEN `evaluations` request.
    public static let evaluations = 1_000
    /// Nesting of a value that a mask walks or that becomes a FEEL value; anything deeper is masked, or null.
    public static let valueDepth = 64
}
