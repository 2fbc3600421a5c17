import JSON
import Testing

@testable import Service

@Suite struct FramesTests {
    static func encode(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        body(&writer)
        return writer.bytes
    }

    /// Every body's decoder, by frame type: throws what it throws, keeps nothing.
    static let decoders: [FrameType: @Sendable (UnsafeRawBufferPointer) throws(FrameError) -> Void] = [
        .event: { (bytes) throws(FrameError) in _ = try EventFrame.decode(bytes) },
        .quarantine: { (bytes) throws(FrameError) in _ = try QuarantineFrame.decode(bytes) },
        .duplicates: { (bytes) throws(FrameError) in _ = try DuplicatesFrame.decode(bytes) },
        .decision: { (bytes) throws(FrameError) in _ = try DecisionFrame.decode(bytes) },
        .outcome: { (bytes) throws(FrameError) in _ = try OutcomeFrame.decode(bytes) },
        .outcomeVerdict: { (bytes) throws(FrameError) in _ = try OutcomeVerdictFrame.decode(bytes) },
        .access: { (bytes) throws(FrameError) in _ = try AccessFrame.decode(bytes) },
        .activation: { (bytes) throws(FrameError) in _ = try ActivationFrame.decode(bytes) },
        .key: { (bytes) throws(FrameError) in _ = try KeyFrame.decode(bytes) },
        .correction: { (bytes) throws(FrameError) in _ = try CorrectionFrame.decode(bytes) },
        .viewReady: { (bytes) throws(FrameError) in _ = try ViewReadyFrame.decode(bytes) },
        .parity: { (bytes) throws(FrameError) in _ = try ParityFrame.decode(bytes) },
        .modelStage: { (bytes) throws(FrameError) in _ = try ModelStageFrame.decode(bytes) },
    ]

    static func decodes(_ type: FrameType, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { buffer in
            do {
                try decoders[type]?(buffer)
                return true
            } catch {
                return false
            }
        }
    }

    static func sample(_ type: FrameType, _ random: inout SeededGenerator) -> [UInt8] {
        let texts = (0..<6).map { _ in random.text() }
        let words = (0..<4).map { _ in random.next() }
        let claim: IdempotencyClaim? =
            Bool.random(using: &random)
            ? IdempotencyClaim(key: Hash128(high: words[0], low: words[1]), payload: words[2]) : nil
        let raw = random.bytes(Int.random(in: 0...40, using: &random))
        let id = RecordID(high: words[0], low: words[3])
        let time = Int64(bitPattern: words[3])
        let optional: String? = Bool.random(using: &random) ? texts[5] : nil
        switch type {
        case .event:
            return encode { writer in
                texts.withBuffers { parts in
                    EventFrame(
                        contract: parts[0], contractVersion: UInt32(truncatingIfNeeded: words[1]), ingestMicros: time,
                        eventMicros: time &- 5, contentHash: words[2], source: parts[1],
                        id: parts[2], type: parts[3], subject: parts[4], raw: parts[5]
                    ).encode(into: &writer)
                }
            }
        case .correction:
            let event = sample(.event, &random)
            return event.withUnsafeBytes { event in
                encode { writer in
                    texts.withBuffers { parts in
                        guard let frame = try? EventFrame.decode(event) else { return }
                        CorrectionFrame(
                            event: frame, corrects: parts[0], isRetraction: words[0] % 2 == 0, supersededSeq: words[1],
                            supersededEventMicros: time, supersededType: parts[1], supersededRaw: parts[2]
                        ).encode(into: &writer)
                    }
                }
            }
        case .quarantine:
            return encode {
                QuarantineFrame(
                    key: raw, ingestMicros: time, violationClass: texts[0], code: texts[1], pointer: texts[2],
                    message: texts[3], contract: optional, source: nil, id: texts[4], principal: texts[5],
                    rawSize: 7, raw: raw
                ).encode(into: &$0)
            }
        case .duplicates:
            return encode {
                DuplicatesFrame(contract: texts[0], ingestMicros: time, count: 3, contentDiffers: 1).encode(into: &$0)
            }
        case .decision:
            return encode { writer in
                texts.withBuffers { parts in
                    DecisionFrame(
                        id: id, decidedMicros: time, claim: claim, decision: parts[0], version: 9, entity: parts[1],
                        record: parts[2], featuresOffset: UInt32(parts[2].count)
                    ).encode(into: &writer)
                }
            }
        case .outcome:
            return encode {
                OutcomeFrame(
                    id: id, decisionID: RecordID(high: words[2], low: words[1]), atMicros: time, principal: texts[0],
                    claim: claim, body: raw, subject: .known(Self.reference(texts, time))
                ).encode(into: &$0)
            }
        case .outcomeVerdict:
            return encode {
                OutcomeVerdictFrame(
                    outcomeSeq: words[0], atMicros: time,
                    decision: Bool.random(using: &random) ? Self.reference(texts, time) : nil,
                    outcome: OutcomeFrame(
                        id: id, decisionID: RecordID(high: words[2], low: words[1]), atMicros: time,
                        principal: texts[0], claim: claim, body: raw, subject: .unresolved)
                ).encode(into: &$0)
            }
        case .access:
            return encode {
                AccessFrame(
                    atMicros: time, principal: texts[0], action: texts[1], resourceType: texts[2],
                    resourceID: texts[3], permitted: Bool.random(using: &random), body: raw
                ).encode(into: &$0)
            }
        case .activation:
            return encode {
                ActivationFrame(
                    kind: texts[0], name: texts[1], version: 4, isRetired: Bool.random(using: &random),
                    atMicros: time, principal: texts[2], comment: texts[3], body: raw
                ).encode(into: &$0)
            }
        case .key:
            return encode {
                KeyFrame(
                    id: texts[0], name: texts[1], hash: raw, roles: Array(texts[2...4]), createdMicros: time,
                    expiresMicros: 0, revokedMicros: -1
                ).encode(into: &$0)
            }
        case .viewReady:
            return encode {
                ViewReadyFrame(name: texts[0], version: 7, atMicros: time, events: words[1]).encode(into: &$0)
            }
        case .modelStage:
            return encode {
                ModelStageFrame(
                    name: texts[0], version: 7, stage: texts[1], atMicros: time, principal: texts[2], reason: texts[3],
                    body: raw
                ).encode(into: &$0)
            }
        case .parity:
            return encode {
                ParityFrame(
                    view: texts[0], version: 7, atMicros: time, origin: texts[1], values: 39, limited: 2,
                    mismatches: [
                        ParityFrame.Mismatch(feature: texts[2], against: texts[3]),
                        ParityFrame.Mismatch(feature: texts[4], against: texts[5]),
                    ]
                ).encode(into: &$0)
            }
        }
    }

