extension ViewTable {
    /// Folds the rows of one stage into one column's accumulator. Rows come newest stage first.
    func fold(
        _ task: ReadProgram.Task, _ set: RowSet, _ range: Range<Int>, _ layout: RowLayout, scratch: inout ReadScratch
    ) {
        if range.isEmpty { return }
        let field = layout.fields[RowLayout.Fixed.count + task.column]
        let nulls = layout.fields[RowLayout.Fixed.nulls]
        let values = ColumnRows(
            set: set, range: range, field: field, nulls: nulls, nullBit: nulls.width == 0 ? 0 : 1 << Int64(task.column))
        var state = scratch.columns[task.column]
        if task.needs.contains(.ends) { values.foldEnds(&state) }
        state.count += values.count
        switch task.kind {
        case .decimal, .integer, .boolean, .timestamp, .date:
            if !task.needs.isDisjoint(with: [.sum, .extremes]) { values.foldScaled(&state) }
            if task.needs.contains(.squares) { values.foldSquares(&state) }
        case .double:
            if task.needs.contains(.extremes) { values.foldDoubleExtremes(&state) }
            if task.needs.contains(.sum) {
                // Taken out and put back, so that adding does not copy the accumulator.
                var sum = scratch.exactSums[task.column] ?? ExactSum()
                scratch.exactSums[task.column] = nil
                values.foldDoubleSum(&sum)
                scratch.exactSums[task.column] = sum
            }
        case .string:
            break
        }
        if task.needs.contains(.distinct) {
            for position in range
            where !values.isNull(position)
                && scratch.distinct.insert(values.value(position), column: task.column)
            {
                state.distinct += 1
            }
        }
        if task.needs.contains(.frequencies) {
            for position in range where !values.isNull(position) {
                scratch.frequencies[task.column][values.value(position), default: 0] += 1
            }
        }
        if task.needs.contains(.ranks) {
            for position in range where !values.isNull(position) {
                scratch.ranks[task.column].add(values.value(position), task.kind)
            }
            scratch.ranks[task.column].sort()
        }
        scratch.columns[task.column] = state
    }

    /// Folds the rows of one stage into one decaying sum as of `asOf`.
    func fold(
        _ task: ReadProgram.DecayTask, _ set: RowSet, _ range: Range<Int>, _ layout: RowLayout, asOf: Int64,
        scratch: inout ReadScratch
    ) {
        if range.isEmpty { return }
        let column = task.decay.column
        let nulls = layout.fields[RowLayout.Fixed.nulls]
        let values = ColumnRows(
            set: set, range: range, field: layout.fields[RowLayout.Fixed.count + column], nulls: nulls,
            nullBit: nulls.width == 0 ? 0 : 1 << Int64(column))
        for position in range where !values.isNull(position) {
            let raw = values.value(position)
            let number =
                task.kind.scale.map { Rounding.decimal(Int128(raw), scale: $0) }
                ?? Double(bitPattern: UInt64(bitPattern: raw))
            // Rows are at or before as_of, and both lie within the years that event times may have or near them.
            let age = UInt64(bitPattern: asOf &- set.time(position))
            scratch.decays[task.index].add(
                number, weight: DecayWeight.weight(age: age, halfLife: task.decay.halfLifeMicros))
        }
    }
}

/// One column of the rows of one stage.
private struct ColumnRows {
    let set: RowSet
    let range: Range<Int>
    let field: RowField
    let nulls: RowField
    /// 0 when no row of the entity has a null in any column.
    let nullBit: Int64

    @inline(__always)
    func isNull(_ position: Int) -> Bool {
        nullBit != 0 && nulls.load(set.row(position)) & nullBit != 0
    }

    @inline(__always)
    func value(_ position: Int) -> Int64 { field.load(set.row(position)) }

    /// Values that are not null.
    var count: Int64 {
        if nullBit == 0 { return Int64(range.count) }
        var count: Int64 = 0
        for position in range where !isNull(position) { count += 1 }
        return count
    }

    func foldEnds(_ state: inout ColumnAccumulator) {
        if state.newestTime == .min, let newest = range.last(where: { !isNull($0) }) {
            state.newest = value(newest)
            state.newestTime = set.time(newest)
        }
        if let oldest = range.first(where: { !isNull($0) }) {
            state.oldest = value(oldest)
            state.oldestTime = set.time(oldest)
        }
    }

    func foldScaled(_ state: inout ColumnAccumulator) {
        var (sum, least, greatest) = (state.sum, state.minimum, state.maximum)
        for position in range where !isNull(position) {
            let value = value(position)
            // At most 2^31 rows of 63 bits: far from 127.
            sum &+= Int128(value)
            least = min(least, value)
            greatest = max(greatest, value)
        }
        (state.sum, state.minimum, state.maximum) = (sum, least, greatest)
    }

    func foldSquares(_ state: inout ColumnAccumulator) {
        for position in range where !isNull(position) {
            let magnitude = UInt128(value(position).magnitude)
            let (sum, isOverflow) = state.squares.addingReportingOverflow(magnitude * magnitude)
            state.squares = sum
            if isOverflow { state.isSquareOverflow = true }
        }
    }

    func foldDoubleExtremes(_ state: inout ColumnAccumulator) {
        for position in range where !isNull(position) {
            let value = Double(bitPattern: UInt64(bitPattern: value(position)))
            state.leastDouble = min(state.leastDouble, value)
            state.greatestDouble = max(state.greatestDouble, value)
        }
    }

    func foldDoubleSum(_ sum: inout ExactSum) {
        for position in range where !isNull(position) {
            sum.add(Double(bitPattern: UInt64(bitPattern: value(position))))
        }
    }
}
