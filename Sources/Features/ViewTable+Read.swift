/// What one view answered.
struct ViewReading {
    /// Event time of the latest known event up to as_of.
    var lastEventTime: Int64?
    /// Memory covers as_of for this entity.
    var isAvailable: Bool
    /// Its rows are in PostgreSQL only; not available either.
    var isSpilled = false
}

/// What memory still holds of an entity, and the instant that a read is for.
struct MemoryCover {
    /// Latest event time dropped because the entity was full, and dropped by retention; Int64.min for never.
    let capped: Int64
    let retired: Int64
    /// Event time of the entity's latest row, known or not; Int64.min for none.
    let newest: Int64
    let asOf: Int64

    /// as_of before this asks for what memory dropped.
    var floor: Int64 { max(capped, retired) }

    /// Excluded start of the window that ends at as_of.
    func start(of span: Int64) -> Int64 {
        if span == .max { return .min }
        let (start, isOverflow) = asOf.subtractingReportingOverflow(span)
        return isOverflow ? .min : start
    }
}

/// The rows of one entity that a read may see, ascending: all up to as_of, or the known ones among them.
struct RowSet {
    let rows: UnsafeRawPointer
    let stride: Int
    let count: Int
    let timeBase: Int64
    let timeField: RowField
    /// Row index of each member; nil when the members are the first `count` rows.
    let indexes: UnsafePointer<UInt32>?

    @inline(__always)
    func row(_ position: Int) -> UnsafeRawPointer {
        guard let indexes else { return rows + position * stride }
        return rows + Int(indexes[position]) * stride
    }

    @inline(__always)
    func time(_ position: Int) -> Int64 { timeBase &+ timeField.load(row(position)) }

