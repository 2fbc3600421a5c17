import ArgumentParser
import Foundation
import JSON
import Service

/// `decisiond migrate`.
struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the database's schema up to date. `serve` does the same when it connects.")

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let configuration = try options.read()
        guard let url = configuration.databaseURL else {
            throw ValidationError("database_url (DECISIOND_DATABASE_URL) is not set")
        }
        do {
            let applied = try Migrations.run(url: url)
            print(applied.isEmpty ? "nothing to do" : "applied \(applied.map(String.init).joined(separator: ", "))")
        } catch {
            Console.error("migrate: \(error)")
            throw ExitCode(1)
        }
    }
}

/// `decisiond check DIR`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compile the definitions of a directory without a server; every problem is printed with its place.")

    @Argument(help: "Directory of YAML or JSON definitions, or one file.")
    var directory: String

    func run() throws {
        let report = try Offline.check(directory)
        for line in report.problems + report.warnings { print(line) }
        guard report.problems.isEmpty else { throw ExitCode(1) }
        print("\(report.definitions) definitions compile")
    }
}

/// `decisiond openapi DIR`.
struct OpenAPI: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "openapi", abstract: "Print openapi.yaml with a typed path per decision of a directory.")

    @Argument(help: "Directory of definitions.")
    var directory: String

    func run() throws {
        let report = try Offline.check(directory)
        guard report.problems.isEmpty else {
            for line in report.problems { Console.error(line) }
            throw ExitCode(1)
        }
        FileHandle.standardOutput.write(Data(report.openAPI))
    }
}

/// `decisiond apply DIR`.
struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send the definitions of a directory, and the model files that they name, to a running daemon.")

    @Argument(help: "Directory of YAML or JSON definitions, or one file.")
    var directory: String

    @Option(name: .long, help: "Address of the daemon.")
    var url = "http://127.0.0.1:8080"

    @Option(name: .long, help: "API key; default: the environment variable DECISIOND_KEY.")
    var key: String?

    @Option(name: .long, help: "Why, for the history.")
    var comment = ""

    @Flag(name: .long, help: "Compile and check on the server, change nothing.")
    var dryRun = false

    func run() throws {
        guard let key = key ?? ProcessInfo.processInfo.environment["DECISIOND_KEY"] else {
            throw ValidationError("give --key or set DECISIOND_KEY")
        }
        let read: DefinitionDirectory
        do {
            read = try DefinitionDirectory(path: directory)
        } catch {
            Console.error("\(error)")
            throw ExitCode(1)
        }
        let client = DaemonClient(url: url, key: key)
        for (hash, bytes) in read.artifacts.sorted(by: { $0.key < $1.key }) {
            let answer = try client.send("PUT", "/v1/artifacts/\(hash)", Data(bytes), "application/octet-stream")
            guard answer.status == 200 else { throw Self.failed(answer) }
        }
        let body = JSONTree.members([
            "definitions": .array(read.documents), "dry_run": .bool(dryRun), "comment": .string(comment),
        ])
        let answer = try client.send("POST", "/v1/definitions/apply", Data(body.bytes), "application/json")
        guard answer.status == 200, let tree = try? JSONTree(parsing: Array(answer.body)) else {
            Self.explain(answer, read.origins)
            throw ExitCode(1)
        }
        for item in tree["definitions"]?.array ?? [] {
            let version = item["version"]?.int64 ?? 0
            print(
                "\(item["kind"]?.string ?? "") \(item["name"]?.string ?? "") version \(version): \(item["status"]?.string ?? "")"
            )
        }
    }

    private static func failed(_ answer: DaemonClient.Answer) -> ExitCode {
        Console.error("the daemon answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        return ExitCode(1)
    }

    /// Prints each problem with the file that it stands in.
    private static func explain(_ answer: DaemonClient.Answer, _ origins: [String]) {
        guard let tree = try? JSONTree(parsing: Array(answer.body)), let errors = tree["errors"]?.array else {
            _ = failed(answer)
            return
        }
        Console.error("\(tree["code"]?.string ?? ""): \(tree["detail"]?.string ?? "")")
        for error in errors {
            let pointer = error["pointer"]?.string ?? ""
            let parts = pointer.split(separator: "/", maxSplits: 2)
            let origin =
                parts.count > 1 ? Int(parts[1]).flatMap { origins.indices.contains($0) ? origins[$0] : nil } : nil
            let place = parts.count > 2 ? "/" + parts[2] : pointer
            Console.error("\(origin ?? ""): \(place): \(error["code"]?.string ?? ""): \(error["detail"]?.string ?? "")")
        }
    }
}
