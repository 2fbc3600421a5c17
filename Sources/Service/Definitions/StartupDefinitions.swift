import Access
import JSON
import Postgres
import Synchronization
import Telemetry

/// Adds the definitions of the start directory once the database is there: only names that do not exist yet.
final class StartupDefinitions: Sendable {
    private let configuration: ServiceConfiguration
    private let publisher: Publisher
    private let queries: QueryPool
    private let log: LineLog
    private let clock: WallClock
    private let isDone = Atomic<Bool>(false)
    private let areArtifactsThere = Atomic<Bool>(false)
    /// Compiles all definitions again.
    private let recompile: @Sendable () -> Void

    init(
        configuration: ServiceConfiguration, publisher: Publisher, queries: QueryPool, log: LineLog, clock: WallClock,
        recompile: @escaping @Sendable () -> Void
    ) {
        self.recompile = recompile
        self.configuration = configuration
        self.publisher = publisher
        self.queries = queries
        self.log = log
        self.clock = clock
    }

    /// The database came up: does the work on a query worker, once.
    func databaseReady() {
        fetchArtifacts()
        applyDirectory()
    }

    /// Files of models that this machine does not have.
    private func fetchArtifacts() {
        guard !areArtifactsThere.load(ordering: .relaxed) else { return }
        _ = queries.submit { connection in
            guard !self.areArtifactsThere.exchange(true, ordering: .relaxed) else { return }
            do throws(PostgresError) {
                guard let connection else { return self.fetchLater() }
                if try self.publisher.fetchArtifacts(connection) { self.recompile() }
            } catch {
                self.fetchLater()
            }
        }
    }

    /// Microseconds after which files that could not be fetched are asked for again.
    private static let retryMicroseconds: UInt64 = 500_000

    /// A worker's own connection may fail while the shipper's stands.
    private func fetchLater() {
        areArtifactsThere.store(false, ordering: .relaxed)
        Threads.start("artifacts") {
            Threads.sleep(microseconds: Self.retryMicroseconds)
            self.fetchArtifacts()
        }
    }

    private func applyDirectory() {
        guard let directory = configuration.definitionsDirectory, !isDone.load(ordering: .relaxed) else { return }
        _ = queries.submit { connection in
            guard let connection, !self.isDone.exchange(true, ordering: .relaxed) else { return }
            do {
                let read = try DefinitionDirectory(path: directory)
                for (hash, bytes) in read.artifacts {
                    try self.publisher.keep(bytes, hash: hash, principal: "start", connection)
                }
                _ = try self.publisher.apply(
                    DefinitionChange(documents: read.documents, comment: "start directory", addsOnly: true),
                    caller: AccessSubject(Principal(id: "start", roles: [PolicySet.adminRole])), connection)
            } catch let problem as Problem {
                self.isDone.store(false, ordering: .relaxed)
                let first = problem.errors.first
                self.log.write(
                    .error, "start directory not applied", at: self.clock.now(),
                    [
                        "code": .text(problem.code), "problems": .integer(Int64(problem.errors.count)),
                        "first_pointer": .text(first?.pointer ?? ""), "first_code": .text(first?.code ?? ""),
                    ])
            } catch {
                self.log.write(
                    .error, "start directory not read", at: self.clock.now(), ["problem": .text("\(error)")])
            }
        }
    }
}
