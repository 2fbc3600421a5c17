import FEEL

extension MeasureQuery {
    /// What the query's names refer to.
    struct Resolved {
        var measures: [Measure]
        /// Per measure: index of each of the query's dimensions.
        var positions: [[Int]]
        /// Filters over dimensions and time.
        var wheres: [MeasureFilter]
        /// Filters over measures.
        var havings: [MeasureFilter]
    }

    /// Checks the query against the measures there are; throws every finding with a pointer into the query.
    func resolve(_ known: [Measure], in zone: TimeZoneRules) throws(MeasureError) -> Resolved {
        var issues: [MeasureError.Issue] = []
        var resolved = Resolved(measures: [], positions: [], wheres: [], havings: [])
        if measures.isEmpty { issues.append(.init(.noMeasures, at: "/measures", "Name at least one measure.")) }
        for (index, name) in measures.enumerated() {
            guard let measure = known.first(where: { $0.spec.name == name }) else {
                issues.append(.init(.unknownMember, at: "/measures/\(index)", "There is no measure '\(name)'."))
                continue
            }
            resolved.measures.append(measure)
            resolved.positions.append(dimensions.compactMap { measure.spec.dimensions.firstIndex(of: $0) })
        }
        for (index, name) in dimensions.enumerated() {
            for measure in resolved.measures where !measure.spec.dimensions.contains(name) {
                issues.append(
                    .init(
                        .unknownMember, at: "/dimensions/\(index)",
                        "The measure '\(measure.spec.name)' has no dimension '\(name)'."))
            }
            if dimensions[..<index].contains(name) {
                issues.append(.init(.duplicateName, at: "/dimensions/\(index)", "'\(name)' is listed twice."))
            }
        }
        for (index, filter) in filters.enumerated() {
            let pointer = "/filters/\(index)"
            let hasMeasures = check(filter, pointer, resolved.measures, zone, &issues)
            if hasMeasures { resolved.havings.append(filter) } else { resolved.wheres.append(filter) }
        }
        if filters.reduce(0, { $0 + $1.size }) > MeasureLimits.queryFiltersMax {
            issues.append(.init(.tooMany, at: "/filters", "At most \(MeasureLimits.queryFiltersMax) filters."))
        }
        for (index, key) in order.enumerated() {
            let isKnown =
                measures.contains(key.member) || dimensions.contains(key.member)
                || (key.member == Self.timeMember && grain != nil)
            if !isKnown {
                issues.append(
                    .init(.unknownMember, at: "/order/\(index)", "'\(key.member)' is not part of the query."))
            }
        }
        issues += checkNumbers()
        if !issues.isEmpty { throw MeasureError(issues) }
        return resolved
    }

    private func checkNumbers() -> [MeasureError.Issue] {
        var issues: [MeasureError.Issue] = []
        if !(0...MeasureLimits.queryLimitMax).contains(limit) {
            issues.append(.init(.limitOutOfRange, at: "/limit", "Must be 0 to \(MeasureLimits.queryLimitMax)."))
        }
        if offset < 0 { issues.append(.init(.limitOutOfRange, at: "/offset", "Must not be negative.")) }
        if let range {
            if range.start >= range.end {
                issues.append(.init(.badRange, at: "/range", "The range is empty."))
            } else if [range.start, range.end].contains(where: { RollupTable.bucket(of: $0) != $0 }) {
                issues.append(.init(.badRange, at: "/range", "Both ends must be whole quarter hours, UTC."))
            }
        }
        if fillsEmptyBuckets, range == nil || grain == nil {
            issues.append(.init(.badRange, at: "/range", "Filling empty buckets needs a grain and a range."))
        }
        return issues
    }

    /// Checks one filter; returns whether it is over measures.
    private func check(
        _ filter: MeasureFilter, _ pointer: String, _ known: [Measure], _ zone: TimeZoneRules,
        _ issues: inout [MeasureError.Issue]
    ) -> Bool {
        switch filter {
        case .and(let parts), .or(let parts):
            let kinds = Set(
                parts.enumerated().map { check($0.element, "\(pointer)/\($0.offset)", known, zone, &issues) })
            if kinds.count > 1 {
                issues.append(
                    .init(.mixedFilter, at: pointer, "One group cannot mix measures with dimensions."))
            }
            return kinds.contains(true)
        case .member(let name, let comparison, let values):
            if name == Self.timeMember {
                let count = comparison == .inDateRange || comparison == .notInDateRange ? 2 : 1
                let dates = values.compactMap { $0 }.filter { zone.start(ofDate: $0) != nil }
                if !comparison.isTemporal {
                    issues.append(.init(.badOperator, at: pointer, "Time takes the date operators."))
                } else if values.count != count || dates.count != count {
                    issues.append(.init(.badValue, at: pointer, "Give \(count) local date(s) as YYYY-MM-DD."))
                }
                return false
            }
            if comparison.isTemporal {
                issues.append(.init(.badOperator, at: pointer, "Only 'time' takes the date operators."))
            }
            if measures.contains(name) {
                checkMeasureFilter(comparison, values, pointer, &issues)
                return true
            }
            if !known.allSatisfy({ $0.spec.dimensions.contains(name) }) || known.isEmpty {
                issues.append(.init(.unknownMember, at: pointer, "Not every measure has a dimension '\(name)'."))
            }
            if values.isEmpty, comparison != .set, comparison != .notSet {
                issues.append(.init(.badValue, at: pointer, "Give at least one value."))
            }
            return false
        }
    }

    private func checkMeasureFilter(
        _ comparison: FilterOperator, _ values: [String?], _ pointer: String, _ issues: inout [MeasureError.Issue]
    ) {
        switch comparison {
        case .set, .notSet: return
        case .equals, .notEquals, .gt, .gte, .lt, .lte:
            if values.isEmpty || !values.allSatisfy({ $0.flatMap { MeasureDecimal(parsing: $0) } != nil }) {
                issues.append(.init(.badValue, at: pointer, "Compare a measure with numbers."))
            }
        default:
            issues.append(
                .init(.badOperator, at: pointer, "A measure takes equals, gt, gte, lt, lte, set and their opposites."))
        }
    }
}

extension MeasureFilter {
    /// Filters and groups in it.
    var size: Int {
        switch self {
        case .member: 1
        case .and(let parts), .or(let parts): 1 + parts.reduce(0) { $0 + $1.size }
        }
    }
}
