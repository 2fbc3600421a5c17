import Foundation
import Testing

@testable import FEEL

private typealias Decimal = FEEL.Decimal

@Suite struct DecimalTests {
    /// Rows computed by another implementation; see Fixtures/decimals.py.
    @Test func agreesWithPythonDecimal() throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Fixtures/decimals.csv")
        let rows = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        #expect(rows.count > 700)
        for row in rows {
            let parts = row.split(separator: ",").map(String.init)
            let a = try #require(Decimal(parts[1]))
            let b = try #require(Decimal(parts[2]))
            let expected = try #require(Decimal(parts[3]))
            let actual: Decimal?
            switch parts[0] {
            case "+": actual = a + b
            case "-": actual = a - b
            case "*": actual = a * b
            case "/": actual = a / b
            case "<": actual = a < b ? .one : .zero
            case "=":
                actual = a == b ? .one : .zero
                if a == b { #expect(a.hashValue == b.hashValue, "\(row)") }
            default: actual = a.rounded(scale: b.integer ?? 0, try #require(DecimalTests.roundings[parts[0]]))
            }
            #expect(actual == expected, "\(row)")
            if let actual, "+-*".contains(parts[0]), !expected.isZero {
                #expect(actual.exponent == expected.exponent, "\(row)")
            }
        }
    }

    fileprivate static let roundings: [String: Decimal.Rounding] = [
        "even": .halfEven, "up": .up, "down": .down, "halfup": .halfUp, "halfdown": .halfDown, "floor": .floor,
        "ceiling": .ceiling,
    ]

    @Test(arguments: [
        ("1.50", "1.50"), ("1e3", "1000"), ("0.00", "0.00"), ("-0.5", "-0.5"), (".5", "0.5"), ("+7", "7"),
        ("1E-7", "0.0000001"), ("123456789012345678901234567890.1234", "123456789012345678901234567890.1234"),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012340"), ("1e100", "1E+100"),
    ])
    func spelling(source: String, text: String) throws {
        #expect(try #require(Decimal(source)).description == text)
    }

    @Test(arguments: ["", "-", ".", "1..2", "1e", "abc", "1 ", "NaN", "Infinity", "1e7000", "0x10", "1,5"])
    func refused(source: String) {
        #expect(Decimal(source) == nil)
    }

    @Test func edges() throws {
        let largest = try #require(Decimal("9999999999999999999999999999999999e6111"))
        #expect(largest + largest == nil)
        #expect(largest * largest == nil)
        #expect(Decimal.one / Decimal.zero == nil)
        #expect(Decimal(Int.min).integer == Int.min)
        #expect(Decimal(Int.max).integer == Int.max)
        #expect(Decimal("1e30")?.integer == nil)
        #expect(Decimal("10.0")?.integer == 10)
        #expect(Decimal("10.5")?.integer == nil)
        #expect(Decimal(shortest: 0.1) == Decimal("0.1"))
        #expect(Decimal(shortest: Float(0.1)) == Decimal("0.1"))
        #expect(Decimal(shortest: Double.infinity) == nil)
        #expect(Decimal("0.1")?.double == 0.1)
        #expect(Decimal(2).raised(to: Decimal(10)) == Decimal(1024))
        #expect(Decimal(2).raised(to: Decimal(-2)) == Decimal("0.25"))
        #expect(Decimal(9).squareRoot == Decimal(3))
        #expect(Decimal(-1).squareRoot == nil)
        #expect(Decimal(-5).modulo(Decimal(3)) == Decimal(1))
        #expect(Set([Decimal("1.0"), Decimal("1.00"), Decimal("10e-1")]).count == 1)
    }
}
