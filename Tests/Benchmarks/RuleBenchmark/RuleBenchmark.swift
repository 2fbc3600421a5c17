import DMN
import FEEL

/// Figures of expressions and decision tables, without a server around them.
///
///     rule-benchmark condition SECONDS
///     rule-benchmark table FILE SECONDS     a table with its rows, as tab-separated lines: `input NAME TYPE`,
///                                           `rule CELL... OUTPUT`, `row VALUE...`; last comes the rule's output per row
@main struct RuleBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "condition"?:
            try condition(seconds: Double(arguments[2]) ?? 1)
        case "table"?:
            try table(TableFile(path: arguments[2]), seconds: Double(arguments[3]) ?? 1)
        default:
            print("rule-benchmark condition SECONDS | table FILE SECONDS")
        }
    }

    // MARK: Condition

    static let source = "amount > 1000 and country in (\"DE\",\"FR\") and not(vip)"

    private static func condition(seconds: Double) throws {
        let environment = Environment([
            TypedName(name: "amount", type: .number, isNullable: false),
            TypedName(name: "country", type: .string, isNullable: false),
            TypedName(name: "vip", type: .boolean, isNullable: false),
        ])
        let expression = try Expression(source, in: environment)
        // True ones, so that nothing is cut short, and a mix.
        let holds = rows(count: 64) { index in (1001 + index * 17, index % 2 == 0 ? "DE" : "FR", false) }
        let mixed = rows(count: 64) { index in
            (500 + index * 37, ["DE", "FR", "US", "GB"][index % 4], index % 3 == 0)
        }
        for (name, rows) in [("condition_true", holds), ("condition_mixed", mixed)] {
            Measurement(seconds: seconds) { use(expression.truth(rows[$0 & 63])) }.show(name)
        }
        Measurement(seconds: seconds) { use(expression.evaluate(mixed[$0 & 63])) }.show("condition_value")
        Measurement(seconds: seconds) { _ in use(try? Expression(source, in: environment)) }.show("condition_compile")
    }

    private static func rows(count: Int, _ row: (Int) -> (Int, String, Bool)) -> [[Value]] {
        (0..<count).map { index in
            let (amount, country, vip) = row(index)
            return [.number(amount), .string(country), .boolean(vip)]
        }
    }

    // MARK: Table

    private static func table(_ file: TableFile, seconds: Double) throws {
        let environment = Environment(file.inputs.map { TypedName(name: $0.name, type: $0.type, isNullable: false) })
        let clock = ContinuousClock()
        var compiled: DecisionTable?
        var best = Duration.seconds(1_000_000)
        for _ in 0..<5 {
            let taken = try clock.measure { compiled = try DecisionTable.compile(file.spec, environment: environment) }
            best = min(best, taken)
        }
        guard let table = compiled else { return }
        let attoseconds = Double(best.components.seconds) * 1e18 + Double(best.components.attoseconds)
        print("table_compile ms \(attoseconds / 1e15)")
        let rows = file.rows
        Measurement(seconds: seconds) { use(table.evaluate(rows[$0 % rows.count])) }.show("table_evaluate")
        let outputs = rows.map { row in
            if case .matched(let rows) = table.evaluate(row).outcome { rows[0][0].text } else { "-" }
        }
        print("outputs \(outputs.joined(separator: " "))")
    }
}
