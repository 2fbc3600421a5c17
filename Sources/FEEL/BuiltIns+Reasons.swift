/// Why a built-in gave null. Only looked for when somebody asks, so it may look twice at what the function saw.
extension BuiltIns {
    typealias Reason = (code: NullReason.Code, message: String)

    static func reason(_ function: BuiltIn, _ arguments: [Value]) -> Reason {
        let signature = Signature[function]
        let parameters = bestOverload(signature, arguments)
        if let reason = mismatch(signature, parameters, arguments, optional: false) { return reason }
        if let reason = particular(function, arguments) { return reason }
        if let reason = mismatch(signature, parameters, arguments, optional: true) { return reason }
        let types = arguments.map(\.type.name).joined(separator: ", ")
        return (.typeMismatch, "\(signature.name) has no result for (\(types))")
    }

    /// The overload of this many arguments whose types fit most of them.
    private static func bestOverload(_ signature: Signature, _ arguments: [Value]) -> [Signature.Parameter] {
        func score(_ parameters: [Signature.Parameter]) -> Int {
            if parameters.count < arguments.count && !signature.isVariadic { return -1 }
            return zip(arguments, parameters).count { fits($0, $1) }
        }
        return signature.overloads.max { score($0) < score($1) } ?? []
    }

    private static func fits(_ argument: Value, _ parameter: Signature.Parameter) -> Bool {
        if case .list = parameter.type { return true }
        return Coercion.coerce(argument, to: parameter.type) != nil
    }

    /// A null where a value is needed, or a value of another type.
    private static func mismatch(
        _ signature: Signature, _ parameters: [Signature.Parameter], _ arguments: [Value], optional: Bool
    ) -> Reason? {
        for (index, argument) in arguments.enumerated() where !parameters.isEmpty {
            let parameter = parameters[min(index, parameters.count - 1)]
            if parameter.isOptional != optional { continue }
            if argument.isNull { return (.missing, "'\(parameter.name)' of \(signature.name) is null") }
            if index < parameters.count, !fits(argument, parameter) {
                return (
                    .typeMismatch,
                    "'\(parameter.name)' of \(signature.name) is a \(parameter.type.name), not a \(argument.type.name)"
                )
            }
        }
        return nil
    }

    private static func particular(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        switch function {
        case .date, .time, .dateAndTime, .duration, .yearsAndMonthsDuration, .number, .range, .string, .dayOfYear,
            .dayOfWeek, .monthOfYear, .weekOfYear:
            return conversionReason(function, arguments)
        case .matches, .replace, .split: return patternReason(function, arguments)
        case .substring: return (.outOfRange, "substring starts outside the text, or its length is not positive")
        case .stringJoin: return elementReason(function, arguments) { $0.string != nil }
        case .sqrt, .log, .exp, .modulo, .odd, .even, .decimal, .floor, .ceiling, .roundUp, .roundDown, .roundHalfUp,
            .roundHalfDown:
            return numericReason(function, arguments)
        case .min, .max, .sum, .mean, .product, .median, .stddev, .mode: return aggregateReason(function, arguments)
        case .all, .any: return elementReason(function, arguments) { $0.boolean != nil }
        case .sublist, .insertBefore, .remove, .listReplace, .sort, .append, .concatenate, .union, .flatten,
            .distinctValues, .listContains, .indexOf:
            return listReason(function, arguments)
        case .getValue, .contextPut, .context, .contextMerge: return contextReason(function, arguments)
        default: return nil
        }
    }

