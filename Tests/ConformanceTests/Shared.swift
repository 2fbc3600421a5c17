import Foundation

/// Real data and suites that live outside the repository.
enum SharedData {
    /// A file or folder of the shared directory; nil when the directory is absent (a failure when CI=true).
    static func url(_ path: String) -> URL? {
        let environment = ProcessInfo.processInfo.environment
        let root: URL
        if let given = environment["DECISIOND_SHARED"] {
            root = URL(fileURLWithPath: given)
        } else {
            root =
                URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("../shared").standardizedFileURL
        }
        let url = root.appendingPathComponent(path)
        if FileManager.default.fileExists(atPath: url.path) { return url }
        precondition(environment["CI"] != "true", "missing \(url.path)")
        print("skipped: \(url.path) is absent")
        return nil
    }
}
