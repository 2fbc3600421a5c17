import JSON
import Testing

@testable import HTTP
@testable import Service

@Suite struct ProblemTests {
    static func tree(_ problem: Problem) throws -> JSONTree { try JSONTree(parsing: problem.response.body) }

    @Test func shape() throws {
        let problem = Problem(
            422, "invalid_request", "Say \"what\".",
            errors: [DocumentProblem(pointer: "/a~1b", code: "type_mismatch", message: "text is expected here")])
        #expect(
            String(decoding: problem.response.body, as: UTF8.self) == """
                {"type":"about:blank","title":"Unprocessable Content","status":422,"code":"invalid_request",\
                "detail":"Say \\"what\\".","errors":[{"code":"type_mismatch","pointer":"/a~1b",\
                "detail":"text is expected here"}]}
                """)
        #expect(problem.response.status == 422)
        #expect("\(problem.response.contentType?.text ?? "")" == "application/problem+json")
        #expect(problem.response.headers.isEmpty)
        #expect(try Self.tree(Problem(404, "unknown_decision", "x"))["errors"] == nil)
    }

    @Test func headers() {
        #expect(
            Problem(503, "queue_full", "x", retryAfter: 7).response.headers == [ResponseHeader("Retry-After", "7")])
        #expect(Problem(401, "unauthenticated", "x").response.headers.map(\.name) == ["WWW-Authenticate"])
    }

    @Test(arguments: [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 503])
    func everyStatusHasItsTitle(_ status: Int) throws {
        let tree = try Self.tree(Problem(status, "x", "y"))
        #expect(tree["status"]?.int64 == Int64(status))
        #expect(tree["title"]?.string != "Error")
    }

    @Test(arguments: ["queue_full", "disk_full", "journal_full", "failed", "other"])
    func journalProblemsSayWhenToRetry(_ reason: String) {
        let problem = Problem.journal(reason)
        #expect(problem.status == 503 && problem.code == reason && (problem.retryAfterSeconds ?? 0) > 0)
    }

    /// A refusal never repeats what was sent.
    @Test func malformedJSONTellsThePlaceOnly() throws {
        do {
            _ = try JSONTree(parsing: #"{"iban":"DE89 3704 0044", x}"#)
            Issue.record("taken")
        } catch {
            let problem = Problem.malformed(error)
            #expect(problem.status == 400 && problem.code == "malformed_json")
            let text = String(decoding: problem.response.body, as: UTF8.self)
            #expect(!text.contains("DE89") && text.contains("at byte"))
        }
    }
}
