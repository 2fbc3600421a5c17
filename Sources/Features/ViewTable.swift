/// All entities of one view in one shard: one block of sorted rows per entity.
///
/// Rows sort by (event time, source, id), so the answer never depends on arrival. Not Sendable: it lives inside a
/// shard's lock or inside one `FeatureComputation`.
struct ViewTable: ~Copyable {
    let view: FeatureView
    let entityEventsMax: Int
    var arena = BlockArena()
    var layouts: LayoutTable
    /// One dictionary per text column, in column order; others stay empty.
    var texts: [ByteDictionary]
    var sources = ByteDictionary()
    /// Events at or before this time may have been dropped by retention.
    var retiredThrough = Int64.min
    var rowCount = 0
    /// Entities whose rows are in PostgreSQL only, by slot.
    var spilled: [UInt32: SpillMark] = [:]
    /// While a back-fill runs: what ended events that it has not brought yet, by the event's seq; nil otherwise.
    var earlyEnds: [Int64: Supersession]?
    /// Next slot that a running `retire` visits.
    var retireCursor = 0
    /// The event being inserted: absolute field values, id bytes.
    private var fields: [Int64]
    private var idBytes: [UInt8] = []
    private var shape: RowShape

    init(view: FeatureView, entityEventsMax: Int? = nil) {
        self.view = view
        self.entityEventsMax = entityEventsMax ?? view.spec.entityEventsMax
        let fieldCount = RowLayout.Fixed.count + view.spec.columns.count
        layouts = LayoutTable(isSigned: view.signedFields)
        texts = [ByteDictionary](repeating: ByteDictionary(), count: view.spec.columns.count)
        fields = [Int64](repeating: 0, count: fieldCount)
        shape = RowShape(widths: [UInt8](repeating: 0, count: fieldCount), idWidth: 0, packsUUID: false)
    }

    var bytesUsed: Int {
        arena.bytesUsed + sources.bytesUsed + texts.reduce(0) { $0 + $1.bytesUsed }
            + layouts.bytesUsed
            + spilled.capacity * (MemoryLayout<UInt32>.stride + MemoryLayout<SpillMark>.stride)
    }

    // MARK: Insert

    /// Adds one event to the entity at `slot`.
    mutating func insert(_ event: FeatureEvent, slot: Int) -> ApplyOutcome {
        if let refusal = Self.refusal(event, view) { return .refused(refusal) }
        arena.ensure(slot: slot)
        // What was spilled comes back from PostgreSQL, this event with it.
        if !spilled.isEmpty, let mark = spilled[UInt32(slot)], event.seq <= mark.through { return .belowMemory }
        if isBelowMemory(event.time, slot: slot) { return .belowMemory }
        var event = event
        if let end = earlyEnds?.removeValue(forKey: event.seq) { event.superseded = end }
        encode(event)
        let base = arena.block(slot).map { BlockArena.header($0).pointee }
        measure(base)
        let block = prepare(slot: slot, first: event)
        writeRow(in: block)
        rowCount += 1
        if Int(BlockArena.header(block).pointee.count) > entityEventsMax { dropOldest(block, isCapped: true) }
        return .applied
    }

    private static func refusal(_ event: FeatureEvent, _ view: FeatureView) -> ApplyOutcome.Refusal? {
        precondition(event.values.count == view.spec.columns.count, "one value per column of the view")
        if !FeatureLimits.eventTimeMicros.contains(event.time) { return .timeOutOfRange }
        if event.source.utf8.count > FeatureLimits.stringBytesMax { return .textTooLong }
        if view.needsTieOrder, event.id.utf8.count > FeatureLimits.identityBytesMax { return .textTooLong }
        precondition(event.superseded.map { $0.seq > event.seq } ?? true, "a correction comes after what it corrects")
        for value in event.values {
            switch value {
            case .double(let number) where !number.isFinite: return .notFinite
            case .string(let text) where text.utf8.count > FeatureLimits.stringBytesMax: return .textTooLong
            default: break
            }
        }
        return nil
    }

    private func isBelowMemory(_ time: Int64, slot: Int) -> Bool {
        guard let block = arena.block(slot) else { return time <= retiredThrough && !view.keepsLatest }
        let header = BlockArena.header(block).pointee
        if time <= header.cappedThrough { return true }
        // A late event may hold the latest value of an attribute; retention drops it again when it does not.
        guard time <= retiredThrough, view.attributeColumns.isEmpty else { return false }
        // Retention keeps the latest event of an entity, so a late one matters only if it becomes the latest.
        return !view.keepsLatest || (header.count > 0 && time <= self.time(block, Int(header.count) - 1))
    }

