import FEEL

extension MeasureQuery {
    private struct Group: Hashable {
        var time: Int64?
        var dimensions: DimensionKey
    }

    /// Answers the query from base rows: `rows[name]` holds a measure's rows, from PostgreSQL and from the in-memory
    /// head, in any order and number of parts. `known` are the measures that may be named.
    public func evaluate(
        _ rows: [String: [RollupRow]], measures known: [Measure], in zone: TimeZoneRules = .utc
    ) throws(MeasureError) -> MeasureResult {
        let resolved = try resolve(known, in: zone)
        var groups: [Group: [MeasureState]] = [:]
        let empty = measures.map { _ in MeasureState() }
        var isOtherIncluded = false
        for (index, measure) in resolved.measures.enumerated() {
            let other = measure.spec.dimensions.map { _ in String?.some(MeasureLimits.other) }
            for row in rows[measure.spec.name] ?? [] where accepts(row, of: measure, resolved, zone) {
                if !other.isEmpty, row.dimensions == other { isOtherIncluded = true }
                let group = Group(
                    time: grain.map { zone.start(of: $0, containing: row.bucket) },
                    dimensions: DimensionKey(resolved.positions[index].map { row.dimensions[$0] }))
                groups[group, default: empty][index].merge(row.state)
            }
        }
        if dimensions.isEmpty, grain == nil, groups.isEmpty {
            groups[Group(time: nil, dimensions: DimensionKey([]))] = empty
        }
        if fillsEmptyBuckets { try fill(&groups, empty, zone) }
        var answer = groups.map { group, states in
            MeasureResultRow(
                time: group.time, dimensions: group.dimensions.texts,
                values: zip(resolved.measures, states).map { $1.value($0.spec.aggregate) })
        }.filter { row in resolved.havings.allSatisfy { $0.matches(row.values, named: measures) } }
        sort(&answer)
        return MeasureResult(
            rows: Array(answer.dropFirst(offset).prefix(limit)), total: answer.count, isOtherIncluded: isOtherIncluded)
    }

    private func accepts(_ row: RollupRow, of measure: Measure, _ resolved: Resolved, _ zone: TimeZoneRules) -> Bool {
        precondition(row.dimensions.count == measure.spec.dimensions.count, "rows have the measure's dimensions")
        if let range, row.bucket < range.start || row.bucket >= range.end { return false }
        return resolved.wheres.allSatisfy { $0.matches(bucket: row.bucket, row.dimensions, of: measure, in: zone) }
    }

    /// A row per bucket of the range and combination that has any data; without dimensions also when nothing has.
    private func fill(
        _ groups: inout [Group: [MeasureState]], _ empty: [MeasureState], _ zone: TimeZoneRules
    ) throws(MeasureError) {
        guard let grain, let range else { return }
        var combinations = Set(groups.keys.map(\.dimensions))
        if dimensions.isEmpty { combinations.insert(DimensionKey([])) }
        var time = zone.start(of: grain, containing: range.start)
        var buckets = 0
        while time < range.end {
            buckets += combinations.count
            guard buckets <= MeasureLimits.filledBucketsMax else {
                throw MeasureError([
                    .init(.tooMany, at: "/range", "At most \(MeasureLimits.filledBucketsMax) rows can be filled in.")
                ])
            }
            for dimensions in combinations {
                let group = Group(time: time, dimensions: dimensions)
                if groups[group] == nil { groups[group] = empty }
            }
            time = zone.next(grain, after: time)
        }
    }

    private func sort(_ rows: inout [MeasureResultRow]) {
        var keys = order
        if keys.isEmpty {
            if grain != nil {
                keys = [Order(Self.timeMember)]
            } else if let measure = measures.first {
                keys = [Order(measure, isDescending: true)]
            }
        }
        // Ties go by time and dimensions, so that paging is stable.
        if grain != nil { keys.append(Order(Self.timeMember)) }
        keys += dimensions.map { Order($0) }
        rows.sort { left, right in
            for key in keys {
                let comparison = compare(left, right, key)
                if comparison != 0 { return comparison < 0 }
            }
            return false
        }
    }

    private func compare(_ left: MeasureResultRow, _ right: MeasureResultRow, _ key: Order) -> Int {
        let sign = key.isDescending ? -1 : 1
        if key.member == Self.timeMember {
            return sign * Self.order(left.time ?? 0, right.time ?? 0)
        }
        if let position = dimensions.firstIndex(of: key.member) {
            switch (left.dimensions[position], right.dimensions[position]) {
            case (nil, nil): return 0
            case (nil, _): return 1
            case (_, nil): return -1
            case (let a?, let b?): return sign * Self.order(ByteText(a), ByteText(b))
            }
        }
        guard let position = measures.firstIndex(of: key.member) else { return 0 }
        switch (left.values[position], right.values[position]) {
        case (.null, .null): return 0
        case (.null, _): return 1
        case (_, .null): return -1
        case (.decimal(let a), .decimal(let b)): return sign * Self.order(a, b)
        case (let a, let b): return sign * Self.order(a.double ?? 0, b.double ?? 0)
        }
    }

    private static func order<T: Comparable>(_ left: T, _ right: T) -> Int {
        left < right ? -1 : left == right ? 0 : 1
    }
}
