import ArgumentParser
import Foundation
import Service

/// `decisiond contract ...`.
struct ContractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract", abstract: "Work with data contracts.", subcommands: [ContractCheck.self])
}

/// `decisiond contract check CONTRACT EVENTS.ndjson`.
struct ContractCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check events against a contract: a line per rule; exits with 1 when one is broken.")

    @Argument(help: "Contract, ODCS YAML or JSON.")
    var contract: String

    @Argument(help: "Events, one CloudEvent a line; .gz is inflated.")
    var events: String

    func run() throws {
        let report: ContractCheckReport
        do {
            report = try ContractCheckReport(contract: contract, events: events)
        } catch {
            Console.error("\(error)")
            throw ExitCode(2)
        }
        for line in report.lines { print(line) }
        if report.isBroken { throw ExitCode(1) }
    }
}

/// `decisiond model ...`.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Work with model files.", subcommands: [ModelVerify.self, ModelBench.self])
}

/// `decisiond model verify MODEL [GOLDEN.json]`.
struct ModelVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Load a model file and compare it with golden rows; exits with 1 when it does not load or agree.")

    @Argument(help: "Model file; .gz is inflated.")
    var model: String

    @Argument(help: "Golden rows: JSON with rows of x, margin and pred.")
    var golden: String?

    func run() throws {
        let report: ModelReport
        do {
            report = try ModelReport(model: model, golden: golden)
        } catch {
            Console.error("\(error)")
            throw ExitCode(1)
        }
        for line in report.lines { print(line) }
        if !report.agrees { throw ExitCode(1) }
    }
}

/// `decisiond model bench MODEL GOLDEN.json`.
struct ModelBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Time one row through a model, over the golden rows in turn.")

    @Argument(help: "Model file; .gz is inflated.")
    var model: String

    @Argument(help: "Golden rows.")
    var golden: String

    @Option(name: .long, help: "How long to measure.")
    var seconds = 2

    func run() throws {
        do {
            print("ns_per_row \(try ModelReport.nanosecondsPerRow(model: model, golden: golden, seconds: seconds))")
        } catch {
            Console.error("\(error)")
            throw ExitCode(1)
        }
    }
}

/// `decisiond journal inspect | verify DIR`.
struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "Look at a journal's directory; changes nothing.",
        subcommands: [JournalInspect.self, JournalVerify.self])
}

/// `decisiond journal inspect DIR`.
struct JournalInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "List segments from their headers.")

    @Argument(help: "The journal's directory (data_directory/journal).")
    var directory: String

    func run() throws {
        let report = try JournalReport.read(directory, verifies: false)
        for line in report.lines { print(line) }
        if !report.isSound { throw ExitCode(1) }
    }
}

/// `decisiond journal verify DIR`.
struct JournalVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check every frame; exits with 1 at the first that is damaged.")

    @Argument(help: "The journal's directory (data_directory/journal).")
    var directory: String

    func run() throws {
        let report = try JournalReport.read(directory, verifies: true)
        for line in report.lines { print(line) }
        if !report.isSound { throw ExitCode(1) }
    }
}
