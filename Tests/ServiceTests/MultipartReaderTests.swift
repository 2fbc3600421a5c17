import Testing

@testable import Service

@Suite struct MultipartReaderTests {
    static let form =
        "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--x\r\ncontent-disposition: form-data; name=b; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n\r\n--y\r\n\r\n--x--\r\n"

    private static func read(_ text: String, boundary: String = "x") throws(MultipartProblem) -> [String] {
        let bytes = Array(text.utf8)
        return try MultipartReader.parts(bytes, boundary: boundary).map {
            "\($0.name)=" + String(decoding: bytes[$0.range], as: UTF8.self)
        }
    }

    @Test func splits() throws {
        // A line that begins as a boundary but is none belongs to the part.
        #expect(try Self.read(Self.form) == ["a=one", "b=\r\n--y\r\n"])
        #expect(try Self.read("--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--x--") == ["a="])
        #expect(try Self.read("--x--") == [])
    }

    static let refused: [(String, String)] = [
        ("", "the body does not begin with its boundary"),
        ("one", "the body does not begin with its boundary"),
        ("--x", "a boundary is not followed by a line's end"),
        ("--xy\r\n", "a boundary is not followed by a line's end"),
        ("--x\r\n", "the head of a part does not end within 4096 bytes"),
        ("--x\r\nA: b\r\n\r\none\r\n--x--", "a part has no name"),
        ("--x\r\nContent-Disposition: form-data; name=a\r\n\r\none", "the last boundary is missing"),
        (
            String(repeating: "--x\r\nContent-Disposition: form-data; name=a\r\n\r\none\r\n", count: 33) + "--x--",
            "more than 32 parts"
        ),
    ]

    @Test(arguments: refused) func refuses(_ text: String, _ message: String) {
        #expect(throws: MultipartProblem(message: message)) { try Self.read(text) }
    }

    /// Whatever is cut off or changed: an answer, or an error, never a trap.
    @Test func brokenFormsNeverTrap() {
        var random = SeededGenerator(31)
        let whole = Array(Self.form.utf8)
        for length in 0..<whole.count { _ = try? MultipartReader.parts(Array(whole[..<length]), boundary: "x") }
        for _ in 0..<5_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? MultipartReader.parts(bytes, boundary: "x")
        }
    }

    @Test func boundaries() {
        #expect(MultipartReader.boundary(of: "multipart/form-data; boundary=abc") == "abc")
        #expect(MultipartReader.boundary(of: "multipart/form-data; charset=utf-8; Boundary=\"a b\"") == "a b")
        #expect(MultipartReader.boundary(of: "multipart/form-data") == nil)
        #expect(MultipartReader.boundary(of: "multipart/form-data; boundary=") == nil)
        #expect(
            MultipartReader.boundary(of: "multipart/form-data; boundary=" + String(repeating: "x", count: 71)) == nil)
    }
}
