import Foundation
public import Postgres

/// A private PostgreSQL cluster for tests: made by initdb in /tmp, run by an unprivileged user, reached by a unix socket
/// and by 127.0.0.1 on a free port, without fsync. Stopped and removed when the process ends.
public final class TestCluster: Sendable {
    /// Holds the data directory, the socket and the log.
    public let directory: String
    /// The port on 127.0.0.1 and in the name of the socket.
    public let port: UInt16

    /// The cluster that most tests share.
    public static let shared = TestCluster()

    /// Makes and starts a cluster.
    public init() {
        directory = Self.output(["mktemp", "-d", "/tmp/decisiond-pg.XXXXXX"])
        port = Self.freePort()
        if geteuid() == 0 { Self.run(["chown", Self.user, directory]) }
        let options = ["-U", "decisiond", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]
        Self.serverRun(["initdb", "-D", directory + "/data"] + options)
        start()
        CleanUp.shared.add(self)
    }

    /// Starts the server and waits until it answers.
    public func start() {
        let options =
            "-c listen_addresses=127.0.0.1 -c port=\(port) -c unix_socket_directories=\(directory) -c fsync=off "
            + "-c full_page_writes=off -c max_connections=60 -c log_min_messages=warning"
        Self.serverRun(["pg_ctl", "-w", "-D", directory + "/data", "-l", directory + "/log", "-o", options, "start"])
    }

    /// Stops it; the mode is one of pg_ctl's.
    public func stop(mode: String) {
        Self.serverRun(["pg_ctl", "-w", "-D", directory + "/data", "-m", mode, "stop"])
    }

    /// Stops it and removes its directory.
    public func remove() {
        stop(mode: "immediate")
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A fresh, empty database and how to reach it by the unix socket.
    public func newDatabase() throws -> PostgresConfiguration {
        let name = "d" + UUID().uuidString.filter { $0 != "-" }.lowercased()
        let connection = PostgresConnection(configuration(database: "postgres"))
        try connection.execute("CREATE DATABASE \(name)")
        return configuration(database: name)
    }

    /// A connection to a fresh, empty database.
    public func connect() throws -> PostgresConnection {
        PostgresConnection(try newDatabase())
    }

    /// A connection to a fresh database with the whole schema.
    public func connectMigrated() throws -> PostgresConnection {
        let connection = try connect()
        _ = try Migrator().migrate(connection)
        return connection
    }

    /// How a database of the cluster is reached by the unix socket.
    public func configuration(database: String) -> PostgresConfiguration {
        PostgresConfiguration(
            connectionString: "host=\(directory) port=\(port) user=decisiond dbname=\(database)",
            applicationName: "tests"
        )
    }

    /// Process id of the postmaster.
    public var postmaster: Int32 {
        let text = (try? String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first.flatMap { Int32($0) } ?? 0
    }

    /// A port that was free a moment ago.
    public static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static let user = output(["sh", "-c", "id postgres >/dev/null 2>&1 && echo postgres || echo nobody"])

    private static let binaries = output([
        "sh", "-c", "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1",
    ])

    private static func serverRun(_ arguments: [String]) {
        let command = [binaries + "/" + arguments[0]] + arguments.dropFirst()
        run(geteuid() == 0 ? ["runuser", "-u", user, "--"] + command : command)
    }

    private static func output(_ arguments: [String]) -> String {
        let file = "/tmp/decisiond-test-output.\(getpid())"
        defer { unlink(file) }
        run(arguments, output: file)
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs a program and waits for it. Not with Foundation's Process: that one waits until every descendant has closed an
    /// inherited descriptor, and the server that pg_ctl leaves behind never does.
    private static func run(_ arguments: [String], output: String = "/dev/null") {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var pid: pid_t = 0
        // The unprivileged user may not be able to read the current directory, and a server must not keep our descriptors.
        let script =
            "cd /tmp; for f in /proc/self/fd/*; do n=${f##*/}; if ((n > 2)); then eval \"exec $n>&-\"; fi; done; exec \"$@\""
        let argv = (["bash", "-c", script, "bash"] + arguments).map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        let code = posix_spawnp(&pid, "bash", &actions, nil, argv, environ)
        var status: Int32 = 0
        while code == 0, waitpid(pid, &status, 0) < 0, errno == EINTR {}
        if code != 0 || status != 0 { fatalError("\(arguments) failed: spawn \(code), wait status \(status)") }
    }
}

/// Stops every cluster when the test process ends.
private final class CleanUp: @unchecked Sendable {
    // SAFETY: the array is only touched under the lock.
    static let shared = CleanUp()
    private let lock = NSLock()
    private var clusters: [TestCluster] = []

    private init() {
        atexit { CleanUp.shared.removeAll() }
    }

    func add(_ cluster: TestCluster) {
        lock.withLock { clusters.append(cluster) }
    }

    private func removeAll() {
        for cluster in lock.withLock({ clusters }) { cluster.remove() }
    }
}
