import JSON
import Journal
import Testing

@testable import Service

@Suite struct StoredEventsTests {
    static func payload(_ raw: String, superseded: String? = nil, isRetraction: Bool = false) -> [UInt8] {
        FramesTests.encode { writer in
            let texts = ["orders", "/shop", "id-1", "shop.order", "c-1", raw, "id-0", "shop.old", superseded ?? ""]
            texts.withBuffers { parts in
                let event = EventFrame(
                    contract: parts[0], contractVersion: 3, ingestMicros: 11, eventMicros: 22, contentHash: 33,
                    source: parts[1], id: parts[2], type: parts[3], subject: parts[4], raw: parts[5])
                if superseded == nil { return event.encode(into: &writer) }
                CorrectionFrame(
                    event: event, corrects: parts[6], isRetraction: isRetraction, supersededSeq: 5,
                    supersededEventMicros: 44, supersededType: parts[7], supersededRaw: parts[8]
                ).encode(into: &writer)
            }
        }
    }

    static func read(_ type: FrameType, _ payload: [UInt8]) throws -> StoredEvent {
        try payload.withUnsafeBytes { payload in
            try StoredEvents.event(seq: 9, type: type.rawValue, payload: payload).get()
        }
    }

    @Test func readsEventsAndCorrections() throws {
        let raw = #"{"id":"id-1"}"#
        let expected = StoredEvent(
            seq: 9, contract: "orders", eventMicros: 22, type: Array("shop.order".utf8), raw: Array(raw.utf8))
        #expect(try Self.read(.event, Self.payload(raw)) == expected)
        #expect(try Self.read(.correction, Self.payload(raw, superseded: "{}")) == expected)
        let retraction = try Self.read(.correction, Self.payload(raw, superseded: "{}", isRetraction: true))
        #expect(retraction.raw.isEmpty && retraction.seq == 9)
        #expect(throws: FrameError.self) { try Self.read(.decision, Self.payload(raw)) }
    }

    /// The same values under the same pointers as the event had when it was sent.
    @Test func columnsGiveTheEventBack() throws {
        let attributes = StoredAttributes(
            type: "shop.order", source: "/shop", id: "a\"b", subject: "c-1", eventMicros: 1_291_195_920_000_001,
            data: #"{"amount": 12.50, "lines": [1, 2]}"#, extensions: #"{"region": "north", "rank": 3}"#)
        let sent = #"""
            {"specversion":"1.0","id":"a\"b","source":"/shop","type":"shop.order","subject":"c-1",
             "time":"2010-12-01T09:32:00.000001Z","region":"north","rank":3,"data":{"amount":12.50,"lines":[1,2]}}
            """#
        #expect(
            try JSONTree(parsing: attributes.event).canonicalBytes == JSONTree(parsing: Array(sent.utf8)).canonicalBytes
        )
        let bare = StoredAttributes(
            type: "t", source: "/s", id: "1", subject: nil, eventMicros: 0, data: nil, extensions: nil)
        #expect(try JSONTree(parsing: bare.event)["subject"] == nil)
    }

    @Test func marksLeadToTheFrameBefore() {
        let marks = FrameMarks()
        #expect(marks.mark(before: 10) == nil)
        for seq in UInt64(1)...2_000 {
            marks.see(seq: seq, at: JournalPosition(segment: seq < 1_000 ? 1 : 1_000, offset: UInt32(seq) * 8))
        }
        #expect(marks.mark(before: 255) == nil)
        for (seq, found) in [(UInt64(256), UInt64(256)), (511, 256), (512, 512), (1_999, 1_792), (9_999, 1_792)] {
            #expect(marks.mark(before: seq)?.offset == UInt32(found) * 8)
        }
        marks.forget(below: 1_100)
        #expect(marks.mark(before: 1_023) == nil && marks.mark(before: 1_030)?.offset == 1_024 * 8)
        marks.forget(below: 1)
        #expect(marks.mark(before: 1_999)?.offset == UInt32(1_792) * 8)
    }
}
