import HTTP

/// Reads an uploaded file from its start, piece by piece, inflated where it is gzip.
struct UploadReader: Sendable {
    let file: BodyFile
    let isGzip: Bool
    /// Inflated bytes that are taken.
    let bytesMax: Int

    /// Hands on every piece; `body` says whether it wants more.
    ///
    /// - Throws: 400 when it is not gzip or cut short, 413 past the limit, 503 when the file cannot be read; whatever
    ///   `body` throws.
    func read(_ body: (UnsafeRawBufferPointer) throws(Problem) -> Bool) throws(Problem) {
        do {
            try pieces(body)
        } catch let problem as Problem {
            throw problem
        } catch let error as InflateError {
            throw Problem(error == .outOfMemory ? 503 : 400, error.code, "The gzip body cannot be taken.")
        } catch {
            throw Problem(503, "upload_unreadable", "The upload cannot be read back. Send it again.", retryAfter: 5)
        }
    }

    private func pieces(_ body: (UnsafeRawBufferPointer) throws(Problem) -> Bool) throws {
        var buffer = [UInt8](repeating: 0, count: ServiceLimits.trainingPieceBytes)
        var inflater = try InflateStream()
        var (offset, total, wantsMore) = (0, 0, true)
        while wantsMore {
            let got = try buffer.withUnsafeMutableBytes { try file.read($0, at: offset) }
            guard got > 0 else { break }
            offset += got
            try buffer[..<got].withUnsafeBytes { piece in
                guard isGzip else {
                    wantsMore = try body(piece)
                    return
                }
                try inflater.append(piece) { (plain: UnsafeRawBufferPointer) throws in
                    total += plain.count
                    if total > bytesMax { throw InflateError.tooLarge }
                    if wantsMore { wantsMore = try body(plain) }
                }
            }
        }
        if isGzip, wantsMore, !inflater.isComplete { throw InflateError.corrupt }
    }
}
