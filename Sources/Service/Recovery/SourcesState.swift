import Journal

extension SourceClocks {
    /// All clocks as they are.
    func capture() -> State { state.withLock { $0 } }

    /// Writes captured clocks, a record a source, in the order of their first events.
    static func encode<Store>(_ state: State, into sink: PartSink<Store>) throws(StorageError) {
        var contracts = [[String]](repeating: [], count: state.clocks.count)
        for (contract, sources) in state.contracts {
            for index in sources { contracts[index].append(contract) }
        }
        for (clock, contracts) in zip(state.clocks, contracts) {
            try sink.record { writer in
                writer.text(clock.source)
                for count in [clock.accepted, clock.late, clock.tooLate, clock.future] { writer.integer(Int64(count)) }
                for micros in [clock.watermarkMicros, clock.lastEventMicros, clock.lastIngestMicros] {
                    writer.integer(micros)
                }
                clock.lag.encode(into: &writer)
                writer.integer(UInt32(contracts.count))
                for contract in contracts.sorted() { writer.text(contract) }
            }
        }
    }

    /// Reads one source back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let what: StaticString = "saved source"
        var clock = Clock(source: try reader.text(what))
        clock.accepted = try reader.number(what)
        clock.late = try reader.number(what)
        clock.tooLate = try reader.number(what)
        clock.future = try reader.number(what)
        clock.watermarkMicros = try reader.integer(Int64.self, what)
        clock.lastEventMicros = try reader.integer(Int64.self, what)
        clock.lastIngestMicros = try reader.integer(Int64.self, what)
        clock.lag = try LagHistogram(restoring: &reader)
        var contracts: [String] = []
        for _ in 0..<(try reader.integer(UInt32.self, what)) { contracts.append(try reader.text(what)) }
        state.withLock { [clock, contracts] state in
            state.indexes[clock.source] = state.clocks.count
            for contract in contracts { state.contracts[contract, default: []].insert(state.clocks.count) }
            state.newestIngestMicros = max(state.newestIngestMicros, clock.lastIngestMicros)
            state.clocks.append(clock)
        }
    }
}

extension LagHistogram {
    /// Writes the buckets.
    func encode(into writer: inout ByteWriter) {
        writer.integer(UInt32(counts.count))
        for count in counts { writer.integer(count) }
    }

    /// Reads the buckets back.
    init(restoring reader: inout ByteReader) throws(FrameError) {
        self.init()
        for _ in 0..<(try reader.integer(UInt32.self, "saved lags")) {
            let count = try reader.integer(UInt32.self, "saved lags")
            counts.append(count)
            total += Int(count)
        }
    }
}
