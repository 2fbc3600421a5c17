import FEEL

extension MeasureFilter {
    /// Whether a base row passes. `dimensions` are the row's own, named by the measure.
    func matches(bucket: Int64, _ dimensions: [String?], of measure: Measure, in zone: TimeZoneRules) -> Bool {
        switch self {
        case .and(let parts):
            return parts.allSatisfy { $0.matches(bucket: bucket, dimensions, of: measure, in: zone) }
        case .or(let parts):
            return parts.contains { $0.matches(bucket: bucket, dimensions, of: measure, in: zone) }
        case .member(MeasureQuery.timeMember, let comparison, let values):
            return Self.matches(time: bucket, comparison, values.compactMap { $0 }, in: zone)
        case .member(let name, let comparison, let values):
            guard let position = measure.spec.dimensions.firstIndex(of: name) else { return false }
            return Self.matches(dimensions[position], comparison, values)
        }
    }

    private static func matches(
        time: Int64, _ comparison: FilterOperator, _ dates: [String], in zone: TimeZoneRules
    ) -> Bool {
        guard let first = dates.first, let start = zone.start(ofDate: first), let last = dates.last,
            let end = zone.end(ofDate: last)
        else { return false }
        switch comparison {
        case .inDateRange: return time >= start && time < end
        case .notInDateRange: return time < start || time >= end
        case .beforeDate: return time < start
        case .afterDate: return time >= end
        default: return false
        }
    }

    private static func matches(_ member: String?, _ comparison: FilterOperator, _ values: [String?]) -> Bool {
        func any(_ test: (String, String) -> Bool) -> Bool {
            guard let member else { return false }
            return values.contains { value in value.map { test(member, $0) } ?? false }
        }
        /// Negative operators keep null members unless null is listed.
        func none(_ test: (String, String) -> Bool) -> Bool {
            member == nil ? !values.contains(nil) : !any(test)
        }
        func number(_ test: (MeasureDecimal, MeasureDecimal) -> Bool) -> Bool {
            any { left, right in
                guard let left = MeasureDecimal(parsing: left), let right = MeasureDecimal(parsing: right) else {
                    return false
                }
                return test(left, right)
            }
        }
        switch comparison {
        case .equals: return member == nil ? values.contains(nil) : any { ByteText($0) == ByteText($1) }
        case .notEquals: return none { ByteText($0) == ByteText($1) }
        case .contains: return any { $0.containsText($1) }
        case .notContains: return none { $0.containsText($1) }
        case .startsWith: return any { $0.utf8.starts(with: $1.utf8) }
        case .notStartsWith: return none { $0.utf8.starts(with: $1.utf8) }
        case .endsWith: return any { $0.utf8.reversed().starts(with: $1.utf8.reversed()) }
        case .notEndsWith: return none { $0.utf8.reversed().starts(with: $1.utf8.reversed()) }
        case .gt: return number(>)
        case .gte: return number(>=)
        case .lt: return number(<)
        case .lte: return number(<=)
        case .set: return member != nil
        case .notSet: return member == nil
        case .inDateRange, .notInDateRange, .beforeDate, .afterDate: return false
        }
    }

    /// Whether a result row passes; `names` are the query's measures.
    func matches(_ values: [MeasureValue], named names: [String]) -> Bool {
        switch self {
        case .and(let parts): return parts.allSatisfy { $0.matches(values, named: names) }
        case .or(let parts): return parts.contains { $0.matches(values, named: names) }
        case .member(let name, let comparison, let texts):
            guard let position = names.firstIndex(of: name) else { return false }
            let value = values[position]
            if case .null = value { return comparison == .notSet || comparison == .notEquals }
            let bounds = texts.compactMap { $0.flatMap { MeasureDecimal(parsing: $0) } }
            switch comparison {
            case .set: return true
            case .equals: return bounds.contains { value.compare($0) == 0 }
            case .notEquals: return !bounds.contains { value.compare($0) == 0 }
            case .gt: return bounds.contains { value.compare($0) > 0 }
            case .gte: return bounds.contains { value.compare($0) >= 0 }
            case .lt: return bounds.contains { value.compare($0) < 0 }
            case .lte: return bounds.contains { value.compare($0) <= 0 }
            default: return false
            }
        }
    }
}

extension MeasureValue {
    /// -1, 0 or 1; exact for decimals. Only for values that are not null.
    func compare(_ other: MeasureDecimal) -> Int {
        switch self {
        case .decimal(let value): value < other ? -1 : value == other ? 0 : 1
        case .double(let value): value < other.double ? -1 : value == other.double ? 0 : 1
        case .null: -1
        }
    }
}

extension String {
    /// Byte-wise search; Foundation's is not used here.
    func containsText(_ text: String) -> Bool {
        let (haystack, needle) = (Array(utf8), Array(text.utf8))
        if needle.isEmpty { return true }
        if needle.count > haystack.count { return false }
        return (0...(haystack.count - needle.count)).contains { start in
            haystack[start..<(start + needle.count)].elementsEqual(needle)
        }
    }
}
