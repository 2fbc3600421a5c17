extension ViewTable {
    /// What rows of this table consist of; saved rows of another make are not taken over.
    private var signature: [UInt8] {
        var signature: [UInt8] = [view.needsTieOrder ? 1 : 0, UInt8(RowLayout.Fixed.count)]
        for column in view.spec.columns {
            switch column.kind {
            case .decimal(let scale): signature += [1, UInt8(scale)]
            case .integer: signature += [2, 0]
            case .double: signature += [3, 0]
            case .string: signature += [4, 0]
            case .boolean: signature += [5, 0]
            case .timestamp: signature += [6, 0]
            case .date: signature += [7, 0]
            }
        }
        return signature
    }

    private var textColumns: [Int] { view.spec.columns.indices.filter { view.spec.columns[$0].kind == .string } }

    // MARK: Save

    /// Saves the table: layouts, dictionaries, then each entity's head and rows as they lie in memory.
    func encode(into writer: inout StateWriter) {
        let signature = signature
        writer.integer(UInt32(signature.count))
        signature.withUnsafeBytes { writer.raw($0) }
        let (shapes, places) = layouts.inUse
        writer.integer(UInt32(shapes.count))
        for shape in shapes {
            shape.widths.withUnsafeBytes { writer.raw($0) }
            writer.integer(shape.idWidth)
            writer.integer(UInt8(shape.packsUUID ? 1 : 0))
        }
        if view.needsTieOrder { sources.encode(into: &writer) }
        for column in textColumns { texts[column].encode(into: &writer) }
        writer.integer(retiredThrough)
        let blocks = arena.pointers.lazy.compactMap { $0 }
        writer.integer(UInt32(blocks.count))
        for block in blocks {
            let header = BlockArena.header(block).pointee
            let stride = layouts[header.layout].stride
            for number in [header.owner, places[Int(header.layout)], header.count] { writer.integer(number) }
            for base in [header.timeBase, header.ingestBase, header.seqBase, header.cappedThrough] {
                writer.integer(base)
            }
            let rows = block + BlockHeader.byteCount + Int(header.head) * stride
            writer.raw(UnsafeRawBufferPointer(start: rows, count: Int(header.count) * stride))
        }
        encodeSpilled(into: &writer)
    }

    /// Which entities have rows in PostgreSQL only.
    private func encodeSpilled(into writer: inout StateWriter) {
        writer.integer(UInt32(spilled.count))
        for (slot, mark) in spilled {
            writer.integer(slot)
            for value in [mark.through, mark.cappedThrough, mark.newest] { writer.integer(value) }
            writer.integer(UInt32(mark.ended.count))
            for (seq, end) in mark.ended {
                for value in [seq, end.seq, end.ingestTime] { writer.integer(value) }
            }
        }
    }

    // MARK: Restore

    /// Takes over what `encode` saved, into this table, which must be empty. `slots` are the numbers of the entities.
    ///
    /// - Returns: false when the rows are of another make; the table is empty then and the bytes are read past by the
    ///   caller.
    /// - Throws: `FeatureRestoreError`; the table is then not to be used.
    mutating func restore(
        from reader: inout StateReader, isSlot: (Int) -> Bool
    ) throws(FeatureRestoreError) -> Bool {
        precondition(rowCount == 0 && layouts.count == 0, "state is restored into an empty table")
        let length = Int(try reader.integer(UInt32.self, "a table's make"))
        guard try reader.raw(length, "a table's make").elementsEqual(signature) else { return false }
        let numbers = try restoreLayouts(from: &reader)
        if view.needsTieOrder { sources = try ByteDictionary(restoring: &reader) }
        for column in textColumns { texts[column] = try ByteDictionary(restoring: &reader) }
        retiredThrough = try reader.integer(Int64.self, "a table's retention")
        var references = TextReferences(sources: sources.numberBound, texts: texts.map(\.numberBound))
        let blocks = try reader.count(bytesEach: 44, "a table's entities")
        for _ in 0..<blocks { try restoreBlock(from: &reader, numbers, &references, isSlot) }
        try restoreSpilled(from: &reader, isSlot)
        sources.settle(references: references.sources)
        for column in textColumns { texts[column].settle(references: references.texts[column]) }
        return true
    }

    private mutating func restoreSpilled(
        from reader: inout StateReader, _ isSlot: (Int) -> Bool
    ) throws(FeatureRestoreError) {
        let what: StaticString = "a spilled entity"
        for _ in 0..<(try reader.count(bytesEach: 32, what)) {
            let slot = try reader.integer(UInt32.self, what)
            guard isSlot(Int(slot)), spilled[slot] == nil else { throw FeatureRestoreError("\(what) is not there") }
            var mark = SpillMark(
                through: try reader.integer(Int64.self, what), cappedThrough: try reader.integer(Int64.self, what),
                newest: try reader.integer(Int64.self, what))
            for _ in 0..<(try reader.count(bytesEach: 24, what)) {
                let seq = try reader.integer(Int64.self, what)
                mark.ended[seq] = Supersession(
                    seq: try reader.integer(Int64.self, what), ingestTime: try reader.integer(Int64.self, what))
            }
            arena.ensure(slot: Int(slot))
            spilled[slot] = mark
        }
    }

    /// The numbers that the saved layouts have now, in their order.
    private mutating func restoreLayouts(
        from reader: inout StateReader
    ) throws(FeatureRestoreError) -> [UInt32] {
        var numbers: [UInt32] = []
        let fieldCount = view.signedFields.count
        let count = try reader.count(bytesEach: fieldCount + 3, "a table's layouts")
        for _ in 0..<count {
            let widths = [UInt8](try reader.raw(fieldCount, "a layout"))
            let idWidth = try reader.integer(UInt16.self, "a layout's id")
            let packsUUID = try reader.integer(UInt8.self, "a layout's id") != 0
            guard widths.allSatisfy({ $0 <= 8 }), Int(idWidth) <= FeatureLimits.identityBytesMax,
                !packsUUID || idWidth == 16 || idWidth == 0
            else { throw FeatureRestoreError("a layout's fields are too wide") }
            numbers.append(layouts.place(RowShape(widths: widths, idWidth: idWidth, packsUUID: packsUUID)))
        }
        return numbers
    }

    private mutating func restoreBlock(
        from reader: inout StateReader, _ layoutNumbers: [UInt32], _ references: inout TextReferences,
        _ isSlot: (Int) -> Bool
    ) throws(FeatureRestoreError) {
        let slot = Int(try reader.integer(UInt32.self, "an entity's slot"))
        let place = Int(try reader.integer(UInt32.self, "an entity's layout"))
        let count = Int(try reader.integer(UInt32.self, "an entity's rows"))
        guard isSlot(slot), arena.block(slot) == nil, place < layoutNumbers.count else {
            throw FeatureRestoreError("an entity's slot or layout is not there")
        }
        var saved = BlockHeader.Bases()
        saved.time = try reader.integer(Int64.self, "an entity's bases")
        saved.ingest = try reader.integer(Int64.self, "an entity's bases")
        saved.seq = try reader.integer(Int64.self, "an entity's bases")
        saved.capped = try reader.integer(Int64.self, "an entity's bases")
        let layout = layoutNumbers[place]
        let stride = layouts[layout].stride
        let rows = try reader.raw(count * stride, "an entity's rows")
        guard rows.count <= Int(UInt32.max) - 2 * (BlockHeader.byteCount + stride) else {
            throw FeatureRestoreError("an entity has too many rows")
        }
        arena.ensure(slot: slot)
        let block = newBlock(slot: slot, rows: Swift.max(1, count), layout: layout)
        let header = BlockArena.header(block)
        header.pointee.timeBase = saved.time
        header.pointee.ingestBase = saved.ingest
        header.pointee.seqBase = saved.seq
        header.pointee.cappedThrough = saved.capped
        header.pointee.count = UInt32(count)
        if let base = rows.baseAddress {
            (block + BlockHeader.byteCount).copyMemory(from: base, byteCount: rows.count)
        }
        install(block, slot: slot)
        rowCount += count
        try check(block, layouts[layout], count, &references)
    }

    /// Everything in the rows that is later used as an index or searched by order.
    private func check(
        _ block: UnsafeMutableRawPointer, _ layout: RowLayout, _ count: Int, _ references: inout TextReferences
    ) throws(FeatureRestoreError) {
        let base = BlockArena.header(block).pointee.timeBase
        let textColumns = textColumns
        var last = Int64.min
        for index in 0..<count {
            let row = UnsafeRawPointer(block) + BlockHeader.byteCount + index * layout.stride
            let (time, isOverflow) = base.addingReportingOverflow(layout.fields[RowLayout.Fixed.time].load(row))
            guard !isOverflow, time >= last, FeatureLimits.eventTimeMicros.contains(time) else {
                throw FeatureRestoreError("an entity's rows are not in the order of their times")
            }
            last = time
            if view.needsTieOrder {
                try references.count(source: layout.fields[RowLayout.Fixed.source].load(row))
            }
            guard !textColumns.isEmpty else { continue }
            let nulls = layout.fields[RowLayout.Fixed.nulls].load(row)
            for column in textColumns where nulls >> Int64(column) & 1 == 0 {
                try references.count(text: layout.fields[RowLayout.Fixed.count + column].load(row), column: column)
            }
        }
    }
}

/// How often rows name each text.
private struct TextReferences {
    var sources: [UInt32]
    var texts: [[UInt32]]

    init(sources: Int, texts: [Int]) {
        self.sources = [UInt32](repeating: 0, count: sources)
        self.texts = texts.map { [UInt32](repeating: 0, count: $0) }
    }

    mutating func count(source number: Int64) throws(FeatureRestoreError) {
        guard sources.indices.contains(Int(number)) else { throw FeatureRestoreError("a row names no source") }
        sources[Int(number)] &+= 1
    }

    mutating func count(text number: Int64, column: Int) throws(FeatureRestoreError) {
        guard texts[column].indices.contains(Int(number)) else { throw FeatureRestoreError("a row names no text") }
        texts[column][Int(number)] &+= 1
    }
}

extension BlockHeader {
    /// What an entity's rows are relative to, and its cap.
    fileprivate struct Bases {
        var time: Int64 = 0
        var ingest: Int64 = 0
        var seq: Int64 = 0
        var capped: Int64 = 0
    }
}
