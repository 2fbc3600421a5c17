import JSON
import Testing

@testable import Service

@Suite struct BodySplitterTests {
    static func shape(_ type: String?, _ body: String) -> BodySplitter.Shape? {
        Array(body.utf8).withUnsafeBytes { BodySplitter.shape(mediaType: type, body: $0) }
    }

    @Test(arguments: [
        ("application/cloudevents-batch+json", BodySplitter.Shape.array), ("application/cloudevents+json", .single),
        ("application/x-ndjson", .lines), ("application/ndjson", .lines), ("application/jsonl", .lines),
        ("application/x-jsonlines", .lines),
    ]) func mediaTypesSayTheShape(_ type: String, _ shape: BodySplitter.Shape) {
        for body in ["{}", "[]", "{}\n{}", ""] { #expect(Self.shape(type, body) == shape) }
    }

    @Test(arguments: ["text/plain", "text/csv", "application/xml", "multipart/form-data", ""])
    func otherMediaTypesAreNotTaken(_ type: String) {
        #expect(Self.shape(type, "{}") == nil)
    }

    @Test(arguments: [
        ("", BodySplitter.Shape.lines), ("  \r\n\n", .lines), ("[]", .array), (" \n\t[{}]", .array), ("{}", .single),
        ("{}\n", .single), ("{}\r\n", .single), (#"{"a":1}\#n{"a":2}"#, .lines), (#"{"a":1}\#r\#n{"a":2}"#, .lines),
        (#"{"a":1}\#n\#n{"a":2}\#n"#, .lines), ("{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", .single),
        ("{\r\n\t\"a\": 1\r\n}", .single), ("{\n\"a\":1,\n\"b\":2\n}", .single), ("\n\n{}", .single),
        ("{}\n{}\n{}", .lines), ("nonsense", .single),
        (#"{"a":1}\#r\#n\#r\#n{"a":2}\#r\#n"#, .lines),
    ]) func untypedBodiesAreLookedAt(_ body: String, _ shape: BodySplitter.Shape) {
        for type in [nil, "application/json", "text/json", "application/octet-stream"] as [String?] {
            #expect(Self.shape(type, body) == shape, "\(body.debugDescription) as \(type ?? "nothing")")
        }
    }

    static func lines(_ body: String) -> [String] {
        let bytes = Array(body.utf8)
        return bytes.withUnsafeBytes { BodySplitter.lines($0) }.map { slice in
            slice.isBlank ? "(blank)" : String(decoding: bytes[slice.range], as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("", [String]()), ("{}", ["{}"]), ("{}\n", ["{}"]), ("a\nb", ["a", "b"]), ("a\nb\n", ["a", "b"]),
        ("a\r\nb\r\n", ["a\r", "b\r"]), ("a\n\nb", ["a", "(blank)", "b"]), ("\n", ["(blank)"]),
        ("\r\n \t\nx", ["(blank)", "(blank)", "x"]), ("a\n\n", ["a", "(blank)"]), ("a\rb", ["a\rb"]),
    ]) func cutsLines(_ body: String, _ expected: [String]) {
        #expect(Self.lines(body) == expected)
    }

    @Test func everyByteIsInOneLine() {
        var random = SeededGenerator(5)
        for _ in 0..<500 {
            let letters: [UInt8] = [0x61, 0x0A, 0x0D, 0x20]
            let count = Int.random(in: 0...60, using: &random)
            let bytes: [UInt8] = (0..<count).map { _ in letters.randomElement(using: &random) ?? 0 }
            let slices = bytes.withUnsafeBytes { BodySplitter.lines($0) }
            var joined = [UInt8](slices.map { bytes[$0.range] }.joined(separator: [0x0A]))
            if bytes.last == 0x0A { joined.append(0x0A) }
            guard joined == bytes else {
                Issue.record("\(bytes)")
                return
            }
        }
    }

    static func elements(_ body: String) throws -> [String] {
        let bytes = Array(body.utf8)
        let parser = JSONParser()
        return try bytes.withUnsafeBytes { try BodySplitter.elements($0, parser) }.map {
            String(decoding: bytes[$0.range], as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("[]", [String]()), (" [ {\"a\" : [1]} ,\n5, \"x\" ] ", [#"{"a" : [1]}"#, "5", #""x""#]),
        ("[[],{}]", ["[]", "{}"]),
    ]) func cutsArrays(_ body: String, _ expected: [String]) throws {
        #expect(try Self.elements(body) == expected)
    }

    @Test(arguments: [
        ("{}", "not_an_array"), ("5", "not_an_array"), ("[1", "malformed_json"), ("", "malformed_json"),
        ("[1]]", "malformed_json"),
    ]) func refusesOtherBodies(_ body: String, _ code: String) {
        do {
            _ = try Self.elements(body)
            Issue.record("taken")
        } catch {
            let problem = error as? Problem
            #expect(problem?.code == code && problem?.status == 400)
        }
    }
}
