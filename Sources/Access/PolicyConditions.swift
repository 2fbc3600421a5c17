import FEEL

/// What every condition of a policy can read, and two checks that FEEL's own typing cannot make.
enum PolicyConditions {
    /// `subject` {type, id, roles, attributes, properties}, `action` {name, properties}, `resource` {type, id, domain,
    /// properties}, `context`.
    static func environment(attributeType: FEELType, _ zones: ZoneOffsets) -> Environment {
        let names = [
            TypedName(
                name: "subject",
                type: .context([
                    "type": .string, "id": .string, "roles": .list(.string), "attributes": attributeType,
                    "properties": .any,
                ]), isNullable: false),
            TypedName(name: "action", type: .context(["name": .string, "properties": .any]), isNullable: false),
            TypedName(
                name: "resource",
                type: .context(["type": .string, "id": .string, "domain": .any, "properties": .any]),
                isNullable: false),
            TypedName(name: "context", type: .any, isNullable: false),
        ]
        return Environment(names, zones: zones)
    }

    /// The value of one slot of the environment.
    static func slot(_ slot: Int, _ request: AccessRequest, roles: [String], attributes: Context) -> Value {
        switch slot {
        case 0:
            let subject = request.subject
            return .context(
                Context([
                    ("type", .string(subject.type)), ("id", .string(subject.id)),
                    ("roles", .list(roles.map { .string($0) })), ("attributes", .context(attributes)),
                    ("properties", .context(subject.properties)),
                ]))
        case 1:
            return .context(
                Context([
                    ("name", .string(request.action)), ("properties", .context(request.actionProperties)),
                ]))
        case 2:
            let resource = request.resource
            return .context(
                Context([
                    ("type", .string(resource.type)), ("id", .string(resource.id)),
                    ("domain", resource.domain.map { .string($0) } ?? .null),
                    ("properties", .context(resource.properties)),
                ]))
        default: return .context(request.context)
        }
    }

    /// Whether a condition is true for a subject without roles and attributes, and a resource without properties.
    static func holdsWhenAbsent(_ condition: Expression) -> Bool {
        let request = AccessRequest(
            subject: AccessSubject(type: "-", id: "-"), action: "-", resource: AccessResource(type: "-", id: "-"))
        let slots = (0..<4).map { slot($0, request, roles: [], attributes: Context()) }
        return condition.truth(slots, now: 0) == true
    }

    /// Two paths compared by `=` or `!=` that may both be absent, with no test of either against null beside it. FEEL
    /// says that null = null is true, so `resource.properties.owner = subject.attributes.email` would let a stranger
    /// have what nobody owns.
    static func unguardedComparison(in source: String) -> (String, String)? {
        let tokens = tokens(of: source)
        var guarded: Set<String> = []
        for index in tokens.indices {
            if index >= 2, tokens[index] == "null", tokens[index - 1] == "!=" { guarded.insert(tokens[index - 2]) }
            if index >= 2, isNullablePath(tokens[index]), tokens[index - 1] == "!=", tokens[index - 2] == "null" {
                guarded.insert(tokens[index])
            }
            if index >= 3, tokens[index - 1] == "(", tokens[index - 2] == "defined", tokens[index - 3] == "is" {
                guarded.insert(tokens[index])
            }
        }
        for index in tokens.indices.dropLast(2) {
            let (left, right) = (tokens[index], tokens[index + 2])
            guard tokens[index + 1] == "=" || tokens[index + 1] == "!=" else { continue }
            guard isNullablePath(left), isNullablePath(right), left != right else { continue }
            if !guarded.contains(left), !guarded.contains(right) { return (left, right) }
        }
        return nil
    }

    private static func isNullablePath(_ token: String) -> Bool {
        guard token.contains(".") else { return false }
        let roots = ["subject.attributes", "subject.properties", "action.properties", "resource.properties"]
        if token == "resource.domain" || token.hasPrefix("context.") { return true }
        return roots.contains { token == $0 || token.hasPrefix($0 + ".") }
    }

    /// Splits a condition into paths, operators and the rest; a text literal is one opaque token.
    private static func tokens(of source: String) -> [String] {
        let characters = Array(source.unicodeScalars)
        var tokens: [String] = []
        var index = 0
        while index < characters.count {
            let start = index
            let character = characters[index]
            index += 1
            if character.properties.isWhitespace { continue }
            if character == "\"" {
                while index < characters.count, characters[index] != "\"" {
                    index += characters[index] == "\\" ? 2 : 1
                }
                index = min(index + 1, characters.count)
                tokens.append("\"\"")
                continue
            }
            if isNamePart(character) {
                while index < characters.count, isNamePart(characters[index]) || characters[index] == "." { index += 1 }
            } else if index < characters.count, characters[index] == "=", ["!", "<", ">"].contains(character) {
                index += 1
            }
            var token = ""
            token.unicodeScalars.append(contentsOf: characters[start..<index])
            tokens.append(token)
        }
        return tokens
    }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.generalCategory == .decimalNumber
    }
}