    /// First position in 0 ..< bound whose event time is after `time`.
    func firstPosition(after time: Int64, below bound: Int) -> Int {
        var (low, high) = (0, bound)
        while low < high {
            let middle = (low + high) / 2
            if self.time(middle) > time { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension ViewTable {
    /// Computes a program's features of one entity in one backward pass and writes them to `values`.
    func read(
        _ program: ReadProgram, slot: Int?, asOf: Int64, knownAt: KnownAt, scratch: inout ReadScratch,
        into values: inout [FeatureValue]
    ) -> ViewReading {
        if let slot, isSpilled(slot) {
            var reading = unavailable(program, into: &values)
            reading.isSpilled = true
            return reading
        }
        scratch.begin(columnCount: view.spec.columns.count)
        guard let slot, let block = arena.block(slot) else {
            return emitWithoutRows(program, asOf: asOf, scratch: &scratch, into: &values)
        }
        let header = BlockArena.header(block).pointee
        let layout = layouts[Int(header.layout)]
        let rows = UnsafeRawPointer(block) + BlockHeader.byteCount + Int(header.head) * layout.stride
        let all = RowSet(
            rows: rows, stride: layout.stride, count: Int(header.count), timeBase: header.timeBase,
            timeField: layout.fields[RowLayout.Fixed.time], indexes: nil)
        let newest = all.count > 0 ? all.time(all.count - 1) : Int64.min
        let visible = asOf >= newest ? all.count : all.firstPosition(after: asOf, below: all.count)
        let memory = MemoryCover(
            capped: header.cappedThrough, retired: retiredThrough, newest: newest, asOf: asOf)
        let isFiltered: Bool
        if layout.fields[RowLayout.Fixed.endSeq].width > 0 {
            let standing = StandingRows(layout: layout, header: header, knownAt: knownAt)
            standing.collect(all, visible, from: memory.start(of: program.longestSpan), into: &scratch.known)
            isFiltered = true
        } else {
            isFiltered = filter(all, visible, layout, header, knownAt, into: &scratch.known)
        }
        let count = isFiltered ? scratch.known.count : visible
        guard asOf >= memory.floor || memory.floor == .min else {
            return unavailable(program, into: &values)
        }
        if program.distinctColumns > 0 { scratch.distinct.begin(count: count * program.distinctColumns) }
        // The pass needs the row indexes and the accumulators of one scratch at once.
        var known: [UInt32] = []
        swap(&known, &scratch.known)
        defer { swap(&known, &scratch.known) }
        return known.withUnsafeBufferPointer { indexes in
            let set = RowSet(
                rows: rows, stride: layout.stride, count: count, timeBase: header.timeBase,
                timeField: layout.fields[RowLayout.Fixed.time], indexes: isFiltered ? indexes.baseAddress : nil)
            return pass(program, set, layout, memory, scratch: &scratch, into: &values)
        }
    }

    /// The known rows among the first `visible`; false when nothing is filtered out by definition.
    private func filter(
        _ all: RowSet, _ visible: Int, _ layout: RowLayout, _ header: BlockHeader, _ knownAt: KnownAt,
        into known: inout [UInt32]
    ) -> Bool {
        let (field, base, bound): (RowField, Int64, Int64)
        switch knownAt {
        case .latest: return false
        case .ingestTime(let micros):
            (field, base, bound) = (layout.fields[RowLayout.Fixed.ingest], header.ingestBase, micros)
        case .seq(let seq):
            (field, base, bound) = (layout.fields[RowLayout.Fixed.seq], header.seqBase, seq)
        }
        known.removeAll(keepingCapacity: true)
        for position in 0..<visible where base &+ field.load(all.row(position)) <= bound {
            known.append(UInt32(position))
        }
        // An empty list has no address to mark the set as filtered, so it is filtered by its count alone.
        return true
    }

    private func pass(
        _ program: ReadProgram, _ set: RowSet, _ layout: RowLayout, _ memory: MemoryCover, scratch: inout ReadScratch,
        into values: inout [FeatureValue]
    ) -> ViewReading {
        let latest = set.count > 0 ? set.time(set.count - 1) : nil
        var upper = set.count
        for (index, stage) in program.stages.enumerated() {
            let start = memory.start(of: stage.span)
            if !stage.isLatestOnly {
                let lower = stage.span == .max ? 0 : set.firstPosition(after: start, below: upper)
                for task in stage.tasks {
                    if index == 0, task.kind == .double { scratch.resetExactSum(task.column) }
                    fold(task, set, lower..<upper, layout, scratch: &scratch)
                }
                upper = lower
            }
            let end = WindowEnd(
                start: start, isAllHistory: stage.span == .max, rowCount: Int64(set.count - upper), latest: latest,
                memory: memory)
            for emission in stage.emissions {
                guard let value = emit(emission.feature, end, scratch) else {
                    return unavailable(program, into: &values)
                }
                values[emission.position] = value
            }
        }
        return ViewReading(lastEventTime: latest, isAvailable: true)
    }

    private func unavailable(_ program: ReadProgram, into values: inout [FeatureValue]) -> ViewReading {
        for stage in program.stages {
            for emission in stage.emissions { values[emission.position] = .null(.featureUnavailable) }
        }
        return ViewReading(lastEventTime: nil, isAvailable: false)
    }

    private func emitWithoutRows(
        _ program: ReadProgram, asOf: Int64, scratch: inout ReadScratch, into values: inout [FeatureValue]
    ) -> ViewReading {
        let memory = MemoryCover(capped: .min, retired: retiredThrough, newest: .min, asOf: asOf)
        guard asOf >= retiredThrough || retiredThrough == .min else { return unavailable(program, into: &values) }
        for stage in program.stages {
            for task in stage.tasks where task.kind == .double { scratch.resetExactSum(task.column) }
            let end = WindowEnd(
                start: memory.start(of: stage.span), isAllHistory: stage.span == .max, rowCount: 0, latest: nil,
                memory: memory)
            for emission in stage.emissions {
                guard let value = emit(emission.feature, end, scratch) else {
                    return unavailable(program, into: &values)
                }
                values[emission.position] = value
            }
        }
        return ViewReading(lastEventTime: nil, isAvailable: true)
    }
}
