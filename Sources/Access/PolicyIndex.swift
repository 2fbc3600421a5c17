/// Positions of rules found by resource type, then action, then subject or resource id, so that a question costs the
/// rules that could answer it and not all there are.
final class PolicyIndex: Sendable {
    private let types: [String: ActionIndex]
    private let anyType: ActionIndex
    /// Whether there is no rule at all.
    let isEmpty: Bool

    /// Indexes rules, each under all of its resource types and actions.
    init(_ rules: [(rule: PolicyRule, position: Int32)]) {
        var types: [String: ActionIndex.Draft] = [:]
        var anyType = ActionIndex.Draft()
        for (rule, position) in rules {
            for type in rule.resourceTypes {
                if type == "*" {
                    anyType.insert(rule, position)
                } else {
                    types[type, default: ActionIndex.Draft()].insert(rule, position)
                }
            }
        }
        self.types = types.mapValues { ActionIndex($0) }
        self.anyType = ActionIndex(anyType)
        isEmpty = rules.isEmpty
    }

    /// Calls `body` with the position of every rule that may speak of this; a position may come more than once.
    /// - Parameter wildcards: whether rules for every action count too.
    func forEachCandidate(
        _ request: AccessRequest, roles: [String], wildcards: Bool, _ body: (Int32) -> Void
    ) {
        if let index = types[request.resource.type] { index.forEachCandidate(request, roles, wildcards, body) }
        if !anyType.isEmpty { anyType.forEachCandidate(request, roles, wildcards, body) }
    }
}

/// The rules of one resource type by action. A class, so that finding one costs a single retain.
private final class ActionIndex: Sendable {
    struct Draft {
        var exact: [String: RuleBucket.Draft] = [:]
        var prefixes: [String: RuleBucket.Draft] = [:]
        var any = RuleBucket.Draft()
        var isEmpty = true

        mutating func insert(_ rule: PolicyRule, _ position: Int32) {
            isEmpty = false
            for action in rule.actions {
                switch action {
                case .any: any.insert(rule, position)
                case .prefix(let stem): prefixes[stem, default: RuleBucket.Draft()].insert(rule, position)
                case .exact(let name): exact[name, default: RuleBucket.Draft()].insert(rule, position)
                }
            }
        }
    }

    let exact: [String: RuleBucket]
    let prefixes: [String: RuleBucket]
    let any: RuleBucket
    let isEmpty: Bool

    init(_ draft: Draft) {
        exact = draft.exact.mapValues { RuleBucket($0) }
        prefixes = draft.prefixes.mapValues { RuleBucket($0) }
        any = RuleBucket(draft.any)
        isEmpty = draft.isEmpty
    }

    func forEachCandidate(
        _ request: AccessRequest, _ roles: [String], _ wildcards: Bool, _ body: (Int32) -> Void
    ) {
        if !exact.isEmpty, let bucket = exact[request.action] { bucket.forEachCandidate(request, roles, body) }
        if !prefixes.isEmpty {
            var dots = 0
            let text = request.action.utf8
            for index in text.indices where text[index] == UInt8(ascii: ".") {
                dots += 1
                if dots > AccessLimits.actionDots { break }
                if let bucket = prefixes[String(request.action[..<index])] {
                    bucket.forEachCandidate(request, roles, body)
                }
            }
        }
        if wildcards { any.forEachCandidate(request, roles, body) }
    }
}

/// Rules of one type and action, by the narrowest thing that each is restricted to.
private final class RuleBucket: Sendable {
    struct Draft {
        var byResource: [String: [Int32]] = [:]
        var byPrincipal: [String: [Int32]] = [:]
        var byRole: [String: [Int32]] = [:]
        var open: [Int32] = []

        mutating func insert(_ rule: PolicyRule, _ position: Int32) {
            if !rule.resourceIDs.isEmpty {
                for id in rule.resourceIDs { byResource[id, default: []].append(position) }
            } else if !rule.principals.isEmpty || !rule.roles.isEmpty {
                for id in rule.principals { byPrincipal[id, default: []].append(position) }
                for role in rule.roles { byRole[role, default: []].append(position) }
            } else {
                open.append(position)
            }
        }
    }

    let byResource: [String: [Int32]]
    let byPrincipal: [String: [Int32]]
    let byRole: [String: [Int32]]
    let open: [Int32]

    init(_ draft: Draft) {
        byResource = draft.byResource
        byPrincipal = draft.byPrincipal
        byRole = draft.byRole
        open = draft.open
    }

    func forEachCandidate(_ request: AccessRequest, _ roles: [String], _ body: (Int32) -> Void) {
        for position in open { body(position) }
        if !byRole.isEmpty {
            for role in roles {
                if let positions = byRole[role] { for position in positions { body(position) } }
            }
        }
        if !byPrincipal.isEmpty, let positions = byPrincipal[request.subject.id] {
            for position in positions { body(position) }
        }
        if !byResource.isEmpty, let positions = byResource[request.resource.id] {
            for position in positions { body(position) }
        }
    }
}
