import Foundation
import Testing

@testable import Features

@Suite struct FeatureSQLTests {
    private func sql(_ features: [FeatureSpec], interval: AggregationInterval = .exact) -> FeatureSQL {
        FeatureSQL(
            FeatureViewSpec(
                name: "v", version: 1, contract: "shop's", entity: "customer",
                columns: [
                    ColumnSpec(name: "data.amount", kind: .decimal(scale: 2), path: "/data/amount"),
                    ColumnSpec(name: "data.product", kind: .string, path: "/data/product"),
                    ColumnSpec(name: "data.weight", kind: .double, path: "/data/weight"),
                ], aggregationInterval: interval, features: features),
            FeatureSource(
                eventTypes: ["a", "it's"], keyPaths: [["subject"], ["data", "shop"]],
                columnPaths: [["data", "amount"], ["data", "product"], ["data", "weight"]]))
    }

    private func feature(
        _ name: String, _ aggregate: Aggregate, _ column: String? = "data.amount",
        _ window: FeatureWindow = .micros(3_600_000_000)
    ) -> FeatureSpec {
        FeatureSpec(name: name, aggregate: aggregate, column: column, window: window)
    }

    @Test func theStatementReadsOneEntitysEventsUpToATimeAndAPosition() {
        let text = sql([feature("n", .count, nil)]).text
        for part in [
            "FROM decisiond.event e", "e.journal_id = $1", "e.contract = 'shop''s'", "e.type IN ('a', 'it''s')",
            "e.subject = $5", "e.data #>> ARRAY['shop'] = $6", "e.event_us <= $2", "e.seq <= $4",
            "($3::bigint IS NULL OR e.ingest_us <= $3)",
            "    count(*) FILTER (WHERE event_us > $2 - 3600000000) AS \"n\"\nFROM event",
        ] { #expect(text.contains(part), "\(part) is not in\n\(text)") }
    }

    @Test func windowsBeginWhereTheEnginesDo() {
        let all = sql([feature("n", .count, nil, .allHistory)]).text
        #expect(all.contains("\n    count(*) AS \"n\"\n"))
        let tiled = sql([feature("n", .count, nil)], interval: .tiles(seconds: 300)).text
        #expect(tiled.contains("event_us > floor(($2 - 3600000000)::numeric / 300000000) * 300000000"))
    }

    @Test(arguments: [
        (Aggregate.sum, "coalesce(sum(\"data.amount\") FILTER (WHERE event_us > $2 - 3600000000), 0)"),
        (.min, "min(\"data.amount\") FILTER"), (.max, "max(\"data.amount\") FILTER"),
        (.distinct, "count(DISTINCT \"data.amount\") FILTER"), (.count, "count(\"data.amount\") FILTER"),
        (.last, "ORDER BY event_us DESC, source COLLATE \"C\" DESC, id COLLATE \"C\" DESC"),
        (.first, "ORDER BY event_us ASC, source COLLATE \"C\" ASC, id COLLATE \"C\" ASC"),
        (.mean, "::float8 / count(\"data.amount\")"), (.variance, "300) / nullif(count("),
        (.stddev, "sqrt((round(count("),
        (.ratio(denominator: "data.amount"), ", 300) / nullif(sum(\"data.amount\")"),
    ]) func aggregates(_ aggregate: Aggregate, _ part: String) {
        let made = sql([feature("f", aggregate)])
        #expect(made.text.contains(part), "\(part) is not in\n\(made.text)")
        #expect(made.features.map(\.index) == [0] && made.omitted.isEmpty)
    }

    @Test func timesAreWholeMicroseconds() {
        let made = sql([
            feature("t", .lastTime, nil, .allHistory), feature("d", .timeSince(.days), nil, .allHistory),
        ])
        #expect(made.text.contains("max(event_us) AS \"t\""))
        #expect(made.text.contains("(round(($2 - max(event_us))::numeric, 300) / 86400000000)::float8 AS \"d\""))
    }

    @Test func valuesThatTheEngineCannotHoldAreNull() {
        let text = sql([feature("f", .sum)]).text
        #expect(
            text.contains(
                "CASE json_typeof(e.data #> ARRAY['amount']) WHEN 'number' THEN e.data #>> ARRAY['amount'] END"))
        #expect(
            text.contains("n = trunc(n, 2) AND n * 1e2::numeric BETWEEN -9223372036854775808 AND 9223372036854775807"))
    }

    @Test func sumsOfBinaryNumbersAreOfTheirExactValues() {
        let made = sql([
            feature("s", .sum, "data.weight"), feature("m", .max, "data.weight"), feature("a", .mean, "data.weight"),
        ])
        #expect(made.features.map(\.index) == [0, 1, 2] && made.features.allSatisfy { $0.precision == .exact })
        #expect(made.text.contains("AS \"exact data.weight\""))
        #expect(made.text.contains("coalesce(sum(\"exact data.weight\") FILTER (WHERE event_us > $2 - 3600000000), 0)"))
        #expect(!sql([feature("m", .max, "data.weight")]).text.contains("exact"))
    }

    @Test func whatIsNotExactHasItsBoundBesideIt() {
        let made = sql([
            feature("q", .quantile(0.5)), feature("n", .count, nil), feature("d", .decayedSum(halfLifeMicros: 86_400)),
            feature("e", .decayedMean(halfLifeMicros: 86_400)),
        ])
        #expect(made.features.map(\.column) == [0, 2, 3, 5])
        #expect(made.features.map(\.boundColumn) == [1, nil, 4, 6])
        #expect(made.text.contains("percentile_disc(0.5) WITHIN GROUP (ORDER BY \"data.amount\") FILTER"))
        #expect(made.text.components(separatedBy: "AS \"weight 86400\"").count == 2)
    }

    @Test func expiryIsAColumnOfItsOwn() {
        var spec = FeatureViewSpec(
            name: "v", version: 1, contract: "c", entity: "e", columns: [],
            features: [FeatureSpec(name: "n", aggregate: .count, window: .allHistory)])
        let source = FeatureSource(eventTypes: [], keyPaths: [["subject"]], columnPaths: [])
        #expect(FeatureSQL(spec, source).expiredColumn == nil)
        spec.ttlMicros = 7
        #expect(FeatureSQL(spec, source).expiredColumn == 1)
        #expect(FeatureSQL(spec, source).text.contains("max(event_us) < $2 - 7 AS \"expired\""))
    }

    @Test(arguments: [(["time"], ColumnKind.string), (["dataschema"], .string), (["specversion"], .string)])
    func whatTheTableDoesNotKeepIsNamed(_ path: [String], _ kind: ColumnKind) {
        let spec = FeatureViewSpec(
            name: "v", version: 1, contract: "c", entity: "e",
            columns: [ColumnSpec(name: "x", kind: kind, path: "")],
            features: [
                FeatureSpec(name: "n", aggregate: .count, window: .allHistory),
                FeatureSpec(name: "d", aggregate: .distinct, column: "x", window: .allHistory),
            ])
        let made = FeatureSQL(spec, FeatureSource(eventTypes: [], keyPaths: [["subject"]], columnPaths: [path]))
        #expect(made.features.map(\.index) == [0] && made.omitted.map(\.index) == [1])
        #expect(made.omitted[0].reason.contains(path[0]))
    }

    @Test func namesAndLiteralsCannotBreakOut() {
        #expect(EventSQL.literal("a'; DROP TABLE x; --") == "'a''; DROP TABLE x; --'")
        #expect(EventSQL.identifier("a\" b") == "\"a\"\" b\"")
        #expect(EventSQL.text(at: ["data", "it's"]) == "e.data #>> ARRAY['it''s']")
        #expect(EventSQL.text(at: ["region", "x"]) == "e.extensions #>> ARRAY['region', 'x']")
        #expect(EventSQL.text(at: ["source"]) == "e.source")
    }
}
