import JSON
import Testing

func parseCode(_ bytes: [UInt8], _ limits: JSONLimits = .standard) -> JSONError.Code? {
    do throws(JSONError) {
        _ = try JSONDocument(bytes, limits: limits)
        return nil
    } catch {
        #expect(error.offset >= 0 && error.offset <= max(bytes.count, limits.bytesMax))
        return error.code
    }
}

private func nested(_ depth: Int, _ open: String, _ close: String) -> String {
    String(repeating: open, count: depth) + String(repeating: close, count: depth)
}

private func wide(_ keys: some Sequence<Int>) -> String {
    "{" + keys.map { "\"key\($0)\":\($0)" }.joined(separator: ",") + "}"
}

struct JSONParserTests {
    static let refused: [(String, JSONError.Code)] = [
        ("", .empty), (" \n\t\r ", .empty),
        ("{", .truncated), ("[", .truncated), ("[1", .truncated), ("[1,", .truncated), ("{\"a\"", .truncated),
        ("{\"a\":", .truncated), ("{\"a\":1", .truncated), ("{\"a\":1,", .truncated), ("[[]", .truncated),
        ("\"abc", .unclosedString), ("{\"a", .unclosedString), ("\"a\\\"", .unclosedString),
        ("[1,]", .syntax), ("[,1]", .syntax), ("{,}", .syntax), ("{\"a\":1,}", .syntax), ("{\"a\" 1}", .syntax),
        ("{\"a\":}", .syntax), ("{a:1}", .syntax), ("{1:1}", .syntax), ("{\"a\",\"b\"}", .syntax),
        ("[1 2]", .syntax), ("[1:2]", .syntax), ("{\"a\":1:2}", .syntax), ("[}", .syntax), ("{]", .syntax),
        ("[1}", .syntax), ("{\"a\":1]", .syntax), ("]", .syntax), ("}", .syntax), (",", .syntax), (":", .syntax),
        ("{'a':1}", .syntax), ("'a'", .syntax), ("[\"a\"\"b\"]", .syntax), ("[\"a\" \"b\"]", .syntax),
        ("\"a\"b", .trailingContent), ("{} {}", .trailingContent), ("{}{}", .trailingContent),
        ("1 2", .trailingContent), ("[] ,", .trailingContent), ("null null", .trailingContent),
        ("{}x", .trailingContent), ("[]]", .trailingContent), ("\"\"\"\"", .trailingContent),
        ("tru", .syntax), ("truE", .syntax), ("trues", .syntax), ("nul", .syntax), ("nulll", .syntax),
        ("fals", .syntax), ("falsey", .syntax), ("True", .syntax), ("NULL", .syntax), ("undefined", .syntax),
        ("[true1]", .syntax), ("[truefalse]", .syntax), ("[null,nul]", .syntax),
        ("NaN", .syntax), ("Infinity", .syntax), ("-Infinity", .invalidNumber), ("[NaN]", .syntax), ("nan", .syntax),
        ("01", .invalidNumber), ("-01", .invalidNumber), ("00", .invalidNumber), ("-", .invalidNumber),
        ("1.", .invalidNumber), ("-.5", .invalidNumber), ("1.e3", .invalidNumber), ("1e", .invalidNumber),
        ("1e+", .invalidNumber), ("1E-", .invalidNumber), ("0x10", .invalidNumber), ("1_000", .invalidNumber),
        ("1.2.3", .invalidNumber), ("1e1.5", .invalidNumber), ("[1a]", .invalidNumber), ("[-a]", .invalidNumber),
        ("[1\"a\"]", .invalidNumber), ("--1", .invalidNumber), ("1-1", .invalidNumber), ("1\u{0C}", .trailingContent),
        (".5", .syntax), ("+1", .syntax), ("[+1]", .syntax), ("1\\", .invalidNumber),
        ("\"\\x\"", .invalidEscape), ("\"\\u12\"", .invalidEscape), ("\"\\u12g4\"", .invalidEscape),
        ("\"\\U0041\"", .invalidEscape), ("\"\\'\"", .invalidEscape), ("\"\\u\"", .invalidEscape),
        ("{\"\\x\":1}", .invalidEscape), ("[\"ok\\n\",\"\\q\"]", .invalidEscape),
        ("\"\\ud800\"", .loneSurrogate), ("\"\\udc00\"", .loneSurrogate), ("\"\\ud800\\u0041\"", .loneSurrogate),
        ("\"\\ud800\\ud800\"", .loneSurrogate), ("\"\\ud800x\"", .loneSurrogate),
        ("\"\\udfff\\ud800\"", .loneSurrogate),
        ("\"\\ud83d\\\"\"", .loneSurrogate),
        ("\"\\u0000\"", .nulInString), ("{\"a\\u0000\":1}", .nulInString), ("[\"\\\\\",\"x\\u0000y\"]", .nulInString),
        ("\"a\nb\"", .controlCharacter), ("\"a\u{1}b\"", .controlCharacter), ("\"\t\"", .controlCharacter),
        ("[\"\u{1F}\"]", .controlCharacter), ("\"\u{0}\"", .controlCharacter),
        ("{\"a\":1,\"a\":1}", .duplicateKey), ("{\"a\":1,\"\\u0061\":2}", .duplicateKey),
        ("{\"\":1,\"\":2}", .duplicateKey), ("[{\"x\":{\"k\":1,\"j\":2,\"k\":3}}]", .duplicateKey),
        ("{\"\u{e9}\":1,\"\\u00e9\":2}", .duplicateKey), ("{\"\\ud83d\\ude00\":1,\"\u{1F600}\":2}", .duplicateKey),
        ("\u{FEFF}{}", .syntax), ("[1]\u{0}", .trailingContent), ("\u{0}", .syntax), ("[\u{0C}1]", .syntax),
        ("[1\u{1A}2]", .syntax), ("[\"a\"\u{1A}\"b\"]", .syntax), ("[1,\u{A0}2]", .syntax), ("\\", .syntax),
        ("[\\\"a\\\"]", .syntax), ("// comment\n1", .syntax), ("[1,/**/2]", .syntax), ("{\"a\":1 /*x*/}", .syntax),
        ("<html>", .syntax), ("\u{2028}1", .syntax), ("\u{1F600}", .syntax),
    ]

