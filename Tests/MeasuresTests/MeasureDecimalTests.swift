import Measures
import Testing

@Suite struct MeasureDecimalTests {
    @Test(arguments: [
        ("0", "0"), ("-0.50", "-0.50"), ("12.340", "12.340"), ("1e3", "1000"), ("1.5E-3", "0.0015"), ("-7", "-7"),
        ("170141183460469231731687303715884105720", "170141183460469231731687303715884105720"), ("0e99", "0"),
        ("1e+2", "100"),
    ])
    func parses(_ text: String, _ expected: String) throws {
        #expect(try #require(MeasureDecimal(parsing: text)).description == expected)
    }

    @Test(arguments: ["", "-", ".5", "1.2.3", "1e", "1e--2", "abc", "1e39", "1 ", "NaN", "9e9999999", "1e-39"])
    func refuses(_ text: String) {
        #expect(MeasureDecimal(parsing: text) == nil)
    }

    @Test func equalsByValue() {
        let (a, b) = (MeasureDecimal(significand: 10, scale: 1), MeasureDecimal(significand: 100, scale: 2))
        #expect(a == b && a.hashValue == b.hashValue)
        #expect(MeasureDecimal(significand: 1, scale: 38) < MeasureDecimal(significand: .max, scale: 0))
        #expect(MeasureDecimal(significand: .min, scale: 0) < MeasureDecimal(significand: 1, scale: 38))
        #expect(MeasureDecimal(shortest: 0.1)?.description == "0.1")
        #expect(MeasureDecimal(shortest: .infinity) == nil)
    }

    @Test func roundsOnce() {
        var random = SeededGenerator(9)
        for _ in 0..<10_000 {
            let digits = Int128(truncatingIfNeeded: UInt128(random.next()) << 64 | UInt128(random.next()))
            let value = MeasureDecimal(
                significand: digits >> Int128(Int.random(in: 0...120, using: &random)),
                scale: Int.random(in: 0...38, using: &random))
            #expect(value.double == Double(value.description))
        }
    }
}
