import ArgumentParser
import Foundation
import Service

/// `decisiond features ...`.
struct FeaturesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Work with served features.", subcommands: [FeaturesVerify.self])
}

/// `decisiond features verify VIEW`.
struct FeaturesVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Read features of random entities and times from a running daemon, compute them again from the stored events and in PostgreSQL, compare all three bit for bit; exits with 1 when any differs."
    )

    @Argument(help: "Name of the feature view.")
    var view: String

    @Option(name: .long, help: "How many (entity, time) points.")
    var sample = 1_000

    @Option(name: .long, help: "Seed of the choice; default: a random one, which is printed.")
    var seed: UInt64?

    @Flag(name: .long, help: "Print the SQL statement that computes the view.")
    var showSql = false

    @Option(name: .long, help: "Address of the daemon.")
    var url = "http://127.0.0.1:8080"

    @Option(name: .long, help: "API key; default: the environment variable DECISIOND_KEY.")
    var key: String?

    @Option(name: .long, help: "Its database; default: the environment variable DECISIOND_DATABASE_URL.")
    var databaseURL: String?

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let key = key ?? environment["DECISIOND_KEY"] else {
            throw ValidationError("give --key or set DECISIOND_KEY")
        }
        guard let database = databaseURL ?? environment["DECISIOND_DATABASE_URL"], !database.isEmpty else {
            throw ValidationError("give --database-url or set DECISIOND_DATABASE_URL")
        }
        guard (1...100_000).contains(sample) else { throw ValidationError("--sample is 1 to 100000") }
        let seed = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        do {
            try verify(DaemonClient(url: url, key: key), database, seed)
        } catch let code as ExitCode {
            throw code
        } catch {
            Console.error("features verify: \(error)")
            throw ExitCode(2)
        }
    }

    private func verify(_ client: DaemonClient, _ database: String, _ seed: UInt64) throws {
        let definition = try get(client, "/v1/definitions/FeatureView/\(view)")
        let contract = (try JSONSerialization.jsonObject(with: Data(definition)) as? [String: Any])
            .flatMap { $0["document"] as? [String: Any] }.flatMap { $0["spec"] as? [String: Any] }
            .flatMap { $0["contract"] as? String }
        let verifier = try FeatureVerifier(
            databaseURL: database, view: definition,
            contract: try get(client, "/v1/definitions/DataContract/\(contract ?? "")"))
        if showSql { print(verifier.sql) }
        let points = try verifier.points(sample, seed: seed)
        // All are read before any is computed, so that PostgreSQL is waited for once.
        let answers = try points.map { try get(client, "/v1/features/\(view)?\(Self.query($0.parameters))") }
        try wait(for: try answers.map(FeatureVerifier.position).max() ?? 0, verifier)
        var (compared, limited, within, historical, mismatches) = (0, 0, 0, 0, 0)
        for (point, answer) in zip(points, answers) {
            let outcome = try verifier.compare(point, with: answer)
            compared += outcome.sql.compared
            limited += outcome.historical.limited
            within += outcome.sql.within
            historical += outcome.historical.compared
            for line in outcome.mismatches where mismatches < Self.linesMax { print("MISMATCH \(line)") }
            mismatches += outcome.mismatches.count
        }
        for remark in verifier.remarks { print(remark) }
        print(
            "history: \(historical) values compared; PostgreSQL: \(within) of its values within their error, not equal")
        print(
            "\(view): seed \(seed), \(points.count) points, \(compared) values compared, \(limited) limited, \(mismatches) mismatches"
        )
        if mismatches > 0 { throw ExitCode(1) }
    }

    /// Mismatches that are printed; the count has all.
    private static let linesMax = 100
    private static let shipWaitSeconds = 60.0

    private func wait(for seq: Int64, _ verifier: FeatureVerifier) throws {
        let end = Date(timeIntervalSinceNow: Self.shipWaitSeconds)
        while try verifier.shippedSeq() < seq {
            guard Date() < end else {
                throw ConfigurationError(description: "PostgreSQL does not have journal position \(seq) after 60 s")
            }
            Thread.sleep(forTimeInterval: 0.1)
        }
    }

    private func get(_ client: DaemonClient, _ path: String) throws -> [UInt8] {
        let answer = try client.send("GET", path, Data(), "application/json")
        guard answer.status == 200 else {
            throw ConfigurationError(
                description: "the daemon answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
        return Array(answer.body)
    }

    private static func query(_ parameters: [(name: String, value: String)]) -> String {
        let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
        return parameters.map { parameter in
            let value = parameter.value.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
            return "\(parameter.name)=\(value)"
        }.joined(separator: "&")
    }
}
