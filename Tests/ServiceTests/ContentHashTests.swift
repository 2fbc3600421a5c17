import JSON
import Testing

@testable import Service

@Suite struct ContentHashTests {
    static func hash(_ text: String, key: [UInt8] = Array(0..<16)) throws -> UInt64 {
        let document = try JSONDocument(Array(text.utf8))
        return document.withRoot { ContentHash(HashKey(key)).hash($0) }
    }

    @Test(arguments: [
        (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#), (#"{"a":{"x":1,"y":[2]}}"#, " {\n\"a\" : {\"y\":[ 2 ],\"x\":1} }\n"),
        ("1", "1.0"), ("1", "1e0"), ("100", "1e2"), ("0.5", "5E-1"), ("-0", "0"), ("0", "0.000"), ("0e5", "0"),
        ("1234567890123456789012345678901234", "1234567890123456789012345678901234.0"),
        (#""é""#, #""\u00e9""#), (#""\/""#, #""/""#), (#""😀""#, #""\ud83d\ude00""#),
        (#"{"é":1}"#, #"{"\u00e9":1}"#),
        (#""\n""#, #""\u000a""#),
    ]) func sameContent(_ left: String, _ right: String) throws {
        #expect(try Self.hash(left) == Self.hash(right))
    }

    @Test func differentContents() throws {
        let texts = [
            "null", "true", "false", "0", "1", "-1", "10", "0.1", "1e400", "2e400", "1e-400", #""""#, #""0""#,
            #""null""#, #""true""#, "[]", "{}", "[[]]", "[{}]", "[null]", "[null,null]", "[0]", "[1]", "[1,2]",
            "[2,1]", "[[1],2]", "[[1,2]]", "[1,[2]]", #"{"a":null}"#, #"{"a":1}"#, #"{"b":1}"#, #"{"a":"1"}"#,
            #"{"a":1,"b":2}"#, #"{"a":2,"b":1}"#, #"{"a":{"b":1}}"#, #"{"a":[]}"#, #"{"a":{}}"#, #"["a",1]"#,
            #"{"":null}"#, #"{"a":{},"b":{}}"#, #"{"a":{"b":{}}}"#, #""a""#, #""A""#, #""é""#, #""e\u0301""#,
            "1234567890123456789012345678901234", "1234567890123456789012345678901235",
            "18446744073709551616", "36893488147419103232", "12345678901234567890123456789012345678",
            "12345678901234567890123456789012345679", #"{"a":1,"b":1}"#, #"{"a":1,"c":1}"#,
        ]
        var seen: [UInt64: String] = [:]
        for text in texts {
            let hash = try Self.hash(text)
            #expect(seen[hash] == nil, "\(text) and \(seen[hash] ?? "")")
            seen[hash] = text
        }
    }

    /// Swapping values between members must not cancel out.
    @Test func randomObjects() throws {
        var random = SeededGenerator(4)
        var seen: [UInt64: JSONTree] = [:]
        for _ in 0..<5_000 {
            let members = (0..<3).map { index in
                JSONTree.Member(
                    key: "k\(index)", value: .integer(Int64.random(in: 0..<20, using: &random)))
            }
            let tree = JSONTree.object(members)
            let hash = try Self.hash(String(decoding: tree.bytes, as: UTF8.self))
            if let known = seen[hash] { #expect(known == tree) }
            seen[hash] = tree
            let reversed = JSONTree.object(members.reversed())
            #expect(try Self.hash(String(decoding: reversed.bytes, as: UTF8.self)) == hash)
        }
    }

    @Test func keysSeparate() throws {
        #expect(try Self.hash("[1]") != Self.hash("[1]", key: Array(1..<17)))
    }
}
