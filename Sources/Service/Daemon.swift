import Glibc
import HTTP
import Synchronization
import Telemetry

/// The running daemon: what `decisiond serve` starts and stops.
public final class Daemon: Sendable {
    private let core: ServiceCore
    private let server: HTTPServer
    private let supervisor: Supervisor
    /// The first key when this start made it; to be printed once.
    public let freshKey: String?

    /// Recovers, wires and binds; nothing is served yet.
    ///
    /// - Throws: `ServiceError` with a stable code and what to do.
    public init(configuration: ServiceConfiguration) throws(ServiceError) {
        let log = LineLog(level: LogLevel(name: configuration.logLevel.rawValue) ?? .info)
        let bootstrap = try BootstrapKey(configuration: configuration)
        freshKey = bootstrap.fresh
        core = try ServiceCore(
            configuration: configuration, bootstrap: bootstrap, log: log, metrics: Metrics())
        var limits = HTTPLimits()
        limits.connectionsMax = configuration.connectionsMax
        limits.headerTimeout = UInt64(configuration.headerTimeoutMilliseconds) * 1_000_000
        limits.bodyTimeout = UInt64(configuration.bodyTimeoutMilliseconds) * 1_000_000
        limits.idleTimeout = UInt64(configuration.idleTimeoutMilliseconds) * 1_000_000
        limits.bodyBytesMax = configuration.bodyBytesMax
        // The library also takes a lone LF in chunk framing, which a proxy may read otherwise: what follows such a body on
        // the connection is not served.
        limits.keepsAliveAfterChunked = false
        guard let address = ListenAddress(configuration.listen) else {
            throw ServiceError("listen", "listen is host:port, unix:/path or systemd")
        }
        let loops = configuration.httpThreads == 0 ? HTTPConfiguration.loopsDefault : configuration.httpThreads
        do throws(HTTPServerError) {
            server = try HTTPServer(
                configuration: HTTPConfiguration(listen: [address], loops: loops, limits: limits),
                handler: ServiceHandler(service: core))
        } catch {
            throw ServiceError("http_\(error.code)", error.description)
        }
        core.httpStatistics.withLock { [server] in $0 = { server.statistics() } }
        supervisor = Supervisor(journal: core.journal, server: server, clock: core.clock)
    }

    /// The addresses bound, such as `127.0.0.1:8080`.
    public var addresses: [String] { server.addresses }

    /// Starts serving and shipping.
    public func start() throws(ServiceError) {
        core.observe(.lifecycle(.starting))
        core.shipper.start()
        core.retention.start()
        core.memory.start()
        core.backFill.start()
        core.snapshots.start()
        core.parity.start()
        core.driftKeeper.start()
        do throws(HTTPServerError) {
            try server.start()
        } catch {
            throw ServiceError("http_\(error.code)", error.description)
        }
        supervisor.ready()
        core.observe(.lifecycle(.ready))
    }

    /// Drains: no new connections, requests in flight are finished, the journal is closed, the tail is shipped.
    public func stop() {
        supervisor.stopping()
        core.observe(.lifecycle(.draining))
        server.beginDrain()
        _ = server.stop(
            deadlineNanoseconds: HTTP.MonotonicClock.nanoseconds()
                &+ UInt64(core.configuration.drainTimeoutMilliseconds) &* 1_000_000)
        core.bulk.stop()
        core.jobs.stop()
        core.corrector.stop()
        core.parity.stop()
        core.driftKeeper.stop()
        core.queries.stop()
        core.retention.stop()
        core.histories.stop()
        core.backFill.stop()
        core.memory.stop()
        core.shipper.stop(milliseconds: core.configuration.drainTimeoutMilliseconds)
        core.snapshots.stop()
        core.journal.stop()
        core.observe(.lifecycle(.stopped))
    }
}
