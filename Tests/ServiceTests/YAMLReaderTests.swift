import JSON
import Testing

@testable import Service

@Suite struct YAMLReaderTests {
    static func json(_ text: String) throws -> [String] {
        try YAMLReader.documents(text).map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test(arguments: [
        ("", [String]()), ("---\n", []), ("# nothing\n", []), ("a: 1", [#"{"a":1}"#]),
        ("a: 1\n---\nb: 2\n---\n---\nc: 3\n", [#"{"a":1}"#, #"{"b":2}"#, #"{"c":3}"#]),
        (#"{"a":[1,"x",null,true]}"#, [#"{"a":[1,"x",null,true]}"#]),
        ("a: &x [1, 2]\nb: *x", [#"{"a":[1,2],"b":[1,2]}"#]),
        ("a: |\n  x\n  y\n", [#"{"a":"x\ny\n"}"#]), ("- a\n- - b", [#"["a",["b"]]"#]),
        ("b: 1\na: 2", [#"{"b":1,"a":2}"#]),
    ]) func documents(_ text: String, _ expected: [String]) throws {
        #expect(try Self.json(text) == expected)
    }

    @Test(arguments: [
        ("1", "1"), ("-1.50", "-1.5"), ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("\"1\"", #""1""#), ("'1'", #""1""#), ("'true'", #""true""#), ("\"null\"", #""null""#), ("''", #""""#),
        ("true", "true"), ("False", "false"), ("~", "null"), ("null", "null"), ("yes", #""yes""#), ("on", #""on""#),
        ("09:00", #""09:00""#), ("2024-01-31", #""2024-01-31""#), ("0x10", #""0x10""#), ("1_000", #""1_000""#),
        ("+5", #""+5""#), ("01", #""01""#), (".5", #"".5""#), (".inf", #"".inf""#), (".nan", #"".nan""#),
        ("NaN", #""NaN""#), ("Infinity", #""Infinity""#), ("-Infinity", #""-Infinity""#), ("1.2.3", #""1.2.3""#),
        ("v1.0", #""v1.0""#),
    ]) func scalars(_ text: String, _ expected: String) throws {
        #expect(try YAMLReader.documents("a: \(text)") == [JSONTree(parsing: "{\"a\":\(expected)}")])
    }

    @Test(arguments: [
        "a: 1\na: 2", "{a: 1, 'a': 2}", "a: [", "a: *x", "? [1]\n: 2", "a: b: c", "\t- x", "{1: 2, 1: 3}",
        "a: !custom 5", "a: !custom [1]", "!custom {a: 1}",
    ]) func refuses(_ text: String) {
        #expect(throws: YAMLProblem.self) { try YAMLReader.documents(text) }
    }

    @Test func coreTagsMeanWhatTheySay() throws {
        #expect(try Self.json("a: !!str 5") == [#"{"a":"5"}"#])
        #expect(try Self.json("a: !!int 5") == [#"{"a":5}"#])
    }

    @Test func aBombOfAliasesIsRefused() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(items)]\n"
        }
        #expect(throws: YAMLProblem.self) { try YAMLReader.documents(text) }
    }

    @Test(arguments: [(60, true), (63, true), (66, false), (900, false), (100_000, false)])
    func depthIsBounded(_ depth: Int, _ isTaken: Bool) {
        let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(((try? YAMLReader.documents(text)) != nil) == isTaken)
    }

    @Test func sizeIsBounded() {
        let text = "a: " + String(repeating: "x", count: YAMLReader.bytesMax)
        #expect(throws: YAMLProblem.self) { try YAMLReader.documents(text) }
    }

    @Test func theLineIsTold() throws {
        do {
            _ = try YAMLReader.documents("a: 1\nb:\n  ? [x]\n  : 1\n")
            Issue.record("taken")
        } catch {
            #expect(error.line == 3)
        }
    }
}