    /// Fills `fields` and `idBytes`, taking references to the event's texts.
    private mutating func encode(_ event: FeatureEvent) {
        fields[RowLayout.Fixed.time] = event.time
        fields[RowLayout.Fixed.ingest] = event.ingestTime
        fields[RowLayout.Fixed.seq] = event.seq
        fields[RowLayout.Fixed.source] = 0
        fields[RowLayout.Fixed.endSeq] = event.superseded.map { $0.seq - event.seq } ?? 0
        fields[RowLayout.Fixed.endIngest] = event.superseded.map { $0.ingestTime - event.ingestTime } ?? 0
        idBytes.removeAll(keepingCapacity: true)
        shape.packsUUID = false
        if view.needsTieOrder {
            fields[RowLayout.Fixed.source] = Self.intern(event.source, &sources)
            var id = event.id
            shape.packsUUID = id.withUTF8 { text in
                if UUIDBytes.pack(text, into: &idBytes) { return true }
                idBytes.removeAll(keepingCapacity: true)
                idBytes.append(contentsOf: text)
                return false
            }
        }
        var nulls: Int64 = 0
        for (column, value) in event.values.enumerated() {
            let field = RowLayout.Fixed.count + column
            switch (value, view.spec.columns[column].kind) {
            case (.null, _):
                nulls |= 1 << Int64(column)
                fields[field] = 0
            case (.scaled(let number), .decimal), (.scaled(let number), .integer), (.scaled(let number), .boolean),
                (.scaled(let number), .timestamp), (.scaled(let number), .date):
                fields[field] = number
            case (.double(let number), .double):
                fields[field] = Int64(bitPattern: (number == 0 ? 0 : number).bitPattern)
            case (.string(let text), .string):
                fields[field] = Self.intern(text, &texts[column])
            default:
                preconditionFailure("a value has the kind of its column")
            }
        }
        fields[RowLayout.Fixed.nulls] = nulls
    }

    private static func intern(_ text: String, _ dictionary: inout ByteDictionary) -> Int64 {
        var text = text
        return text.withUTF8 { Int64(dictionary.retain($0, hash: ByteDictionary.hash($0))) }
    }

    /// Turns the first three fields into differences to the entity's bases and notes the widths that the row needs.
    private mutating func measure(_ base: BlockHeader?) {
        if let base {
            fields[RowLayout.Fixed.time] &-= base.timeBase
            fields[RowLayout.Fixed.ingest] &-= base.ingestBase
            fields[RowLayout.Fixed.seq] &-= base.seqBase
        } else {
            for field in 0..<3 { fields[field] = 0 }
        }
        for index in fields.indices {
            shape.widths[index] =
                view.signedFields[index]
                ? RowLayout.signedWidth(fields[index]) : RowLayout.unsignedWidth(fields[index])
        }
        shape.idWidth = UInt16(idBytes.count)
    }

    /// The entity's block with room for one more row of the measured shape.
    private mutating func prepare(slot: Int, first event: FeatureEvent) -> UnsafeMutableRawPointer {
        guard let old = arena.block(slot) else {
            let block = newBlock(slot: slot, rows: 2, layout: layouts.number(of: shape))
            let header = BlockArena.header(block)
            header.pointee.timeBase = event.time
            header.pointee.ingestBase = event.ingestTime
            header.pointee.seqBase = event.seq
            install(block, slot: slot)
            return block
        }
        let header = BlockArena.header(old).pointee
        let current = layouts[header.layout]
        let count = Int(header.count)
        if current.shape.holds(shape) {
            if Int(header.head) + count < Int(header.capacity) { return old }
            if Int(header.head) * 4 >= Int(header.capacity), header.head > 0 {
                let rows = old + BlockHeader.byteCount
                rows.copyMemory(from: rows + Int(header.head) * current.stride, byteCount: count * current.stride)
                BlockArena.header(old).pointee.head = 0
                return old
            }
            return move(slot: slot, layout: header.layout, rows: count + Swift.max(2, count / 5))
        }
        let wider = layouts.number(of: current.shape.union(shape))
        return move(slot: slot, layout: wider, rows: Swift.max(count + 1, Int(header.capacity) - Int(header.head)))
    }

    /// Makes `block` the block of a slot, and gives back what it had before.
    mutating func install(_ block: UnsafeMutableRawPointer?, slot: Int) {
        if let block { layouts.retain(BlockArena.header(block).pointee.layout) }
        if let old = arena.block(slot) { layouts.release(BlockArena.header(old).pointee.layout) }
        arena.install(block, slot: slot)
    }

