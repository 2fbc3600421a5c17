import Foundation

/// Finds the shared data directory and reads its gzipped files.
enum SharedData {
    static let root: URL? = {
        let environment = ProcessInfo.processInfo.environment
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        let base =
            environment["DECISIOND_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? url.deletingLastPathComponent().appendingPathComponent("shared")
        if FileManager.default.fileExists(atPath: base.path) { return base }
        precondition(environment["CI"] != "true", "shared data is missing: set DECISIOND_SHARED")
        print("skipped: no shared data at \(base.path); set DECISIOND_SHARED")
        return nil
    }()

    static func url(_ path: String) -> URL? {
        root?.appendingPathComponent(path)
    }

    static func gunzip(_ path: String) throws -> [UInt8]? {
        guard let url = url(path) else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc", url.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let bytes = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? Array(bytes) : nil
    }
}
