import JSON
import Testing

/// The real event file: exactly the lines that are labelled as malformed JSON are refused.
struct RetailEventsTests {
    @Test func everyLine() throws {
        guard let events = try SharedData.gunzip("data/events/events.ndjson.gz"),
            let labels = try SharedData.gunzip("data/events/labels.csv.gz")
        else { return }
        var lines = events.split(separator: 10, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        let rows = labels.split(separator: 10).dropFirst().map {
            $0.split(separator: 44, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(lines.count == rows.count && lines.count == 51_808)
        let parser = JSONParser()
        var refused = 0
        for (line, row) in zip(lines, rows) {
            var code: JSONError.Code?
            var isObject = false
            line.withUnsafeBytes { bytes in
                do throws(JSONError) { isObject = try parser.parse(bytes).kind == .object } catch { code = error.code }
            }
            let expected = row[3] == "json"
            if expected { refused += 1 }
            // An array is fine JSON; that an event must be an object is the next layer's rule.
            let isRefused = code != nil || !isObject
            if isRefused != expected { Issue.record("line \(row[0]) \(row[1]): \(String(describing: code))") }
            if row[1] == "blank_line" { #expect(code == .empty) }
            if row[1] == "malformed_invalid_utf8" { #expect(code == .invalidUTF8) }
            if row[1] == "malformed_control_char" { #expect(code == .controlCharacter) }
            if row[1] == "malformed_two_objects" { #expect(code == .trailingContent) }
            if row[1] == "malformed_not_object" { #expect(code == nil) }
        }
        #expect(refused == 130)
    }
}
