extension ViewTable {
    /// Notes what ended the event at (`time`, `seq`) of the entity at `slot`; false when memory does not hold the event.
    /// The row stays, for reads that do not know the correction, and counts towards `entityEventsMax`.
    @discardableResult
    mutating func supersede(time: Int64, seq: Int64, by end: Supersession, slot: Int) -> Bool {
        if !spilled.isEmpty, let mark = spilled[UInt32(slot)], seq <= mark.through {
            spilled[UInt32(slot)]?.ended[seq] = end
            return true
        }
        guard let found = arena.block(slot), let index = find(found, time: time, seq: seq) else { return false }
        precondition(end.seq > seq, "a correction comes after what it corrects")
        let header = BlockArena.header(found).pointee
        let layout = layouts[header.layout]
        let row = found + BlockHeader.byteCount + (Int(header.head) + index) * layout.stride
        let delay = end.ingestTime &- header.ingestBase &- layout.fields[RowLayout.Fixed.ingest].load(row)
        var wanted = layout.shape
        wanted.widen(RowLayout.Fixed.endSeq, to: RowLayout.unsignedWidth(end.seq - seq))
        wanted.widen(RowLayout.Fixed.endIngest, to: RowLayout.signedWidth(delay))
        var block = found
        if !layout.shape.holds(wanted) {
            block = move(
                slot: slot, layout: layouts.number(of: wanted), rows: max(1, Int(header.capacity) - Int(header.head)))
        }
        let place = BlockArena.header(block).pointee
        let target = layouts[place.layout]
        let ended = block + BlockHeader.byteCount + (Int(place.head) + index) * target.stride
        target.fields[RowLayout.Fixed.endSeq].store(end.seq - seq, in: ended)
        target.fields[RowLayout.Fixed.endIngest].store(delay, in: ended)
        return true
    }

    /// Keeps what ended an event that a back-fill may still bring; nothing when none runs.
    mutating func remember(_ seq: Int64, by end: Supersession) {
        earlyEnds?[seq] = end
    }

    /// Index of the row of this event time and seq.
    private func find(_ block: UnsafeMutableRawPointer, time: Int64, seq: Int64) -> Int? {
        let header = BlockArena.header(block).pointee
        let layout = layouts[header.layout]
        let rows = UnsafeRawPointer(block) + BlockHeader.byteCount + Int(header.head) * layout.stride
        let set = RowSet(
            rows: rows, stride: layout.stride, count: Int(header.count), timeBase: header.timeBase,
            timeField: layout.fields[RowLayout.Fixed.time], indexes: nil)
        // Rows of one event time stand together, in the order of their source and id.
        let end = set.firstPosition(after: time, below: set.count)
        var index = end - 1
        while index >= 0, set.time(index) == time {
            if header.seqBase &+ layout.fields[RowLayout.Fixed.seq].load(set.row(index)) == seq { return index }
            index -= 1
        }
        return nil
    }
}

/// Which rows of an entity with corrections a read sees: those it knows, less those whose end it knows.
struct StandingRows {
    let layout: RowLayout
    let header: BlockHeader
    let knownAt: KnownAt

    /// The standing ones among the first `visible` rows, ascending: those after `start`, the excluded start of the longest
    /// window, or else the latest before it, from which the age of the entity's last event is read.
    func collect(_ all: RowSet, _ visible: Int, from start: Int64, into known: inout [UInt32]) {
        known.removeAll(keepingCapacity: true)
        let first = start == .min ? 0 : all.firstPosition(after: start, below: visible)
        for position in first..<visible where contains(all.row(position)) { known.append(UInt32(position)) }
        if known.isEmpty, let latest = (0..<first).last(where: { contains(all.row($0)) }) {
            known.append(UInt32(latest))
        }
    }

    /// Whether the read sees the row.
    func contains(_ row: UnsafeRawPointer) -> Bool {
        let distance = layout.fields[RowLayout.Fixed.endSeq].load(row)
        switch knownAt {
        case .latest: return distance == 0
        case .seq(let bound):
            let seq = header.seqBase &+ layout.fields[RowLayout.Fixed.seq].load(row)
            return seq <= bound && (distance == 0 || seq &+ distance > bound)
        case .ingestTime(let bound):
            let ingest = header.ingestBase &+ layout.fields[RowLayout.Fixed.ingest].load(row)
            let delay = layout.fields[RowLayout.Fixed.endIngest].load(row)
            return ingest <= bound && (distance == 0 || ingest &+ delay > bound)
        }
    }
}

extension RowShape {
    /// Makes a field at least `width` bytes wide.
    fileprivate mutating func widen(_ field: Int, to width: UInt8) {
        widths[field] = max(widths[field], width)
    }
}
