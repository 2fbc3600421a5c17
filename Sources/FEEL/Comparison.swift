/// FEEL's equality and order (DMN 1.5, 10.3.2.3 and table 54).
enum Comparison {
    /// Equality within a budget of its own; past it the answer is unknown.
    static func equal(_ a: Value, _ b: Value) -> Truth {
        var steps = 0
        return equal(a, b, &steps)
    }

    /// Equality: null equals null only; values of different types have no answer. Times are equal when they agree to
    /// the second, as the standard names hour, minute and second; order and `is()` look at the fraction too.
    /// - Parameter steps: counts the elements visited; past `FEELLimits.evaluationSteps` the answer is unknown.
    static func equal(_ a: Value, _ b: Value, _ steps: inout Int) -> Truth {
        switch (a, b) {
        case (.null, .null): return .yes
        case (.null, _), (_, .null): return .no
        case (.boolean(let a), .boolean(let b)): return Truth(a == b)
        case (.number(let a), .number(let b)): return Truth(a == b)
        case (.string(let a), .string(let b)):
            steps += textSteps(a)
            return Truth(same(a, b))
        case (.date(let a), .date(let b)): return Truth(a == b)
        case (.time(let a), .time(let b)):
            guard (a.zone == .local) == (b.zone == .local) else { return .no }
            return Truth(a.comparableSecond == b.comparableSecond)
        case (.dateTime(let a), .dateTime(let b)):
            guard (a.zone == .local) == (b.zone == .local) else { return .no }
            return Truth(a.utcSeconds == b.utcSeconds)
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)): return Truth(a == b)
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): return Truth(a == b)
        case (.list(let a), .list(let b)): return lists(a, b, &steps)
        case (.context(let a), .context(let b)): return contexts(a, b, &steps)
        case (.range(let a), .range(let b)): return ranges(a, b)
        case (.function(let a), .function(let b)): return Truth(a === b)
        default: return .unknown
        }
    }

    /// Steps that reading a text counts for: none for everyday ones, one for every 64 bytes of a long one.
    @inline(__always)
    static func textSteps(_ text: String) -> Int { text.utf8.count >> 6 }

    /// Equality of the encoded text. Swift's own `==` also equates canonically equivalent spellings, which no database
    /// does.
    @inline(__always)
    static func same(_ a: String, _ b: String) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        let isSame = a.utf8.withContiguousStorageIfAvailable { a in
            b.utf8.withContiguousStorageIfAvailable { b in same(UnsafeRawBufferPointer(a), UnsafeRawBufferPointer(b)) }
        }
        return (isSame ?? nil) ?? a.utf8.elementsEqual(b.utf8)
    }

    /// Equality of as many bytes, eight at a time.
    @inline(__always)
    private static func same(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= a.count {
            let (x, y) = (
                a.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            )
            if x != y { return false }
            offset += 8
        }
        while offset < a.count {
            if a[offset] != b[offset] { return false }
            offset += 1
        }
        return true
    }

    private static func lists(_ a: [Value], _ b: [Value], _ steps: inout Int) -> Truth {
        guard a.count == b.count else { return .no }
        for (x, y) in zip(a, b) {
            steps += 1
            if steps > FEELLimits.evaluationSteps { return .unknown }
            if equal(x, y, &steps) != .yes { return steps > FEELLimits.evaluationSteps ? .unknown : .no }
        }
        return .yes
    }

    private static func contexts(_ a: Context, _ b: Context, _ steps: inout Int) -> Truth {
        guard a.count == b.count else { return .no }
        let lookup = b.lookup
        for entry in a.entries {
            steps += 1
            if steps > FEELLimits.evaluationSteps { return .unknown }
            guard let other = lookup[entry.key] else { return .no }
            if equal(entry.value, other, &steps) != .yes {
                return steps > FEELLimits.evaluationSteps ? .unknown : .no
            }
        }
        return .yes
    }

    private static func ranges(_ a: Interval, _ b: Interval) -> Truth {
        guard a.kind == b.kind, a.includesLow == b.includesLow, a.includesHigh == b.includesHigh else { return .no }
        return Truth(equal(a.low, b.low) == .yes && equal(a.high, b.high) == .yes)
    }

    /// A hash that values have in common when they are equal: of the kind, the size and the first elements.
    static func hash(_ value: Value, into hasher: inout Hasher, depth: Int = 0) {
        switch value {
        case .null: hasher.combine(0)
        case .boolean(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(value)
        case .date(let value): hasher.combine(value)
        case .time(let value): hasher.combine(value.comparableSecond)
        case .dateTime(let value): hasher.combine(value.utcSeconds)
        case .yearsMonthsDuration(let value): hasher.combine(value)
        case .daysTimeDuration(let value): hasher.combine(value)
        case .list(let elements):
            hasher.combine(elements.count)
            if depth > 4 { return }
            for element in elements.prefix(4) { hash(element, into: &hasher, depth: depth + 1) }
        case .context(let context):
            // Whatever the order of the entries.
            var combined = context.count
            if depth > 4 { return hasher.combine(combined) }
            for entry in context.entries.prefix(context.count > 4 ? 0 : 4) {
                var inner = Hasher()
                inner.combine(entry.key)
                hash(entry.value, into: &inner, depth: depth + 1)
                combined ^= inner.finalize()
            }
            hasher.combine(combined)
        case .range(let interval): hasher.combine(interval.includesLow)
        case .function(let function): hasher.combine(function)
        }
    }

    /// -1, 0 or 1; nil when the values have no order. Text orders by code point.
    static func order(_ a: Value, _ b: Value) -> Int? {
        switch (a, b) {
        case (.number(let a), .number(let b)): return Decimal.compare(a, b)
        case (.string(let a), .string(let b)):
            if same(a, b) { return 0 }
            return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        case (.date(let a), .date(let b)): return sign(a.daysSinceEpoch, b.daysSinceEpoch)
        case (.time(let a), .time(let b)):
            guard (a.zone == .local) == (b.zone == .local) else { return nil }
            return sign(a.comparable, b.comparable)
        case (.dateTime(let a), .dateTime(let b)):
            guard (a.zone == .local) == (b.zone == .local) else { return nil }
            let seconds = sign(a.utcSeconds, b.utcSeconds)
            return seconds == 0 ? sign(Int64(a.nanosecond), Int64(b.nanosecond)) : seconds
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)): return sign(a.months, b.months)
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): return a == b ? 0 : (a < b ? -1 : 1)
        default: return nil
        }
    }

    private static func sign(_ a: Int64, _ b: Int64) -> Int { a == b ? 0 : (a < b ? -1 : 1) }

    /// Whether a range holds a value; unknown when they cannot be compared. A null endpoint leaves that side open.
    static func contains(_ interval: Interval, _ value: Value) -> Truth {
        switch interval.kind {
        case .equal: return equal(value, interval.low)
        case .notEqual:
            switch equal(value, interval.low) {
            case .yes: return .no
            case .no: return value.isNull ? .unknown : .yes
            case .unknown: return .unknown
            }
        case .between: break
        }
        var result = Truth.yes
        if !interval.low.isNull {
            guard let order = order(value, interval.low) else { return .unknown }
            if order < 0 || (order == 0 && !interval.includesLow) { result = .no }
        }
        if !interval.high.isNull {
            guard let order = order(value, interval.high) else { return .unknown }
            if order > 0 || (order == 0 && !interval.includesHigh) { result = .no }
        }
        return result
    }
}
