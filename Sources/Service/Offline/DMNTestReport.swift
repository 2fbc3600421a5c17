import DMN
import FEEL

/// The test files of a directory run against the models beside them, for people and build servers.
public struct DMNTestReport: Sendable {
    /// A line for every failure and every file, then the totals; the last one is `N passed, N failed`.
    public let lines: [String]
    /// Whether every case passed; a directory without test files is no success.
    public let isPassed: Bool
    /// The report as JUnit XML.
    public let junit: String

    /// Deepest directory that is looked into.
    private static let depthMax = 32

    /// Runs every `*-test-*.xml` below a directory.
    /// - Parameter nowMicros: the time that `now()` and `today()` mean.
    public init(directory: String, nowMicros: Int64) throws {
        var paths: [String] = []
        try DMNTestReport.find(directory, 0, &paths)
        if paths.isEmpty { throw DirectoryProblem("\(directory): no *-test-*.xml below it") }
        let zones = ZoneFiles.system.offsets
        let report = TCKReport(
            files: paths.sorted().map { path in
                let shown = String(path.dropFirst(directory.count).drop { $0 == "/" })
                return DMNTestReport.run(path, shown: shown, zones, nowMicros)
            })
        lines = report.lines
        isPassed = report.failed == 0
        junit = report.junit
    }

    /// Writes the JUnit report.
    public func writeJUnit(_ path: String) throws {
        try Files.replace(path, with: Array(junit.utf8), mode: 0o644)
    }

    private static func find(_ directory: String, _ depth: Int, _ paths: inout [String]) throws {
        guard depth <= depthMax else { return }
        for name in try Files.names(in: directory).sorted() where !name.hasPrefix(".") {
            let path = "\(directory)/\(name)"
            if Files.isDirectory(path) {
                try find(path, depth + 1, &paths)
            } else if name.hasSuffix(".xml") && name.contains("-test-") {
                paths.append(path)
            }
        }
    }

    private static func run(_ path: String, shown: String, _ zones: ZoneOffsets, _ now: Int64) -> TCKReport.File {
        do {
            guard let bytes = try Files.read(path) else { throw DirectoryProblem("no such file") }
            let suite = try TCKSuite(xml: bytes)
            let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            let (model, imports) = try models(suite.modelName, in: directory)
            // Whole DMN: what cannot be computed is null, and the cases say whether it should be.
            let compiled = try CompiledModel.compile(
                model, imports: imports, options: .init(profile: .dmn, zones: zones, isTolerant: true))
            return TCKReport.File(
                path: shown, outcomes: TCKRunner(compiled, now: now).run(suite),
                notes: compiled.issues.map { "\(suite.modelName):\($0.line)" })
        } catch let error as DMNError {
            return TCKReport.File(path: shown, outcomes: [], problem: error.issues.first?.line)
        } catch {
            return TCKReport.File(path: shown, outcomes: [], problem: "\(error)")
        }
    }

    /// The model under test, and of the other models beside it those that it imports, directly or through others.
    private static func models(_ name: String, in directory: String) throws -> (DMNModel, [DMNModel]) {
        guard !name.contains("/"), let bytes = try Files.read("\(directory)/\(name)") else {
            throw DirectoryProblem("the model '\(name)' is not in the same directory")
        }
        let model = try DMNModel(xml: bytes)
        if model.imports.isEmpty { return (model, []) }
        var others: [String: DMNModel] = [:]
        for file in try Files.names(in: directory) where file.hasSuffix(".dmn") && file != name {
            // A broken neighbour matters only when it is imported; then its namespace is told as unknown.
            guard let bytes = try Files.read("\(directory)/\(file)"), let other = try? DMNModel(xml: bytes) else {
                continue
            }
            others[other.namespace] = other
        }
        var found: [DMNModel] = []
        var wanted = model.imports.map(\.namespace)
        while let namespace = wanted.popLast() {
            guard let other = others.removeValue(forKey: namespace) else { continue }
            found.append(other)
            wanted += other.imports.map(\.namespace)
        }
        return (model, found)
    }
}
