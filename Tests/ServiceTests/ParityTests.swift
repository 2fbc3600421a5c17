import Features
import JSON
import Measures
import Testing

@testable import Service

@Suite struct ParityTests {
    private static let view = FeatureViewSpec(
        name: "v", version: 1, contract: "c", entity: "e",
        columns: [
            ColumnSpec(name: "d", kind: .decimal(scale: 2), path: ""), ColumnSpec(name: "f", kind: .double, path: ""),
            ColumnSpec(name: "s", kind: .string, path: ""), ColumnSpec(name: "b", kind: .boolean, path: ""),
            ColumnSpec(name: "t", kind: .timestamp, path: ""), ColumnSpec(name: "y", kind: .date, path: ""),
        ], features: [])

    private func verdict(
        _ aggregate: Aggregate, _ column: String, _ json: String, _ expected: String?, bound: String? = nil,
        reason: String? = nil, isExpired: Bool = false
    ) throws -> ParityVerdict {
        let feature = FeatureSpec(name: "x", aggregate: aggregate, column: column, window: .allHistory)
        return SQLComparison(feature, Self.view).verdict(
            ServedValue(json: try JSONTree(parsing: json), nullReason: reason), expected, bound: bound,
            isExpired: isExpired)
    }

    @Test(arguments: [
        (Aggregate.sum, "d", "1.5", "1.50", ParityVerdict.equal), (.sum, "d", "1.5", "1.51", .different),
        (.sum, "f", "0.1", "0.1", .equal), (.sum, "f", "0.1", "0.10000000000000002", .different),
        (.last, "s", #""a""#, "a", .equal), (.last, "s", #""a""#, "A", .different),
        (.attribute, "b", "true", "t", .equal), (.attribute, "b", "false", "t", .different),
        (.max, "t", #""1970-01-01T00:00:00.000001Z""#, "1", .equal), (.min, "y", #""1970-01-02""#, "1", .equal),
        (.min, "y", #""1970-01-02""#, "2", .different),
        (.topK(1), "s", #"[{"value":"a","count":2}]"#, #"[{"value" : "a", "count" : 2}]"#, .equal),
        (.topK(1), "s", #"[{"value":"a","count":2}]"#, #"[{"value" : "a", "count" : 3}]"#, .different),
        (.count, "s", "null", "0", .different),
    ]) func valuesAreHeldAgainstTheirText(
        _ aggregate: Aggregate, _ column: String, _ json: String, _ expected: String, _ wanted: ParityVerdict
    ) throws {
        #expect(try verdict(aggregate, column, json, expected) == wanted)
    }

    @Test func boundsAllowTheirErrorAndNoMore() throws {
        let decay = Aggregate.decayedSum(halfLifeMicros: 1)
        #expect(try verdict(decay, "d", "1.01", "1", bound: "0.02") == .within)
        #expect(try verdict(decay, "d", "1", "1", bound: "0.02") == .equal)
        #expect(try verdict(decay, "d", "1.03", "1", bound: "0.02") == .different)
        #expect(try verdict(.quantile(0.5), "d", "1.01", "1.00", bound: "0") == .different)
        #expect(try verdict(decay, "d", "null", "1", bound: "9") == .different)
        #expect(try verdict(decay, "d", "1", nil, bound: nil) == .different)
    }

    @Test func nullsAndLimits() throws {
        #expect(try verdict(.max, "d", "null", nil, reason: "empty_window") == .equal)
        #expect(try verdict(.max, "d", "null", "1", reason: "empty_window") == .different)
        for reason in ["window_truncated", "feature_unavailable", "overflow", "masked"] {
            #expect(try verdict(.max, "d", "null", "1", reason: reason) == .limited)
        }
        #expect(try verdict(.max, "d", "null", "1", reason: "expired", isExpired: true) == .equal)
        #expect(try verdict(.max, "d", "null", "1", isExpired: true) == .equal)
        #expect(try verdict(.max, "d", "1", "1", isExpired: true) == .different)
        #expect(try verdict(.max, "d", "null", nil, reason: "expired") == .different)
    }

    @Test func reasonsCountWhereBothAreKnown() {
        let empty = ServedValue(.null(.emptyWindow))
        #expect(empty.agrees(with: ServedValue(json: .null, nullReason: nil)))
        #expect(!empty.agrees(with: ServedValue(.null(.overflow))))
        #expect(ServedValue(.decimal(significand: 150, scale: 2)).agrees(with: ServedValue(.double(1.5))))
        #expect(!ServedValue(.integer(1)).agrees(with: empty))
    }

    /// What a frame adds to each built-in measure.
    @Test func framesFeedTheBuiltInMeasures() throws {
        let frame = ParityFrame(
            view: "v", version: 3, atMicros: 5, origin: ParityFrame.Origin.decision.rawValue, values: 7, limited: 1,
            mismatches: [
                ParityFrame.Mismatch(feature: "a", against: "sql"),
                ParityFrame.Mismatch(feature: "b", against: "historical"),
            ])
        var found: [String: [[String?]]] = [:]
        var counted: [String: Bool] = [:]
        var slots = StreamSlots()
        for (stream, json) in frame.items() {
            let document = try JSONDocument(json)
            for measure in BuiltInMeasures.all.values where measure.stream == stream {
                let part = document.withRoot { measure.contribution(of: $0, &slots) }
                found[measure.name, default: []].append(part?.dimensions ?? [])
                counted[measure.name] = part?.pass.isNumerator
            }
        }
        #expect(
            found == [
                "feature_parity": [["v"]], "feature_parity_points": [["v", "decision"]],
                "feature_parity_values": [["v"]],
                "feature_mismatches": [["v", "a", "sql"], ["v", "b", "historical"]],
            ])
        #expect(counted["feature_parity"] == false)
    }
}
