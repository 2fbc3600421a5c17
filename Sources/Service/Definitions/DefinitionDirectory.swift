import Glibc
import HTTP
public import JSON

/// A problem with a directory of definitions, with its file.
public struct DirectoryProblem: Error, Sendable, CustomStringConvertible {
    /// What is wrong and where.
    public let description: String

    /// A problem from its text.
    public init(_ description: String) {
        self.description = description
    }
}

/// Definitions read from a directory: YAML or JSON documents, and the model files that they name.
///
/// A Model's `artifact: {file: path}` (relative to its document) becomes `artifact: {sha256: ...}`; a file ending in .gz is
/// inflated first.
public struct DefinitionDirectory: Sendable {
    /// The documents in the order of their paths.
    public private(set) var documents: [JSONTree] = []
    /// Where each document stands: file and number.
    public private(set) var origins: [String] = []
    /// Model files by SHA-256.
    public private(set) var artifacts: [String: [UInt8]] = [:]

    /// Largest model file, inflated.
    private static let artifactBytesMax = 1 << 30
    private static let depthMax = 16

    /// Reads every .yaml, .yml and .json file below a directory, or one such file.
    public init(path: String) throws(DirectoryProblem) {
        for file in try Self.files(path, depth: 0) { try read(file) }
    }

    private static func files(_ path: String, depth: Int) throws(DirectoryProblem) -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw DirectoryProblem("\(path): cannot be read") }
        if status.st_mode & S_IFMT != S_IFDIR {
            let isDocument = [".yaml", ".yml", ".json"].contains { path.hasSuffix($0) }
            return isDocument ? [path] : []
        }
        guard depth < depthMax, let directory = opendir(path) else {
            throw DirectoryProblem("\(path): cannot be read")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        var found: [String] = []
        for name in names.sorted() { found.append(contentsOf: try files("\(path)/\(name)", depth: depth + 1)) }
        return found
    }

    private mutating func read(_ file: String) throws(DirectoryProblem) {
        let trees: [JSONTree]
        do {
            guard let bytes = try Files.read(file) else { throw DirectoryProblem("\(file): cannot be read") }
            trees =
                file.hasSuffix(".json")
                ? [try JSONTree(parsing: bytes)] : try YAMLReader.documents(String(decoding: bytes, as: UTF8.self))
        } catch let problem as YAMLProblem {
            throw DirectoryProblem("\(file):\(problem.line): \(problem.message)")
        } catch {
            throw DirectoryProblem("\(file): \(error)")
        }
        for (number, tree) in trees.enumerated() {
            documents.append(try withArtifact(tree, file))
            origins.append(trees.count == 1 ? file : "\(file)#\(number + 1)")
        }
    }

    private mutating func withArtifact(_ tree: JSONTree, _ file: String) throws(DirectoryProblem) -> JSONTree {
        guard tree["kind"]?.string == "Model", let path = tree["spec"]?["artifact"]?["file"]?.string else {
            return tree
        }
        let base = file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
        let place = path.hasPrefix("/") ? path : base + path
        var bytes: [UInt8]
        do {
            guard let found = try Files.read(place) else { throw DirectoryProblem("\(place): no such file") }
            bytes = found
            if place.hasSuffix(".gz") {
                bytes = try found.withUnsafeBytes { raw throws(InflateError) in
                    try Gzip.inflate(
                        raw, limits: InflateLimits(bytesMax: Self.artifactBytesMax, ratioMax: 1000, freeBytes: 1 << 20))
                }
            }
        } catch {
            throw DirectoryProblem("\(place): \(error)")
        }
        let hash = ArtifactStore.hash(bytes)
        artifacts[hash] = bytes
        return tree.setting(["spec", "artifact"][...], .object([JSONTree.Member(key: "sha256", value: .string(hash))]))
    }
}