    /// Decoding and encoding again gives the same bytes, so every field travels.
    static func again(_ type: FrameType, _ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes { buffer in
            var writer = ByteWriter()
            switch type {
            case .event: try EventFrame.decode(buffer).encode(into: &writer)
            case .quarantine: try QuarantineFrame.decode(buffer).encode(into: &writer)
            case .duplicates: try DuplicatesFrame.decode(buffer).encode(into: &writer)
            case .decision: try DecisionFrame.decode(buffer).encode(into: &writer)
            case .outcome: try OutcomeFrame.decode(buffer).encode(into: &writer)
            case .outcomeVerdict: try OutcomeVerdictFrame.decode(buffer).encode(into: &writer)
            case .access: try AccessFrame.decode(buffer).encode(into: &writer)
            case .activation: try ActivationFrame.decode(buffer).encode(into: &writer)
            case .key: try KeyFrame.decode(buffer).encode(into: &writer)
            case .correction: try CorrectionFrame.decode(buffer).encode(into: &writer)
            case .viewReady: try ViewReadyFrame.decode(buffer).encode(into: &writer)
            case .parity: try ParityFrame.decode(buffer).encode(into: &writer)
            case .modelStage: try ModelStageFrame.decode(buffer).encode(into: &writer)
            }
            return writer.bytes
        }
    }

    @Test(arguments: FrameType.allCases) func roundTrip(_ type: FrameType) throws {
        var random = SeededGenerator(UInt64(type.rawValue))
        for _ in 0..<200 {
            let bytes = Self.sample(type, &random)
            #expect(try Self.again(type, bytes) == bytes)
        }
    }

    @Test(arguments: FrameType.allCases) func everyTruncationThrows(_ type: FrameType) {
        var random = SeededGenerator(UInt64(type.rawValue) + 100)
        for _ in 0..<20 {
            let bytes = Self.sample(type, &random)
            let older = bytes.count - Self.newerBytes(type, bytes)
            for length in 0..<bytes.count where length != older && Self.decodes(type, Array(bytes[..<length])) {
                Issue.record("\(type): \(length) of \(bytes.count) bytes decode")
            }
        }
    }

    /// How many bytes at the end an older binary did not write.
    private static func newerBytes(_ type: FrameType, _ bytes: [UInt8]) -> Int {
        switch type {
        case .decision: return 4
        case .outcome:
            let frame = try? bytes.withUnsafeBytes { try OutcomeFrame.decode($0) }
            guard var frame else { return 0 }
            frame.subject = .notRecorded
            return bytes.count - encode { frame.encode(into: &$0) }.count
        default: return 0
        }
    }

    private static func reference(_ texts: [String], _ time: Int64) -> DecisionReference {
        DecisionReference(decision: texts[1], version: 3, decidedMicros: time, entity: texts[2])
    }

    @Test(arguments: FrameType.allCases) func randomAndChangedBytesNeverTrap(_ type: FrameType) {
        var random = SeededGenerator(UInt64(type.rawValue) + 200)
        for _ in 0..<5_000 { _ = Self.decodes(type, random.bytes(Int.random(in: 0...80, using: &random))) }
        for _ in 0..<2_000 {
            var bytes = Self.sample(type, &random)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = Self.decodes(type, bytes)
        }
    }

