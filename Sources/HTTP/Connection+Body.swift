import CMicroHTTPD
import Glibc
import Synchronization

/// From the body's bytes to the handler, and back to the client.
extension Connection {
    func receive(_ piece: UnsafeRawBufferPointer) -> MHD_Result {
        loop.counters.bodyBytesReceived.add(UInt64(piece.count))
        switch stage {
        case .body:
            // Only a chunked body can fail the first test: a declared length was checked before.
            guard (spool?.count ?? body.count) + piece.count <= bodyMax else {
                return sendRawAndLinger(problem(Refusal(.bodyTooLarge)))
            }
            if let spool { return append(piece, to: spool) }
            guard reserve(body.count + piece.count) else {
                return sendRawAndLinger(problem(Refusal(.resourcesExhausted)))
            }
            body.append(piece)
            return .YES
        case .discarding:
            dropBudget -= piece.count
            guard dropBudget < 0, let response = outgoing else { return .YES }
            return sendRawAndLinger(response)
        default:
            dropBudget -= piece.count
            return dropBudget < 0 ? .NO : .YES
        }
    }

    private func append(_ piece: UnsafeRawBufferPointer, to spool: BodyFile) -> MHD_Result {
        do throws(BodyFileError) {
            try spool.append(piece)
            return .YES
        } catch {
            return sendRawAndLinger(problem(Refusal(.resourcesExhausted)))
        }
    }

    /// Gives back the body's memory, and its share of the bound on large bodies.
    func releaseBody() {
        body.reset()
        spool = nil
        guard bodyBytesCounted > 0 else { return }
        loop.state.bodyBytes.wrappingSubtract(bodyBytesCounted, ordering: .relaxed)
        bodyBytesCounted = 0
    }

    /// Counts a large body against the bound on all of them; small ones are bounded by the number of connections.
    private func reserve(_ count: Int) -> Bool {
        guard count > loop.limits.bodyBufferRetainedBytes else { return true }
        let more = count - bodyBytesCounted
        let total = loop.state.bodyBytes.wrappingAdd(more, ordering: .relaxed).newValue
        bodyBytesCounted = count
        if total <= loop.limits.bodyBytesTotalMax { return true }
        releaseBody()
        return false
    }

    func bodyComplete(_ library: OpaquePointer) -> MHD_Result {
        switch stage {
        case .body: return handle(library)
        case .discarding:
            guard let response = outgoing else { return .NO }
            return send(response, library)
        default: return .NO
        }
    }

    private func handle(_ library: OpaquePointer) -> MHD_Result {
        request.wireBodyBytes = spool?.count ?? body.count
        request.body = body.bytes
        request.bodyFile = spool
        if policy.inflates, body.count > 0, contentCoding == .gzip, let refusal = inflate() {
            return send(problem(refusal), library)
        }
        stage = .handling
        request.deadlineNanoseconds = head.receivedNanoseconds &+ loop.limits.responseTimeout
        openClaim()
        if inflated.isEmpty {
            call()
        } else {
            inflated.withUnsafeBytes {
                request.body = $0
                call()
            }
        }
        if answeredInline {
            guard let response = outgoing else { return .NO }
            return send(response, library)
        }
        // Another thread may have answered already: its answer waits in the inbox, which this thread empties later.
        loop.suspend(self)
        MHD_suspend_connection(library)
        return .YES
    }

    private func call() {
        loop.current = self
        callHandler(responder)
        loop.current = nil
    }

    private func inflate() -> Refusal? {
        let limits = InflateLimits(
            bytesMax: bodyMax, ratioMax: loop.limits.inflateRatioMax, freeBytes: loop.limits.inflateFreeBytes)
        do {
            inflated = try Gzip.inflate(body.bytes, limits: limits)
            guard reserve(body.count + inflated.count) else { return Refusal(.resourcesExhausted) }
            if inflated.isEmpty { request.body = UnsafeRawBufferPointer(start: nil, count: 0) }
            return nil
        } catch {
            return Refusal(error.refusal)
        }
    }

    /// A suspended exchange's deadline has passed. Answers it unless somebody just did.
    /// - Returns: whether the connection is to be resumed with `outgoing`.
    func expire() -> Bool {
        let responder = self.responder
        loop.counters.deadlinesExceeded.add()
        guard responder.isWaiting else { return false }
        loop.current = self
        if inflated.isEmpty {
            callDeadlineReached(responder)
        } else {
            inflated.withUnsafeBytes {
                request.body = $0
                callDeadlineReached(responder)
            }
        }
        loop.current = nil
        if answeredInline { return true }
        guard claim(responder.serial) else { return false }
        outgoing = problem(Refusal(.deadlineExceeded))
        return true
    }

    /// Answers a suspended exchange because the server stops; false when somebody else is just answering it.
    func abandon() -> Bool {
        guard claim(responder.serial) else { return false }
        outgoing = problem(Refusal(.shuttingDown))
        return true
    }

    // MARK: Answers

    /// Renders and counts a refusal.
    func problem(_ refusal: Refusal) -> Response {
        loop.counters.refuse(refusal.code)
        return renderProblem(refusal)
    }

