import DMN
import FEEL
import Foundation
import Testing

/// Runs the DMN Technology Compatibility Kit. The floors are what passes today: raise them when more does.
@Suite struct TCKTests {
    static let level2Floor = 100
    static let level3Floor = 2738
    /// Cases that pass although something other than null is expected: an engine that always answers null scores
    /// nothing here.
    static let nonNullFloor = 1596
    /// Where to list the failing cases, one a line.
    static let reportVariable = "DECISIOND_TCK_REPORT"

    struct Score {
        var cases = 0
        var passed = 0
        var nonNull = 0
        var passedNonNull = 0
        var failures: [String] = []
    }

    @Test func conformance() throws {
        guard let root = SharedData.url("conformance/dmn-tck") else { return }
        let level2 = run(root, "compliance-level-2")
        let level3 = run(root, "compliance-level-3")
        for (name, score) in [("level 2", level2), ("level 3", level3)] {
            print(
                "DMN TCK \(name): \(score.passed) of \(score.cases) cases pass; "
                    + "\(score.passedNonNull) of \(score.nonNull) that expect a value")
        }
        if let path = ProcessInfo.processInfo.environment[TCKTests.reportVariable] {
            try (level2.failures + level3.failures).joined(separator: "\n")
                .write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(level2.passed >= TCKTests.level2Floor)
        #expect(level3.passed >= TCKTests.level3Floor)
        #expect(level2.passedNonNull + level3.passedNonNull >= TCKTests.nonNullFloor)
    }

    private func run(_ root: URL, _ level: String) -> Score {
        var score = Score()
        let folder = root.appendingPathComponent(level)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names.sorted() {
            let directory = folder.appendingPathComponent(name)
            let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
            for file in files.sorted() where file.hasSuffix(".xml") {
                run(directory.appendingPathComponent(file), "\(level)/\(name)", &score)
            }
        }
        return score
    }

    private func run(_ url: URL, _ label: String, _ score: inout Score) {
        guard let tests = XMLTree.parse(url), let modelName = tests.first("modelName")?.trimmed else { return }
        let model = TCKModel(url.deletingLastPathComponent().appendingPathComponent(modelName))
        for testCase in tests.all("testCase") {
            score.cases += 1
            var inputs: [String: Value] = [:]
            for input in testCase.all("inputNode") {
                inputs[input.attribute("name") ?? ""] = TCKValue.read(input)
            }
            var isNonNull = false
            var failure: String?
            for result in testCase.all("resultNode") {
                let name = result.attribute("name") ?? ""
                let expected = result.first("expected").map { TCKValue.read($0) } ?? .null
                if !expected.isNull { isNonNull = true }
                guard let model, testCase.attribute("type") ?? "decision" == "decision",
                    let actual = try? model.decide(name, inputs: inputs)
                else {
                    failure = failure ?? "\(name): not supported"
                    continue
                }
                if !TCKValue.agree(actual, expected) {
                    failure = failure ?? "\(name): expected \(expected.text), got \(actual.text)"
                }
            }
            if isNonNull { score.nonNull += 1 }
            if let failure {
                score.failures.append("\(label) \(testCase.attribute("id") ?? "") \(failure)")
            } else {
                score.passed += 1
                if isNonNull { score.passedNonNull += 1 }
            }
        }
    }
}

/// Values as the suite's test files spell them, and its way to compare.
enum TCKValue {
    static func read(_ element: XMLTree.Element) -> Value {
        if let list = element.first("list") { return .list(list.all("item").map { read($0) }) }
        let components = element.all("component")
        if !components.isEmpty {
            return .context(Context(components.map { ($0.attribute("name") ?? "", read($0)) }))
        }
        guard let value = element.first("value") else { return .null }
        if value.attribute("nil") == "true" { return .null }
        let type = value.attribute("type")?.split(separator: ":").last.map(String.init) ?? "string"
        let text = type == "string" ? value.text : value.trimmed
        switch type {
        case "decimal", "double", "integer", "int", "float", "long": return Decimal(text).map { .number($0) } ?? .null
        case "boolean": return .boolean(text == "true")
        case "date", "time", "dateTime", "duration": return Value(temporal: text) ?? .null
        default: return .string(text)
        }
    }

    /// Numbers agree within 1e-8, everything else exactly; zoned times by the instant.
    static func agree(_ actual: Value, _ expected: Value) -> Bool {
        switch (actual, expected) {
        case (.number(let a), .number(let b)):
            return a == b || (a - b).map { $0.magnitude < Decimal("1e-8") ?? .zero } ?? false
        case (.list(let a), .list(let b)): return a.count == b.count && zip(a, b).allSatisfy { agree($0, $1) }
        case (.context(let a), .context(let b)):
            return a.count == b.count
                && b.entries.allSatisfy { entry in a[entry.key].map { agree($0, entry.value) } ?? false }
        case (.time(let a), .time(let b)):
            return a == b || (a.zone.offsetSeconds == b.zone.offsetSeconds && a.nanosecondOfDay == b.nanosecondOfDay)
        case (.dateTime(let a), .dateTime(let b)):
            return a == b || (a.utcSeconds == b.utcSeconds && a.nanosecond == b.nanosecond)
        default: return actual == expected
        }
    }
}
