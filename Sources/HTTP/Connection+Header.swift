import CMicroHTTPD
import Glibc

/// From a complete header to a decision about the body.
extension Connection {
    func headerComplete(
        _ library: OpaquePointer, method: UnsafePointer<CChar>, version: UnsafePointer<CChar>
    ) -> MHD_Result {
        loop.counters.requests.add()
        head.receivedNanoseconds = MonotonicClock.nanoseconds()
        closesAfter = false
        let methodBytes = Self.bytes(method)
        if let code = readHeader(library, methodBytes, version) {
            closesAfter = true
            return sendAtOnce(problem(Refusal(code)), library)
        }
        closesAfter = head.isHTTP10 || (framing == .chunked && !loop.limits.keepsAliveAfterChunked)
        if case .refused(let code) = admission {
            closesAfter = true
            return sendAtOnce(problem(Refusal(code)), library)
        }
        if let expectation = head.knownBytes(.expect),
            !bytesEqualIgnoringCase(expectation.bindMemory(to: UInt8.self), "100-continue")
        {
            closesAfter = true
            return sendAtOnce(problem(Refusal(.expectationUnsupported)), library)
        }
        switch MethodToken(methodBytes) {
        case .routed(let method):
            head.method = method
            head.isHead = false
        case .head:
            head.method = .get
            head.isHead = true
        case .options: return answerOptions(library)
        case .unknown: return refuse(problem(Refusal(.methodUnknown)), library)
        }
        switch decide() {
        case .refuse(let response): return refuse(response, library)
        case .refuseWithCode(let refusal): return refuse(problem(refusal), library)
        case .accept(let policy): return awaitBody(policy, library)
        }
    }

    static func bytes(_ text: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
        let count = strlen(text)
        return UnsafeBufferPointer(
            start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
    }

    /// Fills `head` and `framing`; a code when the request must be refused and its connection closed.
    private func readHeader(
        _ library: OpaquePointer, _ method: UnsafeBufferPointer<UInt8>, _ version: UnsafePointer<CChar>
    ) -> RefusalCode? {
        let limits = loop.limits
        guard head.target.raw.count <= limits.targetBytesMax else { return .targetTooLong }
        let byteCount = cmhd_header_byte_count(library)
        guard byteCount <= limits.headerBytesMax else { return .headerTooLarge }
        guard collectFields(library, from: UnsafeRawPointer(method.baseAddress)) else { return .headerTooManyFields }
        let versionBytes = Self.bytes(version)
        let verdict = head.target.raw.withUnsafeBufferPointer { target in
            FramingGuard.check(
                FramedHeader(
                    method: method, target: target, version: versionBytes,
                    versionOffset: Self.distance(UnsafeRawPointer(method.baseAddress), versionBytes.baseAddress),
                    byteCount: byteCount),
                fields: head.fields, fieldCount: head.fieldCount)
        }
        switch verdict {
        case .refuse(let code): return code
        case .accept(let accepted): framing = accepted
        }
        head.isHTTP10 = bytesEqual(versionBytes, "HTTP/1.0")
        switch framing {
        case .none: head.declaredBodyBytes = 0
        case .length(let length): head.declaredBodyBytes = length
        case .chunked: head.declaredBodyBytes = nil
        }
        head.indexKnownFields()
        return head.target.parse(pathSegmentsMax: limits.pathSegmentsMax)
    }

    /// Where the library's strings stand in its buffer, relative to the method, is what the guard checks.
    private static func distance(_ start: UnsafeRawPointer?, _ place: UnsafePointer<UInt8>?) -> Int {
        guard let start, let place else { return -1 }
        return Int(bitPattern: place) &- Int(bitPattern: start)
    }

    private func collectFields(_ library: OpaquePointer, from start: UnsafeRawPointer?) -> Bool {
        let capacity = head.fieldCapacity
        return withUnsafeTemporaryAllocation(of: cmhd_field.self, capacity: capacity) { found in
            let count = cmhd_header_fields(library, found.baseAddress, capacity)
            guard count <= capacity else { return false }
            for index in 0..<count {
                let field = found[index]
                let gap = Self.distance(UnsafeRawPointer(field.name), field.value) - field.name_length
                // Between name and value of one line: inside the library's buffer.
                let separator = gap == 2 ? field.name[field.name_length + 1] : 0
                head.fields[index] = FramedField(
                    name: UnsafeBufferPointer(start: field.name, count: field.name_length),
                    nameOffset: Self.distance(start, field.name), separator: separator,
                    value: UnsafeBufferPointer(start: field.value, count: field.value_length),
                    valueOffset: Self.distance(start, field.value))
            }
            head.fieldCount = count
            return true
        }
    }

    private func answerOptions(_ library: OpaquePointer) -> MHD_Result {
        head.method = .get
        head.isHead = false
        let isServerWide = head.target.raw == [0x2A]
        let every = Method.allCases.reduce(into: MethodSet()) { $0.formUnion(MethodSet($1)) }
        guard let methods = isServerWide ? every : allowedMethods() else {
            return refuse(problem(Refusal(.notFound)), library)
        }
        return refuse(Response(status: 204, headers: [ResponseHeader("Allow", methods.allowValue)]), library)
    }

    private func awaitBody(_ policy: BodyPolicy, _ library: OpaquePointer) -> MHD_Result {
        self.policy = policy
        bodyMax = policy.bytesMax ?? loop.limits.bodyBytesMax
        if case .length(let length) = framing, length > bodyMax {
            return refuse(problem(Refusal(.bodyTooLarge)), library)
        }
        if framing != .none, policy.inflates, contentCoding == .unsupported {
            return refuse(problem(Refusal(.contentEncodingUnsupported)), library)
        }
        if let directory = policy.spoolDirectory {
            do throws(BodyFileError) {
                spool = try BodyFile(temporaryIn: directory)
            } catch {
                return refuse(problem(Refusal(.resourcesExhausted)), library)
            }
        } else if case .length(let length) = framing {
            body.expect(length)
        }
        stage = .body
        stageDeadline = head.receivedNanoseconds &+ (policy.timeoutNanoseconds ?? loop.limits.bodyTimeout)
        return .YES
    }

    enum ContentCoding { case identity, gzip, unsupported }

    /// RFC 9110 section 8.4; one coding at most.
    var contentCoding: ContentCoding {
        guard let value = head.knownBytes(.contentEncoding)?.bindMemory(to: UInt8.self) else { return .identity }
        guard head.count(.contentEncoding) == 1 else { return .unsupported }
        if bytesEqualIgnoringCase(value, "gzip") || bytesEqualIgnoringCase(value, "x-gzip") { return .gzip }
        return bytesEqualIgnoringCase(value, "identity") || value.isEmpty ? .identity : .unsupported
    }
}
