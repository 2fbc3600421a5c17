import JSON
import Testing

struct JSONWriterTests {
    @Test func structure() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("a")
        writer.beginArray()
        writer.integer(1)
        writer.null()
        writer.bool(true)
        writer.beginObject()
        writer.endObject()
        writer.endArray()
        writer.key("q\"" as String)
        writer.string("tab\t\u{1}\u{1F}\\é" as String)
        writer.key("r")
        writer.raw(Array("[1, 2]".utf8))
        writer.endObject()
        writer.newline()
        writer.integer(Int64.min)
        #expect(
            String(decoding: writer.finish(), as: UTF8.self)
                == "{\"a\":[1,null,true,{}],\"q\\\"\":\"tab\\t\\u0001\\u001f\\\\é\",\"r\":[1, 2]}\n-9223372036854775808"
        )
    }

    static let doubles: [(Double, String)] = [
        (0, "0"), (-0.0, "-0"), (1, "1"), (3000, "3000"), (-2.5, "-2.5"), (0.1, "0.1"), (1e30, "1e+30"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"), (1e-7, "0.0000001"), (1e-8, "1e-8"), (.leastNonzeroMagnitude, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (9_007_199_254_740_992, "9007199254740992"),
        (123456789.125, "123456789.125"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
    ]

    @Test(arguments: doubles)
    func double(_ value: Double, _ expected: String) {
        var writer = JSONWriter()
        writer.double(value)
        #expect(String(decoding: writer.finish(), as: UTF8.self) == expected)
    }

    @Test func floatsAreShortestInSinglePrecision() {
        let cases: [(Float, String)] = [
            (0.1, "0.1"), (16_777_216, "16777216"), (3.4028235e38, "3.4028235e+38"),
            (-Float.leastNonzeroMagnitude, "-1e-45"),
        ]
        for (value, expected) in cases {
            var writer = JSONWriter()
            writer.float(value)
            #expect(String(decoding: writer.finish(), as: UTF8.self) == expected)
        }
    }

    @Test func randomTreesComeBack() throws {
        var random = SplitMix(state: 5)
        for _ in 0..<2_000 {
            let tree = randomTree(depth: 0, &random)
            #expect(try JSONTree(parsing: tree.bytes) == tree)
            #expect(Oracle.accepts(tree.bytes) && Oracle.accepts(tree.canonicalBytes))
            #expect(try JSONTree(parsing: tree.canonicalBytes).canonicalBytes == tree.canonicalBytes)
        }
    }

    @Test func randomDoublesComeBack() throws {
        var random = SplitMix(state: 6)
        let parser = JSONParser()
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            var writer = JSONWriter()
            writer.double(value)
            let back = try writer.bytes.withUnsafeBytes { try parser.parse($0).double }
            #expect(back?.bitPattern == value.bitPattern)
        }
    }

    private func randomTree(depth: Int, _ random: inout SplitMix) -> JSONTree {
        switch Int.random(in: 0..<(depth > 4 ? 4 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2:
            let power = Int.random(in: -40...40, using: &random)
            return .number(JSONNumber(isNegative: false, significand: UInt128(random.next() >> 4), exponent: power))
        case 3: return .string(randomText(&random))
        case 4:
            return .array(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in randomTree(depth: depth + 1, &random) })
        default:
            var members: [JSONTree.Member] = []
            for index in 0..<Int.random(in: 0..<40, using: &random) {
                members.append(
                    .init(key: "\(index)" + randomText(&random), value: randomTree(depth: depth + 3, &random)))
            }
            return .object(members)
        }
    }

    private func randomText(_ random: inout SplitMix) -> String {
        let alphabet: [Character] = ["a", "\"", "\\", "\n", "\u{1}", "é", "€", "😀", "/", "\u{7F}", " ", "\u{2028}"]
        return String(
            (0..<Int.random(in: 0..<12, using: &random)).compactMap { _ in alphabet.randomElement(using: &random) })
    }
}
