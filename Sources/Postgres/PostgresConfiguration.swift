/// How to reach a PostgreSQL server, and how long to wait for it.
///
/// Values named here are defaults; what the connection string says itself wins over `keepalive*`, `tcpUserTimeout` and
/// `applicationName`.
public struct PostgresConfiguration: Sendable, Equatable {
    /// A libpq connection string: `postgresql://user@host1,host2/db?target_session_attrs=read-write` or `host=... dbname=...`.
    /// With several hosts they are tried in order, each with its share of the time left. Host names are looked up by the
    /// C library, which blocks; use addresses or `hostaddr` where that matters.
    public var connectionString: String

    /// Name shown in `pg_stat_activity`.
    public var applicationName: String

    /// Time for one connect over all hosts, including authentication and session settings.
    public var connectTimeout: Duration

    /// Time for one statement when the caller gives no deadline. The server enforces it too, a little later
    /// (``PostgresLimits/cancelGrace``), so that a statement ends even when its client has gone.
    public var statementTimeout: Duration

    /// Server-side limit for waiting on one lock.
    public var lockTimeout: Duration

    /// Server-side limit for a transaction that does nothing.
    public var idleInTransactionTimeout: Duration

    /// Seconds of silence before the first TCP keep-alive probe.
    public var keepaliveIdleSeconds: Int

    /// Seconds between keep-alive probes.
    public var keepaliveIntervalSeconds: Int

    /// Unanswered probes after which the peer counts as dead.
    public var keepaliveCount: Int

    /// Time that sent data may stay unacknowledged by TCP.
    public var tcpUserTimeout: Duration

    /// A configuration with the defaults of the service: connect 5 s, statements 30 s, locks 10 s.
    public init(connectionString: String, applicationName: String = "decisiond") {
        self.connectionString = connectionString
        self.applicationName = applicationName
        connectTimeout = .seconds(5)
        statementTimeout = .seconds(30)
        lockTimeout = .seconds(10)
        idleInTransactionTimeout = .seconds(60)
        keepaliveIdleSeconds = 10
        keepaliveIntervalSeconds = 5
        keepaliveCount = 3
        tcpUserTimeout = .seconds(15)
    }
}

extension Duration {
    /// Whole milliseconds, at least 1 for anything above zero, as PostgreSQL's settings take them (0 would mean "no limit").
    var settingMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        if seconds > 2_000_000 { return 2_000_000_000 }
        return max(1, seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }
}
