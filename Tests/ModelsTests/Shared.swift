import Foundation
import JSON
import Testing

@testable import Models

/// The data set shared by all test targets: `DECISIOND_SHARED`, else `shared` beside the repository.
enum SharedData {
    static let root: URL? = {
        let environment = ProcessInfo.processInfo.environment
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        root = root.deletingLastPathComponent().appendingPathComponent("shared")
        if let path = environment["DECISIOND_SHARED"] { root = URL(fileURLWithPath: path) }
        if FileManager.default.fileExists(atPath: root.path) { return root }
        if environment["CI"] == "true" { Issue.record("shared data is missing at \(root.path)") }
        return nil
    }()

    static var isPresent: Bool { root != nil }

    static func url(_ path: String) -> URL? { root?.appendingPathComponent(path) }

    static func bytes(_ path: String) throws -> [UInt8] {
        guard let url = url(path) else { throw CocoaError(.fileNoSuchFile) }
        return [UInt8](try Data(contentsOf: url))
    }

    static func json(_ path: String) throws -> JSONTree {
        try JSONTree(parsing: bytes(path), limits: JSONLimits(allowsNaN: true))
    }
}

/// One golden set of `models/index.json`.
struct GoldenSet: CustomStringConvertible, Sendable {
    let name: String
    let golden: String
    let files: [String]
    let iterations: Iterations
    let tolerance: GoldenReport.Tolerance

    var description: String { golden }

    /// All sets; empty when the shared data is absent (the tests are then disabled).
    static let all: [GoldenSet] = {
        guard SharedData.isPresent, let index = try? SharedData.json("data/models/index.json") else { return [] }
        return (index["models"]?.array ?? []).map { entry in
            var iterations = Iterations.all
            if let range = entry["iteration_range"]?.array, let end = range[1].int64 {
                iterations = .range(0..<Int(end))
            }
            return GoldenSet(
                name: entry["name"]?.string ?? "", golden: entry["golden"]?.string ?? "",
                files: (entry["files"]?.array ?? []).compactMap(\.string).filter { !$0.hasSuffix(".gz") },
                iterations: iterations,
                tolerance: .init(
                    margin: entry["tolerance"]?["margin"]?.double ?? 0,
                    prediction: entry["tolerance"]?["pred"]?.double ?? 0))
        }
    }()

    func load(_ file: String) throws -> Model {
        try Model.load(SharedData.bytes("data/models/" + file), iterations: iterations)
    }
}
