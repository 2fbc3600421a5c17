import Testing

@testable import Service

@Suite struct CSVReaderTests {
    /// Every record as its fields, nil for null; the text is fed in pieces of `step` bytes.
    private func read(_ text: String, step: Int = .max) throws -> [[String?]] {
        var reader = CSVReader()
        var records: [[String?]] = []
        let take = { (record: CSVRecord) in
            records.append((0..<record.count).map { record.isNull($0) ? nil : record.text($0) })
        }
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = start + min(step, bytes.count - start)
            try bytes[start..<end].withUnsafeBytes { try reader.append($0, take) }
            start = end
        }
        try reader.finish(take)
        return records
    }

    @Test(
        arguments: [
            ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
            ("a,b\r\n1,2", [["a", "b"], ["1", "2"]]),
            ("a,b\r1,2\r", [["a", "b"], ["1", "2"]]),
            ("\u{FEFF}a,b\n", [["a", "b"]]),
            ("\u{FEFF}\"a\",b\n", [["a", "b"]]),
            ("\"x,y\",\"say \"\"no\"\"\"\n", [["x,y", "say \"no\""]]),
            ("\"two\nlines\",\"\r\n\"\n3,4\n", [["two\nlines", "\r\n"], ["3", "4"]]),
            (",\"\",\n", [[nil, "", nil]]),
            ("\n\r\n1\n\n", [["1"]]),
            ("\"\"\n", [[""]]),
            ("\u{FF21},ü\n", [["\u{FF21}", "ü"]]),
            ("", []),
        ] as [(String, [[String?]])])
    func records(_ text: String, _ expected: [[String?]]) throws {
        for step in [1, 2, 3, 1_000] { #expect(try read(text, step: step) == expected) }
    }

    @Test(arguments: [
        ("a\n1,b\"c\n", CSVError(code: "quote_in_field", line: 2)),
        ("a\n\n\"x\"y\n", CSVError(code: "text_after_quote", line: 3)),
        ("a\n\"x\ny\n", CSVError(code: "unterminated_quote", line: 2)),
        (String(repeating: ",", count: 300), CSVError(code: "too_many_columns", line: 1)),
        ("a\n" + String(repeating: "x", count: 70_000), CSVError(code: "row_too_long", line: 2)),
    ]) func errors(_ text: String, _ expected: CSVError) {
        #expect(throws: expected) { try read(text) }
        #expect(throws: expected) { try read(text, step: 7) }
    }

    /// Whatever is written reads back as it was.
    @Test func writtenTextsReadBack() throws {
        let texts = ["", "plain", "a,b", "\"", "\"\"", "\n", "\r", "\r\n", " ", "ü", "null", "1.50"]
        var bytes: [UInt8] = []
        for (index, text) in texts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            CSVText.append(text.utf8, to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
        #expect(try read(String(decoding: bytes, as: UTF8.self)) == [texts])
    }

    @Test(arguments: [
        ("null", ""), ("1.50", "1.50"), ("\"a\"", "a"), ("\"\"", "\"\""), (#""a\"b""#, "\"a\"\"b\""), ("true", "true"),
        (#"[{"value":"a","count":2}]"#, #""[{""value"":""a"",""count"":2}]""#),
    ]) func jsonValues(_ json: String, _ expected: String) {
        var bytes: [UInt8] = []
        CSVText.append(json: Array(json.utf8), to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }
}