    @Test(arguments: refused)
    func refuses(_ text: String, _ code: JSONError.Code) {
        #expect(parseCode(Array(text.utf8)) == code)
    }

    static let badUTF8: [[UInt8]] = [
        [0x22, 0xA3, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
        [0x22, 0xE2, 0x82, 0x22], [0x22, 0xFF, 0x22], [0x22, 0xF0, 0x80, 0x80, 0x80, 0x22], [0x5B, 0xFF, 0x5D],
        [0x22, 0xC3], [0x22, 0x80, 0x22], [0xFF, 0xFE, 0x31, 0x00],
    ]

    @Test(arguments: badUTF8)
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        let code = parseCode(bytes)
        // An unclosed string may be found first; both are refusals.
        #expect(code == .invalidUTF8 || code == .unclosedString)
    }

    static let accepted: [String] = [
        "{}", "[]", " [ ] ", "\t{\n}\r ", "null", "true", "false", "0", "-0", "1", "\"\"", "\"a\"", " 1 ",
        "[1,2,3]", "{\"a\":{\"b\":[{},[],\"\",0,null,true,false]}}", "1e400", "-1E-400", "0e0", "0.0e+10", "1.5e-3",
        "\"\\u0041\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10FFFF}\"",
        "{\"a\":1,\"A\":2,\"\":3,\" \":4}",
        "123456789012345678901234567890123456789012345678901234567890", "\"\\\\\"", "[\"\\\\\",\"\\\\\\\"\"]",
        "[\"a\\\\\" , \"b\"]", "\"\\u0001\\uFFFF\\u2028\"", "[1\n,\r2\t]", "{\"a\\\\\":1,\"a\\\"\":2}",
    ]

    @Test(arguments: accepted)
    func accepts(_ text: String) throws {
        #expect(parseCode(Array(text.utf8)) == nil)
        #expect(Oracle.accepts(Array(text.utf8)))
        let tree = try JSONTree(parsing: text)
        #expect(try JSONTree(parsing: tree.bytes).canonicalBytes == tree.canonicalBytes)
    }

    @Test func bigTexts() {
        for keys in [Array(0..<200) + [0], Array(0..<24) + [23], [0] + Array(0..<23), Array(0..<5000) + [4321]] {
            #expect(parseCode(Array(wide(keys).utf8)) == .duplicateKey)
            #expect(parseCode(Array(wide(Set(keys)).utf8)) == nil)
        }
        for text in [nested(129, "[", "]"), nested(10_000, "[", ""), nested(129, "{\"a\":", "}")] {
            #expect(parseCode(Array(text.utf8)) == .tooDeep)
        }
        #expect(parseCode(Array(nested(128, "[", "]").utf8)) == nil)
    }

    @Test func limits() {
        #expect(parseCode(Array("[[1]]".utf8), JSONLimits(depthMax: 1)) == .tooDeep)
        #expect(parseCode(Array("[1]".utf8), JSONLimits(depthMax: 1)) == nil)
        #expect(parseCode(Array("1".utf8), JSONLimits(depthMax: 0)) == nil)
        #expect(parseCode(Array("[1]".utf8), JSONLimits(bytesMax: 2)) == .tooLarge)
        #expect(parseCode(Array(nested(1025, "[", "]").utf8), JSONLimits(depthMax: 1 << 30)) == .tooDeep)
    }

