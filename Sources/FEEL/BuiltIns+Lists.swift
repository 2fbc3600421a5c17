extension BuiltIns {
    static func list(_ function: BuiltIn, _ arguments: [Value], _ steps: inout Int) -> Value {
        switch function {
        case .concatenate, .union: return concatenate(arguments, distinct: function == .union, &steps)
        default: break
        }
        guard let elements = asList(arguments[0]) else {
            // A null list still takes an element for `append`: it counts as one null.
            return function == .append ? .list([.null] + arguments.dropFirst()) : .null
        }
        switch function {
        case .listContains, .indexOf: return search(function, elements, arguments[1], &steps)
        case .append: return .list(elements + arguments.dropFirst())
        case .reverse: return .list(elements.reversed())
        case .distinctValues: return distinct(elements, &steps).map { .list($0) } ?? .null
        case .flatten:
            var flat: [Value] = []
            return flatten(elements, into: &flat, depth: 0, &steps) ? .list(flat) : .null
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

    private static func search(
        _ function: BuiltIn, _ elements: [Value], _ match: Value, _ steps: inout Int
    ) -> Value {
        var positions: [Value] = []
        for (position, element) in elements.enumerated() where Comparison.equal(element, match, &steps) == .yes {
            if function == .listContains { return .boolean(true) }
            positions.append(.number(position + 1))
        }
        if steps > FEELLimits.evaluationSteps { return .null }
        return function == .listContains ? .boolean(false) : .list(positions)
    }

    private static func concatenate(
        _ arguments: [Value], distinct isDistinct: Bool, _ steps: inout Int
    ) -> Value {
        var all: [Value] = []
        for argument in arguments {
            guard let elements = asList(argument), all.count + elements.count <= FEELLimits.listElements else {
                return .null
            }
            all += elements
        }
        return isDistinct ? distinct(all, &steps).map { .list($0) } ?? .null : .list(all)
    }

    /// The first of each that are equal; nil past the steps.
    private static func distinct(_ elements: [Value], _ steps: inout Int) -> [Value]? {
        var seen: [Int: [Value]] = [:]
        var kept: [Value] = []
        for element in elements {
            var hasher = Hasher()
            Comparison.hash(element, into: &hasher)
            let hash = hasher.finalize()
            var isNew = true
            for other in seen[hash] ?? [] {
                steps += 1
                if steps > FEELLimits.evaluationSteps { return nil }
                if Comparison.equal(other, element, &steps) == .yes {
                    isNew = false
                    break
                }
            }
            if isNew {
                seen[hash, default: []].append(element)
                kept.append(element)
            }
        }
        return kept
    }

    private static func flatten(
        _ elements: [Value], into flat: inout [Value], depth: Int, _ steps: inout Int
    ) -> Bool {
        steps += elements.count
        guard depth < FEELLimits.textDepth, steps <= FEELLimits.evaluationSteps else { return false }
        for element in elements {
            if case .list(let inner) = element {
                guard flatten(inner, into: &flat, depth: depth + 1, &steps) else { return false }
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
                switch machine.applyNested(match, [elements[position], arguments[2]], index) {
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
    /// crash. Bottom up, because the order may be a function that sorts in turn: no recursion here.
    static func sort(_ arguments: [Value], _ machine: inout Machine, _ index: Int32) -> Value {
        guard var sorted = asList(arguments[0]) else { return .null }
        var precedes: Function?
        if arguments.count > 1 {
            guard case .function(let function) = arguments[1] else { return .null }
            precedes = function
        }
        var width = 1
        while width < sorted.count {
            var merged: [Value] = []
            merged.reserveCapacity(sorted.count)
            for start in stride(from: 0, to: sorted.count, by: 2 * width) {
                let middle = min(start + width, sorted.count)
                let end = min(middle + width, sorted.count)
                guard merge(sorted, start..<middle, middle..<end, precedes, into: &merged, &machine, index) else {
                    return .null
                }
            }
            sorted = merged
            width *= 2
        }
        return .list(sorted)
    }

    /// false when two elements have no order.
    private static func merge(
        _ elements: [Value], _ left: Range<Int>, _ right: Range<Int>, _ precedes: Function?,
        into merged: inout [Value], _ machine: inout Machine, _ index: Int32
    ) -> Bool {
        var (i, j) = (left.lowerBound, right.lowerBound)
        while i < left.upperBound && j < right.upperBound {
            let takesRight: Bool
            if let precedes {
                guard let answer = machine.applyNested(precedes, [elements[j], elements[i]], index).boolean else {
                    return false
                }
                takesRight = answer
            } else {
                guard let order = Comparison.order(elements[j], elements[i]) else { return false }
                takesRight = order < 0
            }
            if takesRight {
                merged.append(elements[j])
                j += 1
            } else {
                merged.append(elements[i])
                i += 1
            }
        }
        merged += elements[i..<left.upperBound]
        merged += elements[j..<right.upperBound]
        return true
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
            return merge(elements).map { .context($0) } ?? .null
        default: return .null
        }
    }

    private static func context(_ argument: Value) -> Value {
        guard let elements = asList(argument), elements.count <= FEELLimits.contextEntries else { return .null }
        var entries: [(String, Value)] = []
        for element in elements {
            guard case .context(let entry) = element, case .string(let key)? = entry["key"], let value = entry["value"]
            else { return .null }
            entries.append((key, value))
        }
        let context = Context(entries)
        return context.count == entries.count ? .context(context) : .null
    }

    /// Later entries replace earlier ones of the same key.
    private static func merge(_ contexts: [Value]) -> Context? {
        var entries: [(String, Value)] = []
        for element in contexts {
            guard case .context(let context) = element, entries.count + context.count <= FEELLimits.contextEntries
            else { return nil }
            entries += context.entries.map { ($0.key, $0.value) }
        }
        return Context(entries)
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
        guard let key = keys.first, context.count < FEELLimits.contextEntries else { return nil }
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
