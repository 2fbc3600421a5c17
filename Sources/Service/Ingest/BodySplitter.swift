import JSON

/// One event's bytes within a body.
struct EventSlice: Sendable {
    /// Byte range in the body.
    let range: Range<Int>
    /// Nothing but white space: skipped, not an event.
    let isBlank: Bool
}

/// How a body of events is cut into single ones.
enum BodySplitter {
    /// How events were sent.
    enum Shape: Sendable {
        /// One JSON value.
        case single
        /// A JSON array of events.
        case array
        /// One event a line.
        case lines
    }

    /// The shape that the media type says; nil for a media type that is not taken.
    ///
    /// `application/json` and a missing type are looked at: an array is a batch, anything else is one event unless it is
    /// several lines.
    static func shape(mediaType: String?, body: UnsafeRawBufferPointer) -> Shape? {
        switch mediaType {
        case "application/cloudevents-batch+json": .array
        case "application/cloudevents+json": .single
        case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines": .lines
        case nil, "application/json", "text/json", "application/octet-stream", "application/x-www-form-urlencoded":
            guess(body)
        default: nil
        }
    }

    private static func guess(_ body: UnsafeRawBufferPointer) -> Shape {
        guard let first = body.first(where: { !isSpace($0) }) else { return .lines }
        if first == UInt8(ascii: "[") { return .array }
        // Several lines that each begin an object are NDJSON; one pretty-printed object is not.
        var index = 0
        var starts = 0
        var isLineStart = true
        while index < body.count {
            let byte = body[index]
            if byte == UInt8(ascii: "\n") {
                isLineStart = true
            } else if isLineStart && !isSpace(byte) {
                isLineStart = false
                if byte == UInt8(ascii: "{") { starts += 1 }
                if starts > 1 { return .lines }
            } else if isLineStart && (byte == 0x20 || byte == 0x09) && starts == 1 {
                // An indented line belongs to a pretty-printed object.
                return .single
            }
            index += 1
        }
        return .single
    }

    /// Cuts lines at LF (a CR before it is white space). A body without a final LF has a last line too.
    static func lines(_ body: UnsafeRawBufferPointer) -> [EventSlice] {
        var slices: [EventSlice] = []
        var start = 0
        while start < body.count {
            var end = start
            while end < body.count && body[end] != UInt8(ascii: "\n") { end += 1 }
            slices.append(EventSlice(range: start..<end, isBlank: isBlank(body, start..<end)))
            start = end + 1
        }
        return slices
    }

    /// The elements of a JSON array, by their place in the body.
    static func elements(
        _ body: UnsafeRawBufferPointer, _ parser: JSONParser
    ) throws(Problem) -> [EventSlice] {
        let root: JSONValue
        do {
            root = try parser.parse(body)
        } catch {
            throw Problem.malformed(error)
        }
        guard root.kind == .array else {
            throw Problem(400, "not_an_array", "A batch is a JSON array of events.")
        }
        return root.elements.map { element in
            EventSlice(range: element.offset..<(element.offset + element.raw.count), isBlank: false)
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }

    private static func isBlank(_ body: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        for index in range where !isSpace(body[index]) { return false }
        return true
    }
}