    @Test func bareTokensWhenAllowed() throws {
        let limits = JSONLimits(allowsNaN: true)
        let document = try JSONDocument(Array("[NaN,Infinity,-Infinity,-1]".utf8), limits: limits)
        document.withRoot { root in
            let values = root.elements.map(\.double)
            #expect(values[0]?.isNaN == true)
            #expect(Array(values[1...]) == [.infinity, -.infinity, -1])
            #expect(root.elements.map(\.isSpecialNumber) == [true, true, true, false])
            #expect(root.elements.map { $0.int64 } == [nil, nil, nil, -1])
        }
        for text in ["nan", "NaNs", "Inf", "-Inf", "+Infinity", "-NaN", "Infinity1"] {
            #expect(parseCode(Array(text.utf8), limits) != nil)
        }
    }

    @Test func errorsSayWhere() {
        let cases: [([UInt8], Int)] = [
            (Array("[1,02]".utf8), 3), (Array("{\"a\":1,\"a\":2}".utf8), 7), (Array("[\"ab\u{1}\"]".utf8), 4),
            ([0x5B, 0x22, 0xC3, 0xA9, 0xA3, 0x22, 0x5D], 4), (Array("[1] x".utf8), 4), (Array("[\"a\\q\"]".utf8), 3),
        ]
        for (bytes, offset) in cases {
            #expect(throws: JSONError.self) { try JSONDocument(bytes) }
            do { _ = try JSONDocument(bytes) } catch { #expect(error.offset == offset) }
        }
    }

    /// Every alignment against simdjson's 64-byte blocks, and a buffer that ends where the document ends.
    @Test func blockBoundaries() throws {
        let parser = JSONParser()
        for length in 0..<300 {
            let text = "{\"k\":\"" + String(repeating: "x", count: length) + "\\\\\",\"n\":[1,-2.5e3,\"\\\"\"]}"
            let bytes = Array(text.utf8)
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            defer { room.deallocate() }
            room.copyBytes(from: bytes)
            let value = try parser.parse(UnsafeRawBufferPointer(room))
            #expect(value["k"]?.string == String(repeating: "x", count: length) + "\\")
            #expect(value["n"]?.elements.map { $0.double } == [1, -2500, nil])
            #expect(value["n"]?.offset == bytes.count - 17 + 1 || value["n"]?.raw.count == 15)
        }
    }

    @Test func reuseAcrossSizes() throws {
        let parser = JSONParser()
        let big = Array(("[" + (0..<700_000).map(String.init).joined(separator: ",") + "]").utf8)
        for bytes in [Array("[1]".utf8), big, Array("{\"a\":2}".utf8), big, Array("3".utf8)] {
            let total = try bytes.withUnsafeBytes { try parser.parse($0).count }
            #expect(total == (bytes.count > 100 ? 700_000 : bytes.count == 1 ? 0 : 1))
        }
    }

    /// Random damage to real-looking text: the parser and the naive checker always agree.
    @Test func agreesWithTheOracle() {
        let seeds = [
            #"{"specversion":"1.0","id":"a-1","time":"2010-12-01T09:32:00.000Z","data":{"n":-12.5e+3,"s":"\u00e9\\"}}"#,
            #"[[],{},"",0,-0,1.5,true,false,null,"\ud83d\ude00","é😀",{"a":[{"b":1}]},1e400]"#,
            #" { "a" : [ 1 , 2 , { "b" : null } ] , "c" : "x\"y" } "#,
        ]
        let alphabet =
            Array("{}[],:\"\\ \n0123456789.eE+-truefalsnN\u{1}\u{C}x/".utf8) + [0xC3, 0xA9, 0xFF, 0xED, 0xA0]
        var random = SplitMix(state: 7)
        var acceptedCount = 0
        for round in 0..<60_000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                let byte = alphabet.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = byte
                case 1: bytes.insert(byte, at: position)
                case 2: if bytes.count > 1 { bytes.remove(at: position) }
                default: bytes.swapAt(position, Int.random(in: 0..<bytes.count, using: &random))
                }
            }
            let code = parseCode(bytes)
            if code == nil { acceptedCount += 1 }
            if (code == nil) != Oracle.accepts(bytes) {
                Issue.record("\(String(describing: code)) for \(String(decoding: bytes, as: UTF8.self))")
            }
        }
        #expect(acceptedCount > 2_000)
    }
}

/// A seeded generator, so that a failure repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
