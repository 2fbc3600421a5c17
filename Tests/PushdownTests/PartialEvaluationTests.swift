import FEEL
import Testing

@Suite struct PartialEvaluationTests {
    /// For random expressions and rows, any part of the names known: the residual gives what the whole gives, whatever
    /// the other names hold.
    @Test(arguments: [true, false]) func randomExpressions(isStrict: Bool) {
        var random = SeededGenerator(seed: isStrict ? 11 : 12)
        var (checked, folded) = (0, 0)
        for seed in 0..<UInt64(6000) {
            let generated = SQLParityTests.expression(seed + (isStrict ? 5 << 32 : 6 << 32), isStrict: isStrict)
            guard let (source, expression) = generated else { continue }
            let given = Sample.slots(Sample.row(&random))
            let known = given.map { random.chance(50) ? $0 : nil }
            let residual = expression.partiallyEvaluate(known)
            if residual.constant != nil { folded += 1 }
            for _ in 0..<8 {
                let row = Sample.slots(Sample.row(&random))
                let whole = expression.evaluate(zip(known, row).map { $0 ?? $1 })
                // The known names are not read again: they hold something else here.
                let rest = residual.evaluate(zip(known, row).map { $0 == nil ? $1 : .string("not read") })
                #expect(rest == whole, "seed \(seed): \(source), known \(known), row \(row)")
                checked += 1
            }
        }
        #expect(checked > 10_000 && folded > 100)
    }

    static let environment = Environment(
        ["a", "b", "c"].map { TypedName(name: $0, type: .number, isNullable: true) }
            + [
                TypedName(name: "flag", type: .boolean, isNullable: true),
                TypedName(name: "regions", type: .list(.string), isNullable: true),
                TypedName(name: "region", type: .string, isNullable: true),
                TypedName(name: "subject", type: .context(["id": .string, "level": .number]), isNullable: true),
            ])

    private func residual(_ source: String, _ known: [String: Value]) throws -> Expression {
        let expression = try Expression(source, in: Self.environment)
        return expression.partiallyEvaluate(Self.environment.names.map { known[$0.name] })
    }

    /// What is left reads only what can still matter.
    @Test(arguments: [
        ("a > 1 and b > 2", ["a": Value.number(0)], [Int]()), ("a > 1 and b > 2", ["a": .number(2)], [1]),
        ("a > 1 or b > 2", ["a": .number(2)], []), ("a > 1 and b > 2", ["a": .null], [1]),
        ("if a > 1 then b else c", ["a": .null], [2]), ("a between b and c", ["b": .null], []),
        ("a between b and c", ["a": .number(3), "b": .number(1)], [2]), ("not(not(a = 1))", ["b": .null], [0]),
        ("get or else(a, b)", ["a": .null], [1]), ("subject.level > a", ["subject": .null], []),
        ("a + b * c", ["b": .null], []), ("region in regions", ["regions": .list([.string("EU")])], [5]),
        ("some r in regions satisfies r = region", ["regions": .list([])], []),
    ])
    func readsOnlyTheRest(source: String, known: [String: Value], reads: [Int]) throws {
        #expect(try residual(source, known).usedSlots == reads, "\(source)")
    }

    /// `null and x` is null or false, never left out; a truth value that may be something else is not taken for one.
    @Test func nullsStay() throws {
        let conjunction = try residual("a > 1 and b > 2", ["a": .null])
        let rows: [(Value, Value)] = [(.number(1), .boolean(false)), (.number(3), .null), (.null, .null)]
        for (b, want) in rows {
            #expect(conjunction.evaluate([.null, b]) == want)
        }
        let single = try residual("a > 1 and flag", ["a": .number(2)])
        #expect(single.evaluate([.null, .null, .null, .string("yes")]) == .null)
    }

    /// A null still tells which name was missing.
    @Test func reasonsStay() throws {
        let residual = try residual("subject.level + 1 > a", ["subject": .null])
        var reasons: [NullReason] = []
        #expect(residual.evaluate([.number(1)], reasons: &reasons) == .null)
        #expect(reasons.first == NullReason(code: .missing, message: "subject", offset: 0))
    }

    @Test func theClockIsKnownOrNot() throws {
        let expression = try Expression("now() > @\"2024-01-01T00:00:00Z\" and a > 1", in: Self.environment)
        let open = expression.partiallyEvaluate([.number(2)])
        #expect(open.evaluate([], now: 0) == .boolean(false))
        #expect(open.evaluate([], now: 1_800_000_000_000_000) == .boolean(true))
        #expect(expression.partiallyEvaluate([.number(2)], now: 0).constant == .boolean(false))
    }

    /// A long list, or nested ones, are not written out without bound.
    @Test func unrollingEnds() throws {
        let many = Value.list((0..<1000).map { .string("r\($0)") })
        let nested = "some x in regions satisfies some y in regions satisfies x = y and y = region"
        let residual = try residual(nested, ["regions": many])
        #expect(residual.evaluate([.null, .null, .null, .null, .null, .string("r7")]) == .boolean(true))
        let few = Value.list((0..<30).map { .string("r\($0)") })
        let partly = try self.residual(nested, ["regions": few])
        #expect(partly.evaluate([.null, .null, .null, .null, .null, .string("r7")]) == .boolean(true))
        #expect(partly.evaluate([.null, .null, .null, .null, .null, .string("x")]) == .boolean(false))
    }
}