    mutating func newBlock(slot: Int, rows: Int, layout: UInt32) -> UnsafeMutableRawPointer {
        let stride = layouts[layout].stride
        let block = arena.allocate(bytes: BlockHeader.byteCount + rows * stride + BlockHeader.tail, slot: slot)
        let header = BlockArena.header(block)
        let room = Int(header.pointee.byteCount) - BlockHeader.byteCount - BlockHeader.tail
        header.pointee.capacity = UInt32(room / stride)
        header.pointee.layout = layout
        return block
    }

    /// Moves the rows of an entity into a new block, rewriting them when the layout changes.
    mutating func move(slot: Int, layout: UInt32, rows: Int) -> UnsafeMutableRawPointer {
        let block = newBlock(slot: slot, rows: rows, layout: layout)
        // Only now: allocating may have moved the old block.
        guard let old = arena.block(slot) else { preconditionFailure("the entity has a block") }
        let from = BlockArena.header(old).pointee
        let header = BlockArena.header(block)
        header.pointee.timeBase = from.timeBase
        header.pointee.ingestBase = from.ingestBase
        header.pointee.seqBase = from.seqBase
        header.pointee.cappedThrough = from.cappedThrough
        header.pointee.count = from.count
        let (source, target) = (layouts[from.layout], layouts[layout])
        let firstRow = old + BlockHeader.byteCount + Int(from.head) * source.stride
        let newRows = block + BlockHeader.byteCount
        if from.layout == layout {
            newRows.copyMemory(from: firstRow, byteCount: Int(from.count) * source.stride)
        } else {
            for index in 0..<Int(from.count) {
                Self.convert(
                    firstRow + index * source.stride, source, to: newRows + index * target.stride, target)
            }
        }
        install(block, slot: slot)
        return block
    }

    private static func convert(
        _ row: UnsafeMutableRawPointer, _ source: RowLayout, to target: UnsafeMutableRawPointer, _ layout: RowLayout
    ) {
        for index in source.fields.indices {
            layout.fields[index].store(source.fields[index].load(row), in: target)
        }
        guard layout.idWidth > 0 else { return }
        let id = UnsafeRawBufferPointer(start: row + source.idOffset, count: source.idWidth)
        if source.shape.packsUUID && !layout.shape.packsUUID {
            storeID(UUIDBytes.unpack(id), in: target, layout)
        } else {
            storeID(id, in: target, layout)
        }
    }

    /// Ids hold no NUL (JSON input refuses it), so zero padding keeps their byte order.
    private static func storeID(
        _ id: some Collection<UInt8>, in row: UnsafeMutableRawPointer, _ layout: RowLayout
    ) {
        let start = row + layout.idOffset
        start.initializeMemory(as: UInt8.self, repeating: 0, count: layout.idWidth)
        UnsafeMutableRawBufferPointer(start: start, count: layout.idWidth).copyBytes(from: id)
    }

    private mutating func writeRow(in block: UnsafeMutableRawPointer) {
        let header = BlockArena.header(block)
        let layout = layouts[header.pointee.layout]
        if shape.packsUUID && !layout.shape.packsUUID {
            idBytes = idBytes.withUnsafeBytes { UUIDBytes.unpack($0) }
        }
        while idBytes.count < layout.idWidth { idBytes.append(0) }
        let rows = block + BlockHeader.byteCount + Int(header.pointee.head) * layout.stride
        let count = Int(header.pointee.count)
        let position = insertionIndex(rows, layout, count)
        let row = rows + position * layout.stride
        (row + layout.stride).copyMemory(from: row, byteCount: (count - position) * layout.stride)
        for index in fields.indices { layout.fields[index].store(fields[index], in: row) }
        if layout.idWidth > 0 { Self.storeID(idBytes, in: row, layout) }
        header.pointee.count += 1
    }

