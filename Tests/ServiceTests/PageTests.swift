import JSON
import Testing

@testable import HTTP
@testable import Service

@Suite struct PageTests {
    static func page(_ target: String) throws -> Page {
        let head = RequestHead(fieldCapacity: 1)
        Array(target.utf8).withUnsafeBufferPointer { head.target.setRaw($0) }
        let refusal = head.target.parse(pathSegmentsMax: 16)
        #expect(refusal == nil)
        return try Page(head, allowing: ["code"])
    }

    @Test(arguments: [
        ("/v1/x", 100, nil), ("/v1/x?limit=1", 1, nil), ("/v1/x?limit=1000&cursor=0", 1_000, 0),
        ("/v1/x?cursor=9223372036854775807", 100, Int64.max), ("/v1/x?code=a&limit=7", 7, nil), ("/v1/x?", 100, nil),
    ]) func reads(_ target: String, _ limit: Int, _ cursor: Int64?) throws {
        let page = try Self.page(target)
        #expect(page.limit == limit && page.cursor == cursor)
    }

    @Test(arguments: [
        ("/v1/x?limit=0", ["/query/limit out_of_range"]), ("/v1/x?limit=1001", ["/query/limit out_of_range"]),
        ("/v1/x?limit=-1", ["/query/limit out_of_range"]), ("/v1/x?limit=ten", ["/query/limit out_of_range"]),
        ("/v1/x?limit=", ["/query/limit out_of_range"]), ("/v1/x?limit=1.5", ["/query/limit out_of_range"]),
        ("/v1/x?cursor=-1", ["/query/cursor invalid_cursor"]), ("/v1/x?cursor=%2B1", ["/query/cursor invalid_cursor"]),
        ("/v1/x?cursor=abc", ["/query/cursor invalid_cursor"]), ("/v1/x?cursor=", ["/query/cursor invalid_cursor"]),
        ("/v1/x?cursor=9223372036854775808", ["/query/cursor invalid_cursor"]),
        ("/v1/x?page=2", ["/query/page unknown_parameter"]),
        ("/v1/x?page=2&limit=0", ["/query/limit out_of_range", "/query/page unknown_parameter"]),
    ]) func refuses(_ target: String, _ told: [String]) {
        do {
            _ = try Self.page(target)
            Issue.record("taken")
        } catch {
            let problem = error as? Problem
            #expect(problem?.status == 422)
            #expect((problem?.errors ?? []).map { "\($0.pointer) \($0.code)" }.sorted() == told)
        }
    }
}
