import JSON
import Testing

@testable import Service

@Suite struct EntityRowsTests {
    private let t0: Int64 = 1_294_758_121_300_000
    private let time = "2011-01-11T15:02:01.300Z"

    private func read(_ text: String, _ format: RowFormat, keys: [String] = ["customer"]) throws -> (
        rows: [EntityRow], columns: [String]
    ) {
        var reader = EntityRowReader(keyNames: keys, format: format, latestMicros: t0 + 1)
        var rows: [EntityRow] = []
        let take = { (row: EntityRow) throws(Problem) -> Void in rows.append(row) }
        for byte in text.utf8 { try withUnsafeBytes(of: byte) { try reader.append($0, take) } }
        try reader.finish(take)
        return (rows, reader.carried.map { "\($0.name):\($0.type)" })
    }

    private func problems(_ text: String, _ format: RowFormat) -> [String] {
        do {
            _ = try read(text, format)
            return []
        } catch {
            return (error as? Problem)?.errors.map { "\($0.pointer) \($0.code)" } ?? ["\(error)"]
        }
    }

    @Test func columnsStandInAnyOrderAndOthersAreCarried() throws {
        let read = try read("label,as_of,note,customer\n1,\(time),,c 1\n\"\",\(time),\"x,y\",c2\n", .csv)
        #expect(read.columns == ["label:string", "note:string"])
        #expect(
            read.rows == [
                EntityRow(
                    line: 2, parts: ["c 1"], asOfText: time, asOfMicros: t0, carried: [.text("1"), .null]),
                EntityRow(
                    line: 3, parts: ["c2"], asOfText: time, asOfMicros: t0, carried: [.text(""), .text("x,y")]),
            ])
    }

    @Test func jsonLinesKeepTheirTypes() throws {
        let read = try read(
            """
            {"customer":"c1","as_of":"\(time)","n":null,"ok":true,"s":"ü"}\r

            {"s":null,"n":1.50,"as_of":"\(time)","customer":42}
            """, .ndjson)
        #expect(read.columns == ["n:number", "ok:boolean", "s:string"])
        #expect(read.rows.map(\.parts) == [["c1"], ["42"]] && read.rows.map(\.line) == [1, 3])
        #expect(read.rows[0].carried == [.null, .raw(Array("true".utf8)), .text("ü")])
        #expect(read.rows[1].carried == [.raw(Array("1.5".utf8)), .null, .null])
    }

    @Test func keysOfSeveralPartsStandInColumnsOfTheirOwn() throws {
        let read = try read("b,as_of,a\nB,\(time),A\n", .csv, keys: ["a", "b"])
        #expect(read.rows.map(\.parts) == [["A", "B"]] && read.columns == [])
    }

    @Test func wrongRowsAreNamedByLineAndTheOthersStillRead() {
        let csv = "customer,as_of\n1,yesterday\n,\(time)\n1\n1,\(time)\n1,2011-01-11T15:02:01.300002Z\n"
        #expect(
            problems(csv, .csv) == [
                "/lines/2/as_of invalid_time", "/lines/3/customer invalid_key", "/lines/4 wrong_column_count",
                "/lines/6/as_of in_the_future",
            ])
        let json = """
            {"customer":"1","as_of":"\(time)","n":1}
            {"customer":"1","as_of":"\(time)","n":"1"}
            [1]
            {"customer":"1","as_of":"\(time)","m":1}
            {"customer":{},"as_of":"\(time)"}
            {"customer":"1","as_of":5}
            {"customer":"1","as_of":"\(time)","n":[]}
            """
        #expect(
            problems(json, .ndjson) == [
                "/lines/2/n mixed_types", "/lines/3 malformed_json", "/lines/4/m unknown_column",
                "/lines/5/customer invalid_key", "/lines/6/as_of invalid_time", "/lines/7/n mixed_types",
            ])
    }

    @Test func theFirstLineMustHaveTheColumns() {
        #expect(
            problems("a,a,\n", .csv) == [
                "/lines/1/a duplicate_column", "/lines/1 empty_name", "/lines/1/customer missing_column",
                "/lines/1/as_of missing_column",
            ])
        #expect(problems("{}\n", .ndjson) == ["/lines/1/customer missing_column", "/lines/1/as_of missing_column"])
        #expect(problems("", .csv) == [" no_rows"] && problems("\n\n", .ndjson) == [" no_rows"])
        #expect(problems("customer,as_of\n", .csv) == [" no_rows"])
    }

    @Test func atTheLimitOfProblemsNothingMoreIsRead() {
        let wrong = String(repeating: "1,soon\n", count: 500)
        #expect(problems("customer,as_of\n" + wrong, .csv).count == ServiceLimits.jobErrorsMax)
    }
}
