/// What memory keeps of an entity whose rows are in PostgreSQL only. As long as it stands, no read of that entity is
/// answered from memory: newer rows may be here, but never the whole.
struct SpillMark {
    /// Every event up to this journal position is in PostgreSQL and not here; newer ones are here.
    var through: Int64
    /// The block's `cappedThrough` when it was spilled: what was dropped may not be in PostgreSQL yet.
    var cappedThrough: Int64
    /// Event time of the latest row spilled.
    var newest: Int64
    /// What ended spilled events since then, by their seq: PostgreSQL may not have it when they are read back.
    var ended: [Int64: Supersession] = [:]
}

extension ViewTable {
    /// Whether rows of the slot are in PostgreSQL only.
    func isSpilled(_ slot: Int) -> Bool {
        !spilled.isEmpty && spilled[UInt32(slot)] != nil
    }

    /// Drops the rows of an entity and remembers that PostgreSQL has them; false when it has none, or one that is not in
    /// PostgreSQL yet.
    ///
    /// - Parameter through: every event up to this position is in PostgreSQL.
    mutating func spill(slot: Int, through: Int64) -> Bool {
        guard let block = arena.block(slot) else { return false }
        let header = BlockArena.header(block).pointee
        guard header.count > 0, newestSeq(block) <= through else { return false }
        let mark = SpillMark(
            through: through, cappedThrough: header.cappedThrough, newest: time(block, Int(header.count) - 1))
        let before = spilled[UInt32(slot)] ?? mark
        erase(slot: slot)
        spilled[UInt32(slot)] = SpillMark(
            through: through, cappedThrough: max(mark.cappedThrough, before.cappedThrough),
            newest: max(mark.newest, before.newest), ended: before.ended.filter { $0.value.seq > through })
        return true
    }

    /// Highest journal position among the rows of a block and what ended them.
    private func newestSeq(_ block: UnsafeMutableRawPointer) -> Int64 {
        let header = BlockArena.header(block).pointee
        let layout = layouts[header.layout]
        let (seq, end) = (layout.fields[RowLayout.Fixed.seq], layout.fields[RowLayout.Fixed.endSeq])
        let rows = block + BlockHeader.byteCount + Int(header.head) * layout.stride
        var newest = Int64.min
        for index in 0..<Int(header.count) {
            let row = rows + index * layout.stride
            newest = max(newest, header.seqBase &+ seq.load(row) &+ end.load(row))
        }
        return newest
    }

    /// Puts spilled rows back beside the newer ones; false when the entity is not spilled at `through` (any more).
    ///
    /// - Parameter events: the entity's latest events up to `through` by (time, source, id), ascending: all, or one more
    ///   than fit, so that memory learns where it ends.
    mutating func restore(slot: Int, through: Int64, events: [FeatureEvent]) -> Bool {
        guard let mark = spilled[UInt32(slot)], mark.through == through else { return false }
        spilled[UInt32(slot)] = nil
        for var event in events {
            if let end = mark.ended[event.seq] { event.superseded = end }
            _ = insert(event, slot: slot)
        }
        if mark.cappedThrough > .min, let block = arena.block(slot) {
            let header = BlockArena.header(block)
            header.pointee.cappedThrough = max(header.pointee.cappedThrough, mark.cappedThrough)
        }
        return true
    }

    /// Moves what is left in mostly empty chunks together, a few chunks at a time; frees what spilling emptied, and what
    /// was kept for rows that are gone.
    mutating func compact() {
        layouts.compact()
        if rowCount == 0 {
            sources = ByteDictionary()
            for column in texts.indices { texts[column] = ByteDictionary() }
        }
        for _ in 0..<FeatureLimits.compactedChunksMax where !arena.compactChunk() { return }
    }
}
