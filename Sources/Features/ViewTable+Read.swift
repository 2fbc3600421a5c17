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
    /// Microseconds that a window's start is a multiple of.
    let tile: Int64
    /// Not every event of memory is read, so what retention kept may hide what it dropped.
    var isFiltered = false

    /// as_of before this asks for what memory dropped.
    var floor: Int64 { max(capped, retired) }

    /// Excluded start of the window that ends at as_of: as_of - span, moved back to a multiple of the tile.
    func start(of span: Int64) -> Int64 {
        if span == .max { return .min }
        let (start, isOverflow) = asOf.subtractingReportingOverflow(span)
        if isOverflow { return .min }
        if tile == 1 { return start }
        let rest = start % tile
        let (floor, isBelow) = start.subtractingReportingOverflow(rest < 0 ? rest + tile : rest)
        return isBelow ? .min : floor
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
        scratch.begin(program)
        guard let slot, let block = arena.block(slot) else {
            return emitWithoutRows(program, asOf: asOf, scratch: &scratch, into: &values)
        }
        let header = BlockArena.header(block).pointee
        let layout = layouts[header.layout]
        let rows = UnsafeRawPointer(block) + BlockHeader.byteCount + Int(header.head) * layout.stride
        let all = RowSet(
            rows: rows, stride: layout.stride, count: Int(header.count), timeBase: header.timeBase,
            timeField: layout.fields[RowLayout.Fixed.time], indexes: nil)
        let newest = all.count > 0 ? all.time(all.count - 1) : Int64.min
        let visible = asOf >= newest ? all.count : all.firstPosition(after: asOf, below: all.count)
        var memory = MemoryCover(
            capped: header.cappedThrough, retired: retiredThrough, newest: newest, asOf: asOf,
            tile: view.tileMicros)
        let isFiltered: Bool
        if layout.fields[RowLayout.Fixed.endSeq].width > 0 {
            let standing = StandingRows(layout: layout, header: header, knownAt: knownAt)
            standing.collect(all, visible, from: memory.start(of: program.longestSpan), into: &scratch.known)
            isFiltered = true
        } else {
            isFiltered = filter(all, visible, layout, header, knownAt, into: &scratch.known)
        }
        memory.isFiltered = isFiltered
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
        switch expiry(latest, memory) {
        case .unknown: return unavailable(program, into: &values)
        case .expired:
            fill(program, .null(.expired), into: &values)
            return ViewReading(lastEventTime: latest, isAvailable: true)
        case .live: break
        }
        var upper = set.count
        var oldest: Int64?
        for stage in program.stages {
            let start = memory.start(of: stage.span)
            if !stage.isLatestOnly {
                let lower = stage.span == .max ? 0 : set.firstPosition(after: start, below: upper)
                for task in stage.tasks { fold(task, set, lower..<upper, layout, scratch: &scratch) }
                for task in stage.decays {
                    fold(task, set, lower..<upper, layout, asOf: memory.asOf, scratch: &scratch)
                }
                if lower < set.count { oldest = set.time(lower) }
                upper = lower
            }
            let end = WindowEnd(
                start: start, isAllHistory: stage.span == .max, rowCount: Int64(set.count - upper), latest: latest,
                oldest: oldest, memory: memory)
            for emission in stage.emissions {
                guard let value = emit(emission.feature, end, scratch) else {
                    return unavailable(program, into: &values)
                }
                values[emission.position] = value
            }
        }
        return ViewReading(lastEventTime: latest, isAvailable: true)
    }

    private enum Expiry { case live, expired, unknown }

    /// What the view's time to live says of an entity whose latest visible event this is.
    private func expiry(_ latest: Int64?, _ memory: MemoryCover) -> Expiry {
        guard let ttl = view.spec.ttlMicros else { return .live }
        if let latest, latest > memory.floor || (latest == memory.newest && !memory.isFiltered) {
            return memory.asOf - latest > ttl ? .expired : .live
        }
        // The latest visible event, if there is one, is not sure to be the latest known one: something was dropped.
        if memory.capped != .min || (memory.retired != .min && (memory.newest != .min || memory.isFiltered)) {
            return .unknown
        }
        return .live
    }

    private func fill(_ program: ReadProgram, _ value: FeatureValue, into values: inout [FeatureValue]) {
        for stage in program.stages {
            for emission in stage.emissions { values[emission.position] = value }
        }
    }

    private func unavailable(_ program: ReadProgram, into values: inout [FeatureValue]) -> ViewReading {
        fill(program, .null(.featureUnavailable), into: &values)
        return ViewReading(lastEventTime: nil, isAvailable: false)
    }

    private func emitWithoutRows(
        _ program: ReadProgram, asOf: Int64, scratch: inout ReadScratch, into values: inout [FeatureValue]
    ) -> ViewReading {
        let memory = MemoryCover(
            capped: .min, retired: retiredThrough, newest: .min, asOf: asOf, tile: view.tileMicros)
        guard asOf >= retiredThrough || retiredThrough == .min else { return unavailable(program, into: &values) }
        for stage in program.stages {
            let end = WindowEnd(
                start: memory.start(of: stage.span), isAllHistory: stage.span == .max, rowCount: 0, latest: nil,
                oldest: nil,
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
