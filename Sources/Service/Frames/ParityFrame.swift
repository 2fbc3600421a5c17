import JSON

/// One served vector that was computed again, as the journal holds it: what the built-in streams `feature_parity` and
/// `feature_mismatches` are made of.
struct ParityFrame: Sendable, Equatable {
    /// What served the vector.
    enum Origin: String, Sendable {
        case features, decision
    }

    /// A value that differed.
    struct Mismatch: Sendable, Equatable {
        var feature: String
        /// `ParityReference`.
        var against: String
    }

    var view: String
    var version: UInt32
    /// When it was compared.
    var atMicros: Int64
    /// `Origin`.
    var origin: String
    /// Values that were compared, and those that a limit stood for.
    var values: UInt32
    var limited: UInt32
    var mismatches: [Mismatch]

    func encode(into writer: inout ByteWriter) {
        writer.text(view)
        writer.integer(version)
        writer.integer(atMicros)
        writer.text(origin)
        writer.integer(values)
        writer.integer(limited)
        writer.integer(UInt16(mismatches.count))
        for mismatch in mismatches {
            writer.text(mismatch.feature)
            writer.text(mismatch.against)
        }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> ParityFrame {
        var reader = ByteReader(bytes)
        var frame = ParityFrame(
            view: try reader.text("parity view"), version: try reader.integer(UInt32.self, "parity version"),
            atMicros: try reader.integer(Int64.self, "parity time"), origin: try reader.text("parity origin"),
            values: try reader.integer(UInt32.self, "parity values"),
            limited: try reader.integer(UInt32.self, "parity limited"), mismatches: [])
        for _ in 0..<(try reader.integer(UInt16.self, "parity mismatches")) {
            frame.mismatches.append(
                Mismatch(feature: try reader.text("parity feature"), against: try reader.text("parity reference")))
        }
        return frame
    }

    /// The items that it adds to the built-in streams, as JSON: `StreamSchema` says what is in them.
    func items() -> [(stream: MeasureDefinition.Stream, json: [UInt8])] {
        var vector = JSONWriter(capacity: 256)
        begin(&vector)
        for (key, count) in [("values", Int(values)), ("limited", Int(limited)), ("mismatches", mismatches.count)] {
            vector.key(key)
            vector.integer(count)
        }
        vector.endObject()
        var items: [(stream: MeasureDefinition.Stream, json: [UInt8])] = [(.featureParity, vector.bytes)]
        for mismatch in mismatches {
            var item = JSONWriter(capacity: 256)
            begin(&item)
            for (key, text) in [("feature", mismatch.feature), ("against", mismatch.against)] {
                item.key(key)
                item.string(text)
            }
            item.endObject()
            items.append((.featureMismatches, item.bytes))
        }
        return items
    }

    private func begin(_ writer: inout JSONWriter) {
        writer.beginObject()
        for (key, text) in [("view", view), ("origin", origin)] {
            writer.key(key)
            writer.string(text)
        }
        writer.key("version")
        writer.integer(Int(version))
    }
}
