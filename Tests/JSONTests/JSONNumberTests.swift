import Foundation
import JSON
import Testing

private func value<R>(_ text: String, _ body: (JSONValue) throws -> R) throws -> R {
    try JSONDocument(Array(text.utf8)).withRoot(body)
}

struct JSONNumberTests {
    @Test func doublesEqualStrtod() throws {
        var random = SplitMix(state: 11)
        var texts = [
            "0", "-0", "-0.0", "0e999999999999", "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324",
            "1.7976931348623157e308", "2.2250738585072011e-308", "9007199254740993", "9007199254740992.5",
            "179769313486231580793728971405301e276", "1e22", "1e23", "8.5e22", "1e-400", "-1e-99999999999999999999",
            "0." + String(repeating: "0", count: 400) + "1e400", "1" + String(repeating: "0", count: 400) + "e-400",
            "0.1000000000000000055511151231257827021181583404541015625", "123456789012345678901234567890e-20",
        ]
        for _ in 0..<20_000 {
            let bits = Double(bitPattern: random.next())
            if bits.isFinite { texts.append("\(bits)") }
            let digits = (0..<Int.random(in: 1...25, using: &random)).map { _ in
                String(Int.random(in: 0...9, using: &random))
            }
            let power = Int.random(in: -340...310, using: &random)
            texts.append("\(Int.random(in: 1...9, using: &random))\(digits.joined())e\(power)")
            texts.append("\(Int.random(in: -9...9, using: &random)).\(digits.joined())")
        }
        let parser = JSONParser()
        for text in texts {
            var copy = text
            let mine = try copy.withUTF8 { try parser.parse(UnsafeRawBufferPointer($0)).double }
            let reference = strtod(text, nil)
            if reference.isFinite {
                if mine?.bitPattern != reference.bitPattern { Issue.record("\(text): \(String(describing: mine))") }
            } else {
                #expect(mine == nil)
            }
        }
    }

    @Test func overflowIsNoDoubleButANumber() throws {
        try value("1e400") { value in
            #expect(value.kind == .number && value.double == nil && !value.isFiniteNumber && value.int64 == nil)
            #expect(value.number?.text == "1e+400")
            #expect(value.number?.double == .infinity)
        }
    }

    static let integers: [(String, Int64?)] = [
        ("0", 0), ("-0", 0), ("0.000", 0), ("10.0", 10), ("1e3", 1000), ("1530e-2", nil), ("1500e-2", 15), ("1.5", nil),
        ("9223372036854775807", .max), ("-9223372036854775808", .min), ("9223372036854775808", nil),
        ("-9223372036854775809", nil), ("1e19", nil), ("1e18", 1_000_000_000_000_000_000), ("0.1e1", 1),
        ("100000000000000000000e-20", 1), ("1.00000000000000000000000000000000001", nil), ("1e-400", nil),
        ("12345678901234567890123e-22", nil), ("9223372036854775807.0", .max), ("0e-5", 0), ("0e99999999999999", 0),
        ("1e99999999999999", nil), ("1e-99999999999999", nil),
    ]

    @Test(arguments: integers)
    func exactIntegers(_ text: String, _ expected: Int64?) throws {
        try value(text) { value in
            #expect(value.int64 == expected)
            #expect(value.number?.scaledInt64(scale: 0) == expected)
        }
    }

    @Test func scaled() throws {
        let cases: [(String, Int, Int64?)] = [
            ("165.6", 2, 16560), ("1530e-2", 2, 1530), ("0.005", 2, nil), ("-3.25", 2, -325), ("1e2", -2, 1),
            ("1.50000000000000000000000000", 1, 15), ("92233720368547758.07", 2, .max),
            ("92233720368547758.08", 2, nil),
        ]
        for (text, scale, expected) in cases {
            try value(text) { value in
                #expect(value.scaledInt64(scale: scale) == expected, "\(text)")
                #expect(value.number?.scaledInt64(scale: scale) == expected, "\(text)")
            }
        }
    }

    @Test func equalByValue() {
        let same = ["1.5", "1.50", "15e-1", "0.15E1", "150000000000000000000000000000000000000e-38"]
        let numbers = Set(same.compactMap { JSONNumber(parsing: $0) })
        #expect(numbers.count == 1)
        #expect(numbers.first?.text == "1.5")
        #expect(JSONNumber(parsing: "-0") == JSONNumber(0))
        #expect(JSONNumber(parsing: "-1") == JSONNumber(-1))
    }

    static let spellings: [(String, String)] = [
        ("3000", "3000"), ("3000.0", "3000"), ("3e3", "3000"), ("0.10", "0.1"), ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"), ("1.5e25", "1.5e+25"), ("0.0000001", "0.0000001"), ("0.00000001", "1e-8"),
        ("-12.5e-9", "-1.25e-8"), ("-0.0", "0"), ("12345.678", "12345.678"),
        ("1234567890123456789012345678901234", "1.234567890123456789012345678901234e+33"),
        ("0.1234567890123456789012345678901234", "0.1234567890123456789012345678901234"),
    ]

    @Test(arguments: spellings)
    func spells(_ text: String, _ expected: String) throws {
        let number = try #require(JSONNumber(parsing: text))
        #expect(number.text == expected && number.isExact)
        #expect(JSONNumber(parsing: number.text) == number)
    }

    static let rounded: [(String, String)] = [
        ("12345678901234567890123456789012345", "1.234567890123456789012345678901234e+34"),
        ("12345678901234567890123456789012335", "1.234567890123456789012345678901234e+34"),
        ("12345678901234567890123456789012345000000000000000000000000001", "1.234567890123456789012345678901235e+61"),
        ("0.99999999999999999999999999999999999", "1"),
        ("9999999999999999999999999999999999.5000000001", "1e+34"),
    ]

    @Test(arguments: rounded)
    func roundsHalfToEvenPast34Digits(_ text: String, _ expected: String) throws {
        let number = try #require(JSONNumber(parsing: text))
        #expect(number.text == expected && !number.isExact)
    }

    @Test(arguments: ["", "-", "01", "1.", ".5", "+1", "1e", "NaN", "1 ", " 1", "0x1", "1e+", "١"])
    func refusesOtherSpellings(_ text: String) {
        #expect(JSONNumber(parsing: text) == nil)
    }

    @Test func shortest() throws {
        #expect(JSONNumber(shortest: 0.1)?.text == "0.1")
        #expect(JSONNumber(shortest: Float(0.1))?.text == "0.1")
        #expect(JSONNumber(shortest: Double.leastNonzeroMagnitude)?.text == "5e-324")
        #expect(JSONNumber(shortest: 3000.0)?.text == "3000")
        #expect(JSONNumber(shortest: Double.nan) == nil)
        var random = SplitMix(state: 3)
        for _ in 0..<20_000 {
            let double = Double(bitPattern: random.next())
            let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if double.isFinite, double != 0 {
                #expect(JSONNumber(shortest: double)?.double == double)
                #expect(JSONNumber(shortest: double) == JSONNumber(parsing: "\(double)"))
            }
            if float.isFinite, float != 0 {
                #expect(JSONNumber(shortest: float) == JSONNumber(parsing: "\(float)"))
            }
        }
    }
}
