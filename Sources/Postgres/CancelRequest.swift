import CLibPQ
import Glibc
import Synchronization

/// One request to cancel the running statement of a connection.
///
/// libpq 15 sends it over a second, blocking connection without a time limit, which a frozen server never answers; so it
/// runs on a short-lived thread of its own, and the caller waits for the statement's answer, not for this thread. A
/// connection has at most one such thread at a time.
final class CancelRequest: Sendable {
    private let cancel: UInt
    private let isFinished = Atomic<Bool>(false)

    /// Whether the thread has ended.
    var hasFinished: Bool { isFinished.load(ordering: .acquiring) }

    /// Starts the request; nil when it cannot be started, in which case the caller closes the connection instead.
    static func start(for connection: OpaquePointer) -> CancelRequest? {
        guard let cancel = PQgetCancel(connection) else { return nil }
        let request = CancelRequest(UInt(bitPattern: cancel))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, PostgresLimits.cancelStackBytes)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(request)
        let status = pthread_create(
            &thread,
            &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CancelRequest>.fromOpaque(argument).takeRetainedValue().send()
                return nil
            },
            context.toOpaque()
        )
        if status == 0 { return request }
        context.release()
        return nil
    }

    private init(_ cancel: UInt) {
        self.cancel = cancel
    }

    deinit {
        PQfreeCancel(OpaquePointer(bitPattern: cancel))
    }

    // The result is not needed: success only says that the request was delivered.
    private func send() {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
            _ = PQcancel(OpaquePointer(bitPattern: cancel), message.baseAddress, 256)
        }
        isFinished.store(true, ordering: .releasing)
    }
}
