import DMN
import FEEL
import Foundation
import Testing

/// Runs the DMN Technology Compatibility Kit. Every case that does not pass is listed here with its reason.
@Suite struct TCKTests {
    /// Cases that need a Java virtual machine: their functions are bodies of Java classes.
    static let java: Set<String> = [
        "boxed_001", "literal_001", "literal_002", "literal_005", "literal_006", "literal_007", "literal_010",
        "literal_011", "literal_012", "varargs_001",
    ]
    /// Folder and identifier of every case that may fail, with the reason.
    static let reasons = Dictionary(
        uniqueKeysWithValues: java.map { ("0076-feel-external-java \($0)", "calls a Java method") })
    /// Where to list the failing cases, one a line.
    static let reportVariable = "DECISIOND_TCK_REPORT"
    static let now: Int64 = 1_780_000_000_000_000

    static let zones = ZoneOffsets { name, local in
        guard let zone = TimeZone(identifier: name) else { return nil }
        let first = zone.secondsFromGMT(for: Foundation.Date(timeIntervalSince1970: Double(local)))
        return Int32(zone.secondsFromGMT(for: Foundation.Date(timeIntervalSince1970: Double(local) - Double(first))))
    }

    /// Every test file of the suite with its folder.
    private static func files(_ root: URL) throws -> [(folder: URL, file: URL)] {
        var files: [(folder: URL, file: URL)] = []
        for level in ["compliance-level-2", "compliance-level-3"] {
            let directory = root.appendingPathComponent(level)
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() {
                let folder = directory.appendingPathComponent(name)
                let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
                files += names.filter { $0.hasSuffix(".xml") }.sorted().map {
                    (folder, folder.appendingPathComponent($0))
                }
            }
        }
        return files
    }

    private static func bytes(_ url: URL) throws -> [UInt8] { Array(try Data(contentsOf: url)) }

    /// The model under test with all other models of its folder as imports, after a change.
    private static func model(
        _ name: String, in folder: URL, _ change: (DMNModel) throws -> DMNModel
    ) throws -> CompiledModel {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".dmn") }
        let imports = try names.filter { $0 != name }.sorted().map {
            try change(DMNModel(xml: bytes(folder.appendingPathComponent($0))))
        }
        let model = try change(DMNModel(xml: bytes(folder.appendingPathComponent(name))))
        return try CompiledModel.compile(
            model, imports: imports, options: .init(profile: .dmn, zones: zones, isTolerant: true))
    }

    private static func run(_ root: URL, _ change: (DMNModel) throws -> DMNModel) throws -> TCKReport {
        var files: [TCKReport.File] = []
        for (folder, file) in try self.files(root) {
            let suite = try TCKSuite(xml: bytes(file))
            let model = try model(suite.modelName, in: folder, change)
            files.append(
                TCKReport.File(path: folder.lastPathComponent, outcomes: TCKRunner(model, now: now).run(suite)))
        }
        return TCKReport(files: files)
    }

    private static func failures(_ report: TCKReport) -> [(case: String, text: String)] {
        report.files.flatMap { file in
            file.outcomes.compactMap { outcome in
                outcome.failure.map { ("\(file.path) \(outcome.testCase.id)", $0) }
            }
        }
    }

    @Test func conformance() throws {
        guard let root = SharedData.url("conformance/dmn-tck") else { return }
        let report = try TCKTests.run(root) { $0 }
        for line in report.lines.suffix(2) { print("DMN TCK: \(line)") }
        let failures = TCKTests.failures(report)
        if let path = ProcessInfo.processInfo.environment[TCKTests.reportVariable] {
            try failures.map { "\($0.case) \($0.text)" }.joined(separator: "\n")
                .write(toFile: path, atomically: true, encoding: .utf8)
        }
        for failure in failures where TCKTests.reasons[failure.case] == nil {
            Issue.record("\(failure.case): \(failure.text)")
        }
        // Whoever makes a listed case pass takes it off the list.
        #expect(Set(failures.map(\.case)) == Set(TCKTests.reasons.keys))
        #expect(report.passed + report.failed >= 2_907)
    }

    /// Every model written and read again means the same, and keeps its layout to the byte.
    @Test func roundTrip() throws {
        guard let root = SharedData.url("conformance/dmn-tck") else { return }
        let failures = TCKTests.failures(
            try TCKTests.run(root) { model in
                let text = model.xml()
                let again = try DMNModel(xml: Array(text.utf8))
                #expect(again.xml() == text)
                return again
            })
        #expect(Set(failures.map(\.case)) == Set(TCKTests.reasons.keys))
        for (folder, _) in try TCKTests.files(root) {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".dmn") {
                let bytes = try TCKTests.bytes(folder.appendingPathComponent(name))
                let source = String(decoding: bytes, as: UTF8.self)
                guard let start = source.range(of: "<dmndi:DMNDI"), let end = source.range(of: "</dmndi:DMNDI>") else {
                    continue
                }
                let layout = source[start.lowerBound..<end.upperBound]
                #expect(try DMNModel(xml: bytes).xml().contains(layout), "\(name) lost its layout")
            }
        }
    }
}
