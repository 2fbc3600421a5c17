/// The end of a view's back-fill as the journal holds it: from this position on the version is served.
struct ViewReadyFrame: Sendable {
    var name: String
    var version: UInt32
    var atMicros: Int64
    /// Stored events that were added.
    var events: UInt64

    func encode(into writer: inout ByteWriter) {
        writer.text(name)
        writer.integer(version)
        writer.integer(atMicros)
        writer.integer(events)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> ViewReadyFrame {
        var reader = ByteReader(bytes)
        return ViewReadyFrame(
            name: try reader.text("view name"), version: try reader.integer(UInt32.self, "view version"),
            atMicros: try reader.integer(Int64.self, "view ready time"),
            events: try reader.integer(UInt64.self, "view events"))
    }
}
