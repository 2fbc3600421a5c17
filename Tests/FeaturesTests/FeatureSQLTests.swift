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
        #expect(made.features == [0] && made.omitted == [])
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

    @Test func sumsOfBinaryNumbersAreNotForSQL() {
        let made = sql([
            feature("s", .sum, "data.weight"), feature("m", .max, "data.weight"), feature("a", .mean, "data.weight"),
            feature("p", .last, "data.product"),
        ])
        #expect(made.features == [1, 3] && made.omitted == [0, 2])
        #expect(!made.text.contains("\"s\"") && made.text.contains("AS \"m\"") && made.text.contains("AS \"p\""))
    }

    @Test func namesAndLiteralsCannotBreakOut() {
        #expect(EventSQL.literal("a'; DROP TABLE x; --") == "'a''; DROP TABLE x; --'")
        #expect(EventSQL.identifier("a\" b") == "\"a\"\" b\"")
        #expect(EventSQL.text(at: ["data", "it's"]) == "e.data #>> ARRAY['it''s']")
        #expect(EventSQL.text(at: ["region", "x"]) == "e.extensions #>> ARRAY['region', 'x']")
        #expect(EventSQL.text(at: ["source"]) == "e.source")
    }
}