    private static func conversionReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        if function == .string { return (.limit, "text is too long or nested too deeply") }
        let name = Signature[function].name
        if arguments.count >= 3, function != .number {
            return (.outOfRange, "there is no such \(name)")
        }
        if case .string(let text)? = arguments.first.map({ singleton($0) }) {
            let isCalendar: Bool =
                switch function {
                case .date, .time, .dateAndTime, .duration, .number, .range: false
                default: true
                }
            if !isCalendar { return (.invalidText, "'\(text.prefix(64))' is no \(name)") }
        }
        return nil
    }

    private static func patternReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        let texts = arguments.map { singleton($0).string }
        guard arguments.count > 1, texts[0] != nil, let source = texts[1] else { return nil }
        let flagsPosition = function == .replace ? 3 : 2
        let flags = arguments.count > flagsPosition ? texts[flagsPosition] ?? "" : ""
        guard let pattern = Pattern(source, flags: flags) else {
            return (.invalidText, "'\(source.prefix(64))' is no regular expression, or has unknown flags")
        }
        var budget = PatternBudget()
        if function != .matches {
            if pattern.matches("", &budget) == true {
                return (.invalidText, "'\(source.prefix(64))' matches the empty text")
            }
            if function == .replace, let replacement = texts[2],
                PatternReplacement.parse(replacement, groups: pattern.groups) == nil
            {
                return (
                    .invalidText, "'\(replacement.prefix(64))' is no replacement: '$' takes a group, '\\' a '$' or '\\'"
                )
            }
            if function == .replace && texts[2] == nil { return nil }
        }
        return (.limit, "the regular expression takes too many steps, or its result is too long")
    }

    private static func numericReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        guard arguments.allSatisfy({ singleton($0).number != nil }) else { return nil }
        switch function {
        case .sqrt: return (.outOfRange, "a negative number has no square root")
        case .log: return (.outOfRange, "only a positive number has a logarithm")
        case .exp: return (.outOfRange, "the exponential is out of range")
        case .modulo: return (.outOfRange, "division by zero or number out of range")
        case .odd, .even: return (.typeMismatch, "only a whole number is odd or even")
        default: return (.outOfRange, "the scale is out of range")
        }
    }

    private static func aggregateReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        guard let elements = operands(arguments) else { return nil }
        let name = Signature[function].name
        if elements.isEmpty { return (.missing, "\(name) of an empty list") }
        if let reason = elementReason(function, arguments, isRight: { !$0.isNull }) { return reason }
        if function == .stddev && elements.count == 1 { return (.missing, "stddev of one number") }
        guard let first = elements.first else { return nil }
        let isAlike = elements.allSatisfy { $0.type == first.type }
        let isCountable: Bool
        switch (function, first) {
        case (.min, _), (.max, _): isCountable = Comparison.order(first, first) != nil
        case (.sum, .daysTimeDuration), (.sum, .yearsMonthsDuration): isCountable = true
        default: isCountable = first.number != nil
        }
        if isAlike && isCountable { return (.outOfRange, "the result of \(name) is out of range") }
        return (
            .typeMismatch,
            "\(name) takes \(function == .min || function == .max ? "values that have an order" : "numbers") of one type"
        )
    }

    /// The first element that is null, or not as it should be.
    private static func elementReason(
        _ function: BuiltIn, _ arguments: [Value], isRight: (Value) -> Bool
    ) -> Reason? {
        let name = Signature[function].name
        let isJoin = function == .stringJoin
        guard let elements = isJoin ? asList(arguments[0]) : operands(arguments) else { return nil }
        for (index, element) in elements.enumerated() where !isRight(element) {
            if element.isNull {
                if isJoin { continue }
                return (.missing, "element \(index + 1) of \(name) is null")
            }
            return (.typeMismatch, "element \(index + 1) of \(name) is a \(element.type.name)")
        }
        return isJoin ? (.limit, "text is too long") : nil
    }

    private static func listReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        switch function {
        case .sublist, .insertBefore, .remove: return (.outOfRange, "the position is outside the list")
        case .listReplace:
            switch arguments[1] {
            case .number: return (.outOfRange, "the position is outside the list")
            case .function: return (.typeMismatch, "'match' of list replace gives no boolean")
            default:
                return (.typeMismatch, "list replace takes a position or a function, not a \(arguments[1].type.name)")
            }
        case .sort:
            if arguments.count > 1 {
                if case .function = arguments[1] { return (.typeMismatch, "'precedes' of sort gives no boolean") }
                return (.typeMismatch, "'precedes' of sort is a function, not a \(arguments[1].type.name)")
            }
            return (.typeMismatch, "the elements of sort have no order")
        default:
            return arguments.contains(where: \.isNull) ? nil : (.limit, "the list is too long or nested too deeply")
        }
    }

    private static func contextReason(_ function: BuiltIn, _ arguments: [Value]) -> Reason? {
        switch function {
        case .getValue:
            guard arguments[0].context != nil, let key = arguments[1].string else { return nil }
            return (.missing, key)
        case .contextPut:
            guard arguments[0].context != nil, let keys = asList(arguments[1]), !keys.isEmpty else { return nil }
            if let wrong = keys.first(where: { $0.string == nil }) {
                return (.typeMismatch, "a key is a string, not a \(wrong.type.name)")
            }
            return (.missing, keys.compactMap(\.string).joined(separator: "."))
        case .context: return (.typeMismatch, "context takes entries with a 'key' of their own and a 'value'")
        default: return (.typeMismatch, "context merge takes a list of contexts")
        }
    }
}
