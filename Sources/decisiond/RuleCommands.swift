import ArgumentParser
import Foundation
import Service

/// `decisiond test DIR [--junit FILE]`.
struct TestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run the DMN test files (*-test-*.xml) of a directory against the models beside them.",
        discussion: """
            The files are in the format of the DMN Technology Compatibility Kit. Numbers agree within 1e-8. Prints a \
            line for every failed case and every file; the last line is "N passed, N failed". Exits with 1 when a case \
            failed, with 2 when there is nothing to run.
            """)

    @Argument(help: "Directory; every directory below it is looked into.")
    var directory: String

    @Option(name: .long, help: "Also write the results as JUnit XML to this file.")
    var junit: String?

    @OptionGroup var time: EvaluationTime

    func run() throws {
        let report: DMNTestReport
        do {
            report = try DMNTestReport(directory: directory, nowMicros: try time.micros())
            if let junit { try report.writeJUnit(junit) }
        } catch {
            Console.error("\(error)")
            throw ExitCode(2)
        }
        for line in report.lines { print(line) }
        if !report.isPassed { throw ExitCode(1) }
    }
}

/// `decisiond eval 'EXPRESSION' [--context FILE] [--at TIME]`.
struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Evaluate one FEEL expression: prints its value as JSON, its type, and why a null arose.",
        discussion: "Exits with 1 when the expression cannot be read, telling line and column.")

    @Argument(help: "The expression, such as 'amount * 1.19'.")
    var expression: String

    @Option(name: .long, help: "JSON file with an object; its members are the names in scope.")
    var context: String?

    @OptionGroup var time: EvaluationTime

    func run() throws {
        do {
            let bytes = try context.map { Array(try Data(contentsOf: URL(fileURLWithPath: $0))) }
            let report = try ExpressionReport(expression, context: bytes, nowMicros: try time.micros())
            for line in report.lines { print(line) }
        } catch {
            Console.error("\(error)")
            throw ExitCode(1)
        }
    }
}

/// The moment that `now()` and `today()` mean.
struct EvaluationTime: ParsableArguments {
    @Option(name: .long, help: "The time that now() and today() mean, RFC 3339; the current time when left out.")
    var at: String?

    func micros() throws -> Int64 {
        guard let at else { return Int64(Date().timeIntervalSince1970 * 1_000_000) }
        guard let micros = ExpressionReport.micros(at) else {
            throw ValidationError("--at \(at): not a time such as 2026-01-31T12:00:00Z")
        }
        return micros
    }
}
