/// One part of a `multipart/form-data` body (RFC 7578).
struct MultipartPart {
    /// The part's `name`.
    let name: String
    /// Where its bytes lie in the body.
    let range: Range<Int>
}

/// Why a body is not multipart.
struct MultipartProblem: Error, Equatable {
    let message: String
}

/// Splits `multipart/form-data` bodies without copying them.
enum MultipartReader {
    /// Parts of one body.
    static let partsMax = 32
    /// Bytes of one part's head.
    static let headBytesMax = 4_096
    /// Longest boundary [RFC 2046, 5.1.1].
    static let boundaryBytesMax = 70

    /// The `boundary` of a Content-Type; nil when it has none.
    static func boundary(of contentType: String) -> String? {
        parameter("boundary", in: contentType).flatMap { text in
            text.isEmpty || text.utf8.count > boundaryBytesMax ? nil : text
        }
    }

    /// A parameter of a header's value, with its quotation marks off.
    private static func parameter(_ name: String, in value: String) -> String? {
        for piece in value.split(separator: ";").dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0].trimmingBlanks.lowercased() == name else { continue }
            let text = pair[1].trimmingBlanks
            return text.count >= 2 && text.hasPrefix("\"") && text.hasSuffix("\"")
                ? String(text.dropFirst().dropLast()) : text
        }
        return nil
    }

    /// The parts of a body, in order.
    static func parts(_ body: [UInt8], boundary: String) throws(MultipartProblem) -> [MultipartPart] {
        let delimiter = Array("--\(boundary)".utf8)
        guard body.starts(with: delimiter) else {
            throw MultipartProblem(message: "the body does not begin with its boundary")
        }
        let separator = [0x0D, 0x0A] + delimiter
        var parts: [MultipartPart] = []
        var position = delimiter.count
        while true {
            if body[position...].starts(with: "--".utf8) { return parts }
            guard body[position...].starts(with: "\r\n".utf8) else {
                throw MultipartProblem(message: "a boundary is not followed by a line's end")
            }
            guard parts.count < partsMax else { throw MultipartProblem(message: "more than \(partsMax) parts") }
            let head = position + 2
            let headEnd = try end(of: head, in: body)
            guard let next = find(separator, in: body, from: headEnd - 2) else {
                throw MultipartProblem(message: "the last boundary is missing")
            }
            let start = min(headEnd, next)
            parts.append(MultipartPart(name: try name(body[head..<headEnd]), range: start..<next))
            position = next + separator.count
        }
    }

    /// The position after a part's head, whose last line is empty.
    private static func end(of head: Int, in body: [UInt8]) throws(MultipartProblem) -> Int {
        let limit = min(body.count, head + headBytesMax)
        var index = head
        while index + 4 <= limit {
            if body[index..<(index + 4)].elementsEqual([0x0D, 0x0A, 0x0D, 0x0A]) { return index + 4 }
            index += 1
        }
        throw MultipartProblem(message: "the head of a part does not end within \(headBytesMax) bytes")
    }

    private static func name(_ head: ArraySlice<UInt8>) throws(MultipartProblem) -> String {
        guard let text = String(validating: head, as: UTF8.self) else {
            throw MultipartProblem(message: "the head of a part is not UTF-8")
        }
        for line in text.split(whereSeparator: \.isNewline) {
            let pair = line.split(separator: ":", maxSplits: 1)
            guard pair.count == 2, pair[0].trimmingBlanks.lowercased() == "content-disposition" else { continue }
            if let name = parameter("name", in: String(pair[1])) { return name }
        }
        throw MultipartProblem(message: "a part has no name")
    }

    private static func find(_ pattern: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        body.withUnsafeBufferPointer { body in
            var index = start
            while index + pattern.count <= body.count {
                // The first byte is rare enough to look at alone.
                if body[index] == pattern[0],
                    pattern.indices.allSatisfy({ body[index + $0] == pattern[$0] })
                {
                    return index
                }
                index += 1
            }
            return nil
        }
    }
}

extension StringProtocol {
    /// The text without blanks and tabs around it.
    fileprivate var trimmingBlanks: String {
        var text = Substring(self)
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
