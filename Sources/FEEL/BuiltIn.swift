/// The functions that every expression may call (DMN 1.5, 10.3.4), and `is defined`, `get or else` known from other
/// engines.
enum BuiltIn: UInt8, Sendable, CaseIterable {
    case date, time, dateAndTime, number, string, duration, yearsAndMonthsDuration, context, range
    case not, isSame, isDefined, getOrElse
    case substring, stringLength, upperCase, lowerCase, substringBefore, substringAfter, replace, contains, startsWith
    case endsWith, matches, split, stringJoin
    case listContains, listReplace, count, min, max, sum, mean, all, any, sublist, append, concatenate, insertBefore
    case remove, reverse, indexOf, union, distinctValues, flatten, product, median, stddev, mode, sort
    case decimal, floor, ceiling, roundUp, roundDown, roundHalfUp, roundHalfDown, abs, modulo, sqrt, log, exp, odd, even
    case before, after, meets, metBy, overlaps, overlapsBefore, overlapsAfter, finishes, finishedBy, includes, during
    case starts, startedBy, coincides
    case dayOfYear, dayOfWeek, monthOfYear, weekOfYear, now, today
    case getValue, getEntries, contextPut, contextMerge
}

/// How a built-in may be called.
struct Signature: Sendable {
    enum Result: Sendable {
        case fixed(FEELType)
        /// The type of the first argument.
        case first
        /// The element type of the first argument when that is a list, else its type.
        case element

        /// The result's type for arguments of these types.
        func type(_ arguments: [FEELType]) -> FEELType {
            switch self {
            case .fixed(let type): return type
            case .first: return arguments.first ?? .any
            case .element:
                guard let type = arguments.first else { return .any }
                if arguments.count == 1, case .list(let element) = type { return element }
                return arguments.count == 1 ? .any : type
            }
        }
    }

    struct Parameter: Sendable {
        let name: String
        let type: FEELType
        let isOptional: Bool
    }

    let function: BuiltIn
    let name: String
    let result: Result
    /// The ways to name and count the arguments.
    let overloads: [[Parameter]]
    /// Whether the last parameter may repeat.
    let isVariadic: Bool

    /// `overloads` are written `name:t,name:t?` with a letter for the type and `?` for an optional parameter.
    init(_ function: BuiltIn, _ name: String, _ result: Result, _ overloads: String..., variadic: Bool = false) {
        self.function = function
        self.name = name
        self.result = result
        isVariadic = variadic
        self.overloads = overloads.map { text in
            text.isEmpty ? [] : text.split(separator: ",").map { Signature.parameter($0) }
        }
    }

    private static func parameter(_ text: Substring) -> Parameter {
        let parts = text.split(separator: ":")
        let letter = parts.count > 1 ? parts[1] : "a"
        return Parameter(name: String(parts[0]), type: type(letter.prefix(1)), isOptional: letter.hasSuffix("?"))
    }

    private static func type(_ letter: Substring) -> FEELType {
        switch letter {
        case "s": .string
        case "n": .number
        case "b": .boolean
        case "l": .list(.any)
        case "c": .context([:])
        default: .any
        }
    }

    func resultType(_ arguments: [Term]) -> FEELType { result.type(arguments.map(\.type)) }

    /// Whether this many positional arguments fit some overload.
    func accepts(count: Int) -> Bool {
        overloads.contains { parameters in
            let required = parameters.count { !$0.isOptional }
            return count >= required && (isVariadic || count <= parameters.count)
        }
    }

    /// Positions for named arguments, nil when no overload has all these names.
    func order(names: [String]) -> (overload: Int, positions: [Int])? {
        for (overload, parameters) in overloads.enumerated() {
            let positions = names.compactMap { name in parameters.firstIndex { $0.name == name } }
            guard positions.count == names.count, Set(positions).count == names.count else { continue }
            let missing = parameters.indices.filter { !positions.contains($0) }
            if missing.allSatisfy({ parameters[$0].isOptional }) { return (overload, positions) }
        }
        return nil
    }

    /// Whether the arguments are of one overload's types, a list of one counting as its element and null as anything.
    func accepts(_ arguments: [Value], overload: Int) -> Bool {
        zip(arguments, overloads[overload]).allSatisfy { argument, parameter in
            Coercion.coerce(argument, to: parameter.type) != nil
        }
    }

    static subscript(_ function: BuiltIn) -> Signature { table[Int(function.rawValue)] }
}
