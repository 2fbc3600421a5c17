/// What came out of a run over many test files: lines for people, JUnit XML for build servers.
public struct TCKReport: Sendable {
    /// One test file.
    public struct File: Sendable {
        /// The path as it is shown.
        public let path: String
        /// Its cases; empty when the file or its model could not be used.
        public let outcomes: [TCKRunner.Outcome]
        /// Why the file or its model could not be used.
        public let problem: String?
        /// What else is to be said, such as expressions that could not be compiled.
        public let notes: [String]

        /// Makes a file's result.
        public init(path: String, outcomes: [TCKRunner.Outcome], problem: String? = nil, notes: [String] = []) {
            self.path = path
            self.outcomes = outcomes
            self.problem = problem
            self.notes = notes
        }

        /// How many cases passed.
        public var passed: Int { outcomes.count { $0.failure == nil } }
        /// How many failed; a file that could not be used counts as one.
        public var failed: Int { outcomes.count - passed + (problem == nil ? 0 : 1) }
    }

    /// The files in the order that they were run.
    public let files: [File]

    /// Makes a report.
    public init(files: [File]) { self.files = files }

    /// How many cases passed.
    public var passed: Int { files.reduce(0) { $0 + $1.passed } }
    /// How many cases failed; every file that could not be used counts as one.
    public var failed: Int { files.reduce(0) { $0 + $1.failed } }
    /// Cases that expect a value other than null, and how many of them passed: an engine that always answers null
    /// passes none of these.
    public var valueCases: (passed: Int, total: Int) {
        let cases = files.flatMap(\.outcomes).filter(\.testCase.expectsValue)
        return (cases.count { $0.failure == nil }, cases.count)
    }

    /// A line for every failure and every file, then the totals.
    public var lines: [String] {
        var lines: [String] = []
        for file in files {
            if let problem = file.problem { lines.append("\(file.path): \(problem)") }
            for note in file.notes { lines.append("\(file.path): note: \(note)") }
            for outcome in file.outcomes {
                if let failure = outcome.failure {
                    lines.append("\(file.path): case \(outcome.testCase.id): \(failure)")
                }
            }
            lines.append("\(file.path): \(file.passed) passed, \(file.failed) failed")
        }
        let values = valueCases
        if values.total > 0 {
            let tenths = values.passed * 1000 / values.total
            lines.append(
                "of \(values.total) cases that expect a value (neither null nor an error) \(values.passed) passed "
                    + "(\(tenths / 10).\(tenths % 10) %)")
        }
        lines.append("\(passed) passed, \(failed) failed")
        return lines
    }

    /// The report in the format that JUnit made common: a suite a file, a case a case.
    public var junit: String {
        var root = XMLElement(
            "testsuites", attributes: [.init("tests", "\(passed + failed)"), .init("failures", "\(failed)")])
        for file in files {
            var suite = XMLElement(
                "testsuite",
                attributes: [
                    .init("name", file.path), .init("tests", "\(file.passed + file.failed)"),
                    .init("failures", "\(file.failed)"),
                ])
            if let problem = file.problem {
                suite.nodes.append(.element(TCKReport.testCase("model", file.path, failure: problem)))
            }
            for outcome in file.outcomes {
                let element = TCKReport.testCase(outcome.testCase.id, file.path, failure: outcome.failure)
                suite.nodes.append(.element(element))
            }
            root.nodes.append(.element(suite))
        }
        var writer = XMLWriter()
        writer.write(root)
        return writer.text
    }

    private static func testCase(_ name: String, _ file: String, failure: String?) -> XMLElement {
        var element = XMLElement("testcase", attributes: [.init("classname", file), .init("name", name)])
        if let failure {
            let message = XMLElement("failure", attributes: [.init("message", XMLWriter.printable(failure))])
            element.nodes.append(.element(message))
        }
        return element
    }
}
