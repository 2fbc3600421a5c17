import Foundation
import Testing

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

    static func bytes(_ path: String) throws -> [UInt8] {
        guard let url = root?.appendingPathComponent(path) else { throw CocoaError(.fileNoSuchFile) }
        return [UInt8](try Data(contentsOf: url))
    }
}
