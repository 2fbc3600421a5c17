extension BuiltIns {
    static func list(_ function: BuiltIn, _ arguments: [Value]) -> Value {
        switch function {
        case .concatenate, .union: return concatenate(arguments, distinct: function == .union)
        default: break
        }
        guard let elements = asList(arguments[0]) else {
            // A null list still takes an element for `append`: it counts as one null.
            return function == .append ? .list([.null] + arguments.dropFirst()) : .null
        }
        switch function {
        case .listContains:
            return .boolean(elements.contains { Comparison.equal($0, arguments[1]) == .yes })
        case .append: return .list(elements + arguments.dropFirst())
        case .reverse: return .list(elements.reversed())
        case .indexOf:
            let positions = elements.indices.filter { Comparison.equal(elements[$0], arguments[1]) == .yes }
            return .list(positions.map { .number($0 + 1) })
        case .distinctValues: return .list(distinct(elements))
        case .flatten:
            var flat: [Value] = []
            return flatten(elements, into: &flat, depth: 0) ? .list(flat) : .null
        case .sublist: return sublist(elements, arguments)
        case .insertBefore:
            guard let index = index(arguments[1], count: elements.count) else { return .null }
            var copy = elements
            copy.insert(arguments[2], at: index)
            return .list(copy)
        case .remove:
            guard let index = index(arguments[1], count: elements.count) else { return .null }
            var copy = elements
            copy.remove(at: index)
            return .list(copy)
        default: return .null
        }
    }

    private static func concatenate(_ arguments: [Value], distinct isDistinct: Bool) -> Value {
        var all: [Value] = []
        for argument in arguments {
            guard let elements = asList(argument), all.count + elements.count <= FEELLimits.listElements else {
                return .null
            }
            all += elements
        }
        return .list(isDistinct ? distinct(all) : all)
    }

    private static func distinct(_ elements: [Value]) -> [Value] {
        var seen: Set<Value> = []
        var kept: [Value] = []
        for element in elements {
            switch element {
            case .number, .string, .boolean, .date, .null:
                // Hashing agrees with FEEL's equality for these types.
                if seen.insert(element).inserted { kept.append(element) }
            default:
                if !kept.contains(where: { Comparison.equal($0, element) == .yes }) { kept.append(element) }
            }
        }
        return kept
    }

    private static func flatten(_ elements: [Value], into flat: inout [Value], depth: Int) -> Bool {
        guard depth < FEELLimits.textDepth else { return false }
        for element in elements {
            if case .list(let inner) = element {
                guard flatten(inner, into: &flat, depth: depth + 1) else { return false }
            } else {
                guard flat.count < FEELLimits.listElements else { return false }
                flat.append(element)
            }
        }
        return true
    }

    /// A position from 1, or from the end when negative, as an index.
    static func index(_ position: Value, count: Int) -> Int? {
        guard case .number(let number) = singleton(position), let whole = number.integer, whole != 0,
            whole.magnitude <= UInt(count)
        else { return nil }
        return whole > 0 ? whole - 1 : count + whole
    }

    private static func sublist(_ elements: [Value], _ arguments: [Value]) -> Value {
        guard let first = index(arguments[1], count: elements.count) else { return .null }
        var end = elements.count
        if arguments.count > 2, !arguments[2].isNull {
            guard case .number(let number) = singleton(arguments[2]), let length = number.integer, length >= 0,
                length <= elements.count - first
            else { return .null }
            end = first + length
        }
        return .list(Array(elements[first..<end]))
    }

    static func listReplace(_ arguments: [Value], _ machine: inout Machine, _ index: Int32) -> Value {
        guard var elements = asList(arguments[0]) else { return .null }
        switch arguments[1] {
        case .number(let number):
            let whole = number.rounded(scale: 0, .down).map { Value.number($0) } ?? .null
            guard let position = self.index(whole, count: elements.count) else { return .null }
            elements[position] = arguments[2]
            return .list(elements)
        case .function(let match):
            for position in elements.indices {
                switch machine.apply(match, [elements[position], arguments[2]], index) {
                case .boolean(true): elements[position] = arguments[2]
                case .boolean(false): continue
                default: return .null
                }
            }
            return .list(elements)
        default: return .null
        }
    }

    /// Merge sort with the caller's own order, which may be inconsistent; the result is then some permutation, never a
    /// crash.
    static func sort(_ arguments: [Value], _ machine: inout Machine, _ index: Int32) -> Value {
        guard let elements = asList(arguments[0]) else { return .null }
        var precedes: Function?
        if arguments.count > 1 {
            guard case .function(let function) = arguments[1] else { return .null }
            precedes = function
        }
        var failed = false
        let sorted = mergeSort(elements[...], precedes, &failed, &machine, index)
        return failed ? .null : .list(sorted)
    }

    private static func mergeSort(
        _ elements: ArraySlice<Value>, _ precedes: Function?, _ failed: inout Bool, _ machine: inout Machine,
        _ index: Int32
    ) -> [Value] {
        if elements.count < 2 || failed { return Array(elements) }
        let middle = elements.startIndex + elements.count / 2
        let left = mergeSort(elements[..<middle], precedes, &failed, &machine, index)
        let right = mergeSort(elements[middle...], precedes, &failed, &machine, index)
        var merged: [Value] = []
        merged.reserveCapacity(elements.count)
        var (i, j) = (0, 0)
        while i < left.count && j < right.count && !failed {
            let takesRight: Bool
            if let precedes {
                let answer = machine.apply(precedes, [right[j], left[i]], index)
                if answer.boolean == nil { failed = true }
                takesRight = answer.boolean ?? false
            } else if let order = Comparison.order(right[j], left[i]) {
                takesRight = order < 0
            } else {
                failed = true
                takesRight = false
            }
            if takesRight {
                merged.append(right[j])
                j += 1
            } else {
                merged.append(left[i])
                i += 1
            }
        }
        return merged + left[i...] + right[j...]
    }

    // MARK: Contexts

    static func contexts(_ function: BuiltIn, _ arguments: [Value]) -> Value {
        switch function {
        case .getValue:
            guard case .context(let context) = arguments[0], case .string(let key) = arguments[1] else { return .null }
            return context[key] ?? .null
        case .getEntries:
            guard case .context(let context) = arguments[0] else { return .null }
            return .list(
                context.entries.map { .context(Context([("key", .string($0.key)), ("value", $0.value)])) })
        case .context: return context(arguments[0])
        case .contextPut: return put(arguments)
        case .contextMerge:
            guard let elements = asList(arguments[0]) else { return .null }
            var merged = Context()
            for element in elements {
                guard case .context(let context) = element else { return .null }
                for entry in context.entries { merged[entry.key] = entry.value }
            }
            return .context(merged)
        default: return .null
        }
    }

    private static func context(_ argument: Value) -> Value {
        guard let elements = asList(argument) else { return .null }
        var result = Context()
        for element in elements {
            guard case .context(let entry) = element, case .string(let key)? = entry["key"], let value = entry["value"],
                result[key] == nil
            else { return .null }
            result[key] = value
        }
        return .context(result)
    }

    private static func put(_ arguments: [Value]) -> Value {
        guard case .context(let context) = arguments[0] else { return .null }
        switch arguments[1] {
        case .string(let key): return put(context, [key][...], arguments[2]).map { .context($0) } ?? .null
        case .list(let elements):
            let keys = elements.compactMap(\.string)
            guard keys.count == elements.count, !keys.isEmpty, keys.count <= FEELLimits.textDepth else { return .null }
            return put(context, keys[...], arguments[2]).map { .context($0) } ?? .null
        default: return .null
        }
    }

    private static func put(_ context: Context, _ keys: ArraySlice<String>, _ value: Value) -> Context? {
        guard let key = keys.first else { return nil }
        var copy = context
        if keys.count == 1 {
            copy[key] = value
            return copy
        }
        guard case .context(let inner)? = context[key], let changed = put(inner, keys.dropFirst(), value) else {
            return nil
        }
        copy[key] = .context(changed)
        return copy
    }
}