    private func insertionIndex(_ rows: UnsafeMutableRawPointer, _ layout: RowLayout, _ count: Int) -> Int {
        if count == 0 || !isBefore(rows + (count - 1) * layout.stride, layout) { return count }
        var (low, high) = (0, count - 1)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(rows + middle * layout.stride, layout) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Whether the event being inserted sorts before the row.
    private func isBefore(_ row: UnsafeMutableRawPointer, _ layout: RowLayout) -> Bool {
        let time = layout.fields[RowLayout.Fixed.time].load(row)
        if time != fields[RowLayout.Fixed.time] { return fields[RowLayout.Fixed.time] < time }
        guard view.needsTieOrder else { return false }
        let source = UInt32(truncatingIfNeeded: layout.fields[RowLayout.Fixed.source].load(row))
        let own = UInt32(truncatingIfNeeded: fields[RowLayout.Fixed.source])
        if source != own { return sources.isLess(own, source) }
        for index in 0..<layout.idWidth {
            let byte = row.load(fromByteOffset: layout.idOffset + index, as: UInt8.self)
            if idBytes[index] != byte { return idBytes[index] < byte }
        }
        return false
    }

    // MARK: Remove

    /// Event time of a row.
    func time(_ block: UnsafeMutableRawPointer, _ index: Int) -> Int64 {
        let header = BlockArena.header(block).pointee
        let layout = layouts[header.layout]
        let row = block + BlockHeader.byteCount + (Int(header.head) + index) * layout.stride
        return header.timeBase &+ layout.fields[RowLayout.Fixed.time].load(row)
    }

    private mutating func dropOldest(_ block: UnsafeMutableRawPointer, isCapped: Bool) {
        let header = BlockArena.header(block)
        let layout = layouts[header.pointee.layout]
        let row = block + BlockHeader.byteCount + Int(header.pointee.head) * layout.stride
        if isCapped {
            let time = header.pointee.timeBase &+ layout.fields[RowLayout.Fixed.time].load(row)
            header.pointee.cappedThrough = Swift.max(header.pointee.cappedThrough, time)
        }
        let nulls = layout.fields[RowLayout.Fixed.nulls].load(row)
        for (column, spec) in view.spec.columns.enumerated()
        where spec.kind == .string && nulls >> Int64(column) & 1 == 0 {
            let number = layout.fields[RowLayout.Fixed.count + column].load(row)
            texts[column].release(UInt32(truncatingIfNeeded: number))
        }
        if view.needsTieOrder {
            sources.release(UInt32(truncatingIfNeeded: layout.fields[RowLayout.Fixed.source].load(row)))
        }
        header.pointee.head += 1
        header.pointee.count -= 1
        rowCount -= 1
    }

    /// Drops the events at or before `cut` of one entity; returns whether nothing is left to keep.
    mutating func retire(slot: Int, through cut: Int64) -> Bool {
        if let mark = spilled[UInt32(slot)], mark.newest <= cut, !view.keepsLatest { spilled[UInt32(slot)] = nil }
        guard let block = arena.block(slot) else { return !isSpilled(slot) }
        let header = BlockArena.header(block)
        var spare = Int(header.pointee.count) - (view.keepsLatest ? 1 : 0)
        if !view.attributeColumns.isEmpty { spare = Swift.min(spare, attributeStart(block, through: cut)) }
        while spare > 0, time(block, 0) <= cut {
            dropOldest(block, isCapped: false)
            spare -= 1
        }
        let isEmpty = header.pointee.count == 0 && header.pointee.cappedThrough <= cut
        if isEmpty {
            install(nil, slot: slot)
        } else if header.pointee.head * 2 > header.pointee.capacity {
            _ = move(slot: slot, layout: header.pointee.layout, rows: Swift.max(1, Int(header.pointee.count)))
        }
        return isEmpty && !isSpilled(slot)
    }

    /// Index of the first row that some attribute needs as of `cut` or later: the earliest among the latest rows at or
    /// before `cut` that have a value, one row an attribute; the number of rows when none does.
    private func attributeStart(_ block: UnsafeMutableRawPointer, through cut: Int64) -> Int {
        let header = BlockArena.header(block).pointee
        let layout = layouts[header.layout]
        let rows = UnsafeRawPointer(block) + BlockHeader.byteCount + Int(header.head) * layout.stride
        let nulls = layout.fields[RowLayout.Fixed.nulls]
        let end = layout.fields[RowLayout.Fixed.endSeq]
        var start = Int(header.count)
        for column in view.attributeColumns {
            var index = Int(header.count) - 1
            while index >= 0,
                time(block, index) > cut || nulls.load(rows + index * layout.stride) >> Int64(column) & 1 == 1
                    || end.load(rows + index * layout.stride) != 0
            { index -= 1 }
            if index >= 0 { start = Swift.min(start, index) }
        }
        return start
    }

    /// Notes that retention drops events through `cut` from now on; a lower cut than before changes nothing.
    mutating func beginRetiring(through cut: Int64) {
        retiredThrough = Swift.max(retiredThrough, cut)
    }

    /// Forgets one entity: its rows, its texts, and that it was ever full.
    mutating func erase(slot: Int) {
        spilled[UInt32(slot)] = nil
        guard let block = arena.block(slot) else { return }
        while BlockArena.header(block).pointee.count > 0 { dropOldest(block, isCapped: false) }
        install(nil, slot: slot)
    }
}
