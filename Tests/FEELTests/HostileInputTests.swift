import Testing

@testable import FEEL

/// Nothing that can be typed may crash or hang the parser or the machine.
@Suite struct HostileInputTests {
    private func survive(_ source: String) {
        guard let expression = try? Expression(source, in: ExpressionTests.environment) else { return }
        var reasons: [NullReason] = []
        _ = expression.evaluate(ExpressionTests.slots, reasons: &reasons).text
        _ = try? UnaryTests(source, inputType: .any, in: ExpressionTests.environment).matches(
            .null, ExpressionTests.slots)
    }

    @Test func deepNesting() {
        for unit in [
            "(", "[", "{a:", "-", "not(", "if ", "for x in ", "function(x) ", "1+(", "x in (", "some x in [", "a.",
            "a[", "@",
            "((((", "not(not(", "[[[[", "count(", "]", "(<", "/*", "\"\\u", "1 in (1 in (", "list<",
            "1 instance of list<",
        ] {
            survive(String(repeating: unit, count: 20_000 / unit.utf8.count))
            survive(String(repeating: unit, count: 60) + "1")
        }
        let balanced = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(throws: FEELError.self) { try Expression(balanced, in: Environment([])) }
        let nestedIn = String(repeating: "1 in (", count: 60) + "1..2" + String(repeating: ")..2)", count: 60)
        survive(nestedIn)
    }

    @Test func longChains() {
        for unit in ["1+", "1*", "1 and ", "true or ", "1=", "a.b.", "1**", "- ", "not(1),", "1 between 1 and "] {
            survive(String(repeating: unit, count: 8000) + "1")
        }
        survive("[" + String(repeating: "1,", count: 30_000) + "1]")
        survive(String(repeating: "a ", count: 30_000))
        survive("\"" + String(repeating: "x", count: 100_000) + "\"")
    }

    @Test func randomBytes() {
        var generator = SplitMix(state: 42)
        let alphabet = Array(
            "()[]{}<>=!.,:;?@\"'\\+-*/ \n0123456789eEaxif for in return not and or null true amount".utf8)
        for round in 0..<20_000 {
            let length = Int(generator.next() % 48)
            let bytes = (0..<length).map { _ in
                round % 4 == 0
                    ? UInt8(truncatingIfNeeded: generator.next())
                    : alphabet[Int(generator.next() % UInt64(alphabet.count))]
            }
            survive(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test func mutatedSources() {
        var generator = SplitMix(state: 7)
        let sources = [
            "for x in 1..3, y in [x, 10] return {a: x * y, b: if a > 3 then \"p\" else @\"P1D\"}",
            "some o in orders satisfies o.price between 1 and 5 and o.sku in (\"x\", not(\"y\"))",
            "{f: function(n: number) if n = 0 then 1 else n * f(n - 1), r: f(5)}.r",
            "orders[price > 10 and item.sku != null].sku",
        ]
        for _ in 0..<10_000 {
            var bytes = Array(sources[Int(generator.next() % UInt64(sources.count))].utf8)
            for _ in 0..<(1 + generator.next() % 4) {
                let index = Int(generator.next() % UInt64(bytes.count))
                switch generator.next() % 3 {
                case 0: bytes.remove(at: index)
                case 1: bytes.insert(UInt8(32 + generator.next() % 95), at: index)
                default: bytes.swapAt(index, Int(generator.next() % UInt64(bytes.count)))
                }
            }
            survive(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test(arguments: [
        "{f: function(f, x) f(f, x + 1), r: f(f, 1)}.r", "for a in 1..100000, b in 1..100000, c in 1..100000 return a",
        "count(for a in 1..100000000 return a)", "some a in 1..10000000, b in 1..1000000 satisfies a = -b",
        "matches(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\", \"(a*)*c\")",
        "matches(\"x\", \"((((x{999}){999}){999}){999})\")",
        "9e6144 * 10", "-9e6144 - 9e6144", "10 ** 99999", "2 ** 0.5 ** 100000", "@\"999999999-12-31\" + @\"P1D\"",
        "@\"-999999999-01-01\" - @\"P1Y\"", "@\"P999999999999999999Y\"", "@\"P999999999999999999D\" * 99999",
        "decimal(1, 99999999999)",
        "substring(\"a\", 99999999999999999999)", "@\"2024-01-01\" + @\"P999999999999999999D\"", "round up(1, -7000)",
        "for i in 9223372036854775806..9223372036854775807 return i", "[1][-9223372036854775808]", "floor(1e6000)",
        "sublist([1], -9223372036854775808, 9223372036854775807)", "duration(\"-P9223372036854775807M\") * -9999999999",
    ])
    func bounded(source: String) throws {
        let expression = try? Expression(source, in: Environment([]))
        _ = expression?.evaluate([]).text
    }
}

/// A small deterministic generator (splitmix64).
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
