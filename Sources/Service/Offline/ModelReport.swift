import HTTP
import JSON
import Models

/// A model file compared with golden rows.
public struct ModelReport: Sendable {
    /// What was found, in lines.
    public private(set) var lines: [String] = []
    /// Whether the file loads and every golden row agrees.
    public private(set) var agrees = true

    /// Relative difference up to which a golden value agrees.
    private static let tolerance = 1e-5

    /// Loads a model and, when given, compares it with golden rows.
    public init(model path: String, golden: String?) throws {
        let tree = try golden.map { try JSONTree(parsing: try Self.bytes($0)) }
        let isBest = tree?["iteration_range"]?.array != nil
        let model = try Self.load(path, best: isBest)
        lines.append(
            "\(path): loads: \(model.format.rawValue), \(model.objective), \(model.featureCount) inputs, \(model.treeCount) trees, \(model.predictionCount) outputs"
        )
        guard let tree else { return }
        let report = try GoldenReport(
            model: model, golden: tree, tolerance: .init(margin: Self.tolerance, prediction: Self.tolerance))
        lines.append("\(report.rowsAgreeing) of \(report.rowsTotal) golden rows agree, \(report.rowsExact) bit for bit")
        for difference in report.disagreements {
            lines.append(
                "row \(difference.row) \(difference.field)[\(difference.index)]: expected \(difference.wanted), got \(difference.got)"
            )
        }
        agrees = report.rowsAgreeing == report.rowsTotal
    }

    /// Nanoseconds of one row, over the golden rows in turn.
    public static func nanosecondsPerRow(model path: String, golden: String, seconds: Int) throws -> Double {
        let model = try load(path, best: false)
        let tree = try JSONTree(parsing: try bytes(golden))
        let rows = (tree["rows"]?.array ?? []).compactMap { row in
            row["x"]?.array?.map { $0.double ?? .nan }
        }.filter { $0.count == model.featureCount }
        guard !rows.isEmpty else { throw DirectoryProblem("\(golden): no rows") }
        var prediction = model.makePrediction()
        let until = MonotonicClock.nanoseconds() &+ UInt64(seconds) * 1_000_000_000
        var (best, total) = (Double.infinity, 0)
        while MonotonicClock.nanoseconds() < until {
            let started = MonotonicClock.nanoseconds()
            for row in rows { model.predict(row, into: &prediction) }
            best = min(best, Double(MonotonicClock.nanoseconds() - started) / Double(rows.count))
            total += rows.count
        }
        return best
    }

    private static func load(_ path: String, best: Bool) throws -> Model {
        do {
            return try Model.load(try bytes(path), iterations: best ? .best : .all)
        } catch let error as ModelError {
            throw DirectoryProblem("\(path): \(error.code.rawValue): \(error.message) (\(error.location))")
        }
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        guard let bytes = try Files.read(path) else { throw DirectoryProblem("\(path): no such file") }
        guard path.hasSuffix(".gz") else { return bytes }
        return try bytes.withUnsafeBytes {
            try Gzip.inflate($0, limits: InflateLimits(bytesMax: 1 << 30, ratioMax: 1000, freeBytes: 1 << 20))
        }
    }
}
