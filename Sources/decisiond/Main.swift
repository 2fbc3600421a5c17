import ArgumentParser
import Service

/// The command line. Every command ends with 0, or with a code and one line that says what to do.
@main
struct Decisiond: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decisiond",
        abstract: "A decision service next to PostgreSQL.",
        version: ServiceVersion.text,
        subcommands: [
            Serve.self, Migrate.self, Apply.self, Check.self, ContractCommand.self, ModelCommand.self,
            FeaturesCommand.self,
            JournalCommand.self, OpenAPI.self, TestCommand.self, EvalCommand.self, Version.self,
        ])
}

/// `decisiond version`.
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    func run() {
        print("decisiond \(ServiceVersion.text)")
    }
}