    /// Answers before the body. A small body is dropped first and the connection lives on. The library would close
    /// it, with
    /// a reset that may overtake the answer, if the answer were queued now.
    func refuse(_ response: Response, _ library: OpaquePointer) -> MHD_Result {
        let drainMax = loop.limits.refusedBodyDrainBytesMax
        let waitsForContinue = head.knownBytes(.expect) != nil && framing != .none
        if waitsForContinue {
            closesAfter = true
            return sendAtOnce(response, library)
        }
        if case .length(let length) = framing, length > drainMax { return sendRawAndLinger(response) }
        outgoing = response
        dropBudget = drainMax
        stage = .discarding
        stageDeadline = head.receivedNanoseconds &+ loop.limits.bodyTimeout
        return .YES
    }

    /// Answers in the first call of the access handler: the library then closes the connection and reads nothing
    /// more of it.
    func sendAtOnce(_ response: Response, _ library: OpaquePointer) -> MHD_Result {
        send(response, library)
    }

    /// The library takes no answer in the middle of a body, so it goes straight to the socket; nothing else is being
    /// written at that time. Then our side is shut and the rest is dropped for a while.
    func sendRawAndLinger(_ response: Response) -> MHD_Result {
        releaseBody()
        sendRaw(response)
        shutdown(descriptor, Int32(SHUT_WR))
        outgoing = nil
        stage = .lingering
        dropBudget = loop.limits.lingerBytesMax
        stageDeadline = MonotonicClock.nanoseconds() &+ loop.limits.lingerTimeout
        return .YES
    }

    func sendRaw(_ response: Response) {
        let source = response.prebuilt?.source ?? response
        let bytes = source.rawBytes()
        loop.counters.responses.add()
        noteAnswered(status: source.status, bytes: source.body.count)
        bytes.withUnsafeBytes {
            _ = Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    /// What is said in place of the library's page when it cannot read a request, or has no memory for it; nil where there
    /// is no word for that. It closes the connection behind it.
    func libraryRefuses(_ status: UInt32) -> OpaquePointer? {
        guard let code = RefusalCode(ofLibrary: status) else { return nil }
        let response = problem(Refusal(code))
        head.receivedNanoseconds = MonotonicClock.nanoseconds()
        stage = .answering
        stageDeadline = loop.now &+ loop.limits.writeTimeout
        loop.counters.responses.add()
        loop.counters.bodyBytesSent.add(UInt64(response.bodyCount))
        noteAnswered(status: response.status, bytes: response.bodyCount)
        return response.makeLibraryResponse(closes: true)
    }

    func send(_ response: Response, _ library: OpaquePointer) -> MHD_Result {
        let closes = closesAfter || loop.isDraining
        outgoing = nil
        stage = .answering
        stageDeadline = loop.now &+ loop.limits.writeTimeout &+ loop.limits.fileTime(response.file?.count ?? 0)
        sending = response.file
        loop.counters.responses.add()
        if let prebuilt = response.prebuilt {
            loop.counters.bodyBytesSent.add(UInt64(prebuilt.source.body.count))
            noteAnswered(status: prebuilt.status, bytes: prebuilt.source.body.count)
            return cmhd_queue_response(
                library, UInt32(prebuilt.status), closes ? prebuilt.closing : prebuilt.keepingAlive)
        }
        loop.counters.bodyBytesSent.add(UInt64(response.bodyCount))
        var status = response.status
        var made = response.makeLibraryResponse(closes: closes)
        if made == nil {
            let substitute = Refusal(.responseInvalid)
            loop.counters.refuse(substitute.code)
            status = substitute.code.status
            made = substitute.problem.makeLibraryResponse(closes: closes)
        }
        guard let made else { return .NO }
        noteAnswered(status: status, bytes: response.bodyCount)
        defer { MHD_destroy_response(made) }
        return cmhd_queue_response(library, UInt32(status), made)
    }
}

/// A body as it grows: one block of memory, kept for the next request while it is small.
struct BodyBuffer: ~Copyable {
    private var start: UnsafeMutableRawPointer?
    private var capacity = 0
    private(set) var count = 0
    private var expected = 0
    private let retainedMax: Int

    /// First block; a declared length is believed only as far as bytes arrive.
    private static let capacityMin = 4096

    init(retainedMax: Int) { self.retainedMax = retainedMax }

    deinit { free(start) }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    mutating func expect(_ length: Int) { expected = length }

    mutating func append(_ piece: UnsafeRawBufferPointer) {
        let needed = count + piece.count
        if needed > capacity {
            var target = max(needed, 2 * capacity, Self.capacityMin)
            if expected >= needed { target = min(target, max(expected, Self.capacityMin)) }
            guard let grown = realloc(start, target) else { fatalError("out of memory for a request body") }
            start = grown
            capacity = target
        }
        if let start, let source = piece.baseAddress { memcpy(start + count, source, piece.count) }
        count = needed
    }

    mutating func reset() {
        count = 0
        expected = 0
        guard capacity > retainedMax else { return }
        free(start)
        start = nil
        capacity = 0
    }
}