    /// The numbers are part of the journal's format.
    @Test func frameNumbers() {
        let numbers = Dictionary(uniqueKeysWithValues: FrameType.allCases.map { ("\($0)", $0.rawValue) })
        let known: [String: UInt8] = [
            "event": 1, "quarantine": 2, "duplicates": 3, "decision": 4, "outcome": 5, "access": 6, "activation": 7,
            "key": 8, "correction": 9, "viewReady": 10, "outcomeVerdict": 11,
            "parity": 12, "modelStage": 13,
        ]
        #expect(numbers == known)
    }

    @Test func fieldsOfADecision() throws {
        let claim = IdempotencyClaim(key: Hash128(high: 1, low: 2), payload: 3)
        let id = RecordID(high: 10, low: 11)
        let bytes = Self.encode { writer in
            ["offer", "c1", "{}"].withBuffers { parts in
                DecisionFrame(
                    id: id, decidedMicros: -5, claim: claim, decision: parts[0], version: 7, entity: parts[1],
                    record: parts[2], featuresOffset: 1
                ).encode(into: &writer)
            }
        }
        try bytes.withUnsafeBytes { buffer in
            let frame = try DecisionFrame.decode(buffer)
            #expect(frame.id == id && frame.decidedMicros == -5 && frame.claim == claim && frame.version == 7)
            #expect(String(decoding: frame.decision, as: UTF8.self) == "offer")
            #expect(String(decoding: frame.entity, as: UTF8.self) == "c1")
            #expect(String(decoding: frame.record, as: UTF8.self) == "{}")
        }
        // An older binary wrote no place of the features: the record is then parsed whole.
        let older = try bytes.dropLast(4).withUnsafeBytes { try DecisionFrame.decode($0).featuresOffset }
        #expect(older == 0)
    }

    @Test(arguments: [(0, 3), (14, 2)]) func theHeadOfARecordHasNoFeatures(_ offset: Int, _ members: Int) throws {
        let (parser, text) = (JSONParser(), #"{"a":1,"b":"x","features":{"v":{}}}"#)
        var scratch: [UInt8] = []
        try Array(text.utf8).withUnsafeBytes { record in
            let frame = DecisionFrame(
                id: RecordID(high: 1, low: 2), decidedMicros: 0, claim: nil, decision: record, version: 1,
                entity: record, record: record, featuresOffset: UInt32(offset))
            let head = try frame.head(parser, &scratch)
            #expect(head.members.map(\.key).count == members && head["b"]?.string == "x")
        }
    }

    /// What an older binary wrote of an outcome says nothing of its decision; a measure's item has both.
    @Test func theSubjectOfAnOutcome() throws {
        let body = Array(#"{"id":"o1","name":"repaid","value":12.5}"#.utf8)
        let frame = OutcomeFrame(
            id: RecordID(high: 1, low: 2), decisionID: RecordID(high: 3, low: 4), atMicros: 5, principal: "p",
            claim: nil, body: body)
        let older = Self.encode { frame.encode(into: &$0) }
        #expect(try older.withUnsafeBytes { try OutcomeFrame.decode($0).subject } == .notRecorded)
        let decision = DecisionReference(decision: "limit", version: 7, decidedMicros: 9, entity: "c\"1")
        var item = JSONTree.null
        try frame.withItem(of: decision, JSONParser()) { item = $0.tree() }
        #expect(item["name"]?.string == "repaid" && item["entity"]?.string == "c\"1")
        #expect(item["decision"]?.string == "limit" && item["version"]?.int64 == 7 && item["principal"]?.string == "p")
        let entry = frame.quarantineEntry(atMicros: 6)
        #expect(entry.code == "unknown_decision" && entry.raw == body && entry.id == frame.id.text)
    }

    @Test func theErrorSaysWhatWasRead() {
        #expect(throws: FrameError(what: "event contract version")) {
            try [UInt8](repeating: 0, count: 6).withUnsafeBytes { _ = try EventFrame.decode($0) }
        }
        #expect(throws: FrameError(what: "event contract")) {
            try [UInt8](repeating: 255, count: 60).withUnsafeBytes { _ = try EventFrame.decode($0) }
        }
    }
}

extension [String] {
    /// The texts' UTF-8 bytes while `body` runs.
    func withBuffers(_ body: ([UnsafeRawBufferPointer]) -> Void) {
        let joined = flatMap { [UInt8]($0.utf8) }
        joined.withUnsafeBytes { all in
            var start = 0
            var parts: [UnsafeRawBufferPointer] = []
            for text in self {
                let end = start + text.utf8.count
                parts.append(UnsafeRawBufferPointer(rebasing: all[start..<end]))
                start = end
            }
            body(parts)
        }
    }
}
