import JSON
import Testing

@testable import Service

@Suite struct ReplayRequestTests {
    static func read(_ text: String) throws -> ReplayRequest {
        try Array(text.utf8).withUnsafeBytes { try ReplayRequest($0) }
    }

    @Test(arguments: ["", "{}", #"{"inputs":{},"features":{}}"#, #"{"inputs":null}"#, #"{"features":{"v":{}}}"#])
    func nothingToChange(_ text: String) throws {
        let request = try Self.read(text)
        #expect(request.inputs.isEmpty && request.features.isEmpty)
    }

    @Test func changes() throws {
        let request = try Self.read(
            #"{"inputs":{"amount":5,"channel":null},"features":{"spend":{"count":1,"total":2.5},"other":{"x":"y"}}}"#)
        #expect(request.inputs.map(\.name) == ["amount", "channel"])
        #expect(request.inputs.map(\.value) == [.integer(5), .null])
        #expect(request.features.map { "\($0.view).\($0.feature)" } == ["spend.count", "spend.total", "other.x"])
        #expect(request.features[2].value == .string("y") && request.nearMissCells == nil)
    }

    @Test func nearMisses() throws {
        #expect(try Self.read(#"{"near_misses":2}"#).nearMissCells == 2)
    }

    @Test(arguments: [
        ("{", "malformed_json", [String]()), ("[]", "invalid_request", [" type_mismatch"]),
        (#"{"input":{}}"#, "invalid_request", ["/input unknown_field"]),
        (#"{"inputs":[]}"#, "invalid_request", ["/inputs type_mismatch"]),
        (#"{"features":{"spend":5}}"#, "invalid_request", ["/features/spend type_mismatch"]),
        (#"{"near_misses":0}"#, "invalid_request", ["/near_misses out_of_range"]),
        (#"{"near_misses":9}"#, "invalid_request", ["/near_misses out_of_range"]),
        (#"{"near_misses":true}"#, "invalid_request", ["/near_misses type_mismatch"]),
        (#"{"features":{"spend":{"a":1},"b":[]}}"#, "invalid_request", ["/features/b type_mismatch"]),
    ]) func refuses(_ text: String, _ code: String, _ told: [String]) {
        do {
            _ = try Self.read(text)
            Issue.record("taken")
        } catch {
            let problem = error as? Problem
            #expect(problem?.code == code)
            if !told.isEmpty { #expect((problem?.errors ?? []).map { "\($0.pointer) \($0.code)" } == told) }
        }
    }

    @Test func setting() throws {
        let tree = try Fixture.tree(#"{"inputs":{"a":1,"b":2},"features":{}}"#)
        #expect(
            tree.setting(["inputs", "b"], .null) == (try Fixture.tree(#"{"inputs":{"a":1,"b":null},"features":{}}"#)))
        #expect(
            tree.setting(["features", "v", "values", "f"], .integer(3))
                == (try Fixture.tree(#"{"inputs":{"a":1,"b":2},"features":{"v":{"values":{"f":3}}}}"#)))
        #expect(tree.setting([], .integer(1)) == .integer(1))
    }
}
