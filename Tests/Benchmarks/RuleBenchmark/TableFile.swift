import DMN
import FEEL
import Foundation

/// A decision table with hit policy FIRST, and rows to decide.
struct TableFile {
    var inputs: [(name: String, type: FEELType)] = []
    var spec: DecisionTableSpec
    var rows: [[Value]] = []

    init(path: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        var rules: [DecisionTableSpec.Rule] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            switch fields[0] {
            case "input": inputs.append((fields[1], FEELType(name: fields[2]) ?? .any))
            case "rule":
                let tests = Array(fields[1..<(fields.count - 1)])
                rules.append(DecisionTableSpec.Rule(tests: tests, outputs: [fields.last ?? ""]))
            case "row":
                rows.append(
                    zip(fields.dropFirst(), inputs).map { text, input in
                        input.type == .number ? Decimal(text).map { .number($0) } ?? .null : .string(text)
                    })
            default: preconditionFailure("a line of an unknown kind: \(fields[0])")
            }
        }
        spec = DecisionTableSpec(
            inputs: inputs.map { DecisionTableSpec.Input(name: $0.name, expression: $0.name, type: $0.type) },
            outputs: [DecisionTableSpec.Output(name: "rule", type: .number)], rules: rules, hitPolicy: .first)
    }
}
