import Foundation

/// Files outside the repository that tests read when they are there.
enum SharedData {
    static func url(_ path: String) -> URL? {
        let environment = ProcessInfo.processInfo.environment
        let base: URL
        if let directory = environment["DECISIOND_SHARED"] {
            base = URL(fileURLWithPath: directory)
        } else {
            base = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared")
        }
        let file = base.appendingPathComponent(path)
        return FileManager.default.fileExists(atPath: file.path) ? file : nil
    }

    static var isRequired: Bool { ProcessInfo.processInfo.environment["CI"] == "true" }
}
