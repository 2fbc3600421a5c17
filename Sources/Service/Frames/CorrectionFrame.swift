/// A correction as the journal holds it: the event, then what it supersedes. It carries the superseded event along, so that
/// features and measures can take it back at any later time without looking for it. Its first part reads as an
/// `EventFrame`. Slices live as long as the frame's bytes.
struct CorrectionFrame {
    let event: EventFrame
    /// The id that the event names.
    let corrects: UnsafeRawBufferPointer
    /// It carries no data: nothing stands in the place of what it supersedes.
    let isRetraction: Bool
    /// Position of what it supersedes: the event named, or the latest correction of that.
    let supersededSeq: UInt64
    let supersededEventMicros: Int64
    let supersededType: UnsafeRawBufferPointer
    /// Empty when what it supersedes was a retraction.
    let supersededRaw: UnsafeRawBufferPointer

    func encode(into writer: inout ByteWriter) {
        event.encode(into: &writer)
        writer.blob(corrects)
        writer.integer(UInt8(isRetraction ? 1 : 0))
        writer.integer(supersededSeq)
        writer.integer(supersededEventMicros)
        writer.blob(supersededType)
        writer.blob(supersededRaw)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> CorrectionFrame {
        var reader = ByteReader(bytes)
        return CorrectionFrame(
            event: try EventFrame.decode(from: &reader),
            corrects: try reader.blob("correction target"),
            isRetraction: try reader.integer(UInt8.self, "correction flag") != 0,
            supersededSeq: try reader.integer(UInt64.self, "superseded seq"),
            supersededEventMicros: try reader.integer(Int64.self, "superseded event time"),
            supersededType: try reader.blob("superseded type"),
            supersededRaw: try reader.blob("superseded bytes"))
    }
}
