import Crypto
import Models
import Synchronization

/// Model files by their SHA-256, on this machine's disk; models stay loaded while a definition names them.
final class ArtifactStore: Sendable {
    /// What became of a model file.
    enum Loading: Sendable {
        /// It loads.
        case loaded(Model)
        /// It is not on this machine.
        case missing
        /// It is not what its name says, or not a model: code and message.
        case corrupt(code: String, message: String)
    }

    private struct Request: Hashable {
        let sha256: String
        let usesBestIteration: Bool
    }

    private let directory: String
    private let cache = Mutex<[Request: Model]>([:])

    /// - Parameter directory: made when it does not exist.
    init(directory: String) throws(FileError) {
        self.directory = directory
        try Files.makeDirectory(directory, mode: 0o700)
    }

    /// Where the file of this hash lies.
    func path(_ sha256: String) -> String { "\(directory)/\(sha256)" }

    /// The lower-case hexadecimal SHA-256 of bytes.
    static func hash(_ bytes: [UInt8]) -> String {
        let digits: [Character] = Array("0123456789abcdef")
        var text = ""
        for byte in SHA256.hash(data: bytes) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }

    /// Keeps a file; nothing is written when it is there already.
    func put(_ bytes: [UInt8], sha256: String) throws(FileError) {
        if let known = try Files.read(path(sha256)), Self.hash(known) == sha256 { return }
        try Files.replace(path(sha256), with: bytes, mode: 0o600)
        cache.withLock { cache in
            cache = cache.filter { $0.key.sha256 != sha256 }
        }
    }

    /// Whether the file is here and whole.
    func has(_ sha256: String) -> Bool {
        guard let bytes = try? Files.read(path(sha256)) else { return false }
        return Self.hash(bytes) == sha256
    }

    /// The file's bytes; nil when it is not on this machine.
    func bytes(_ sha256: String) throws(FileError) -> [UInt8]? {
        try Files.read(path(sha256))
    }

    /// The model in the file.
    func model(sha256: String, usesBestIteration: Bool) -> Loading {
        let request = Request(sha256: sha256, usesBestIteration: usesBestIteration)
        if let known = cache.withLock({ $0[request] }) { return .loaded(known) }
        let bytes: [UInt8]
        do {
            guard let found = try Files.read(path(sha256)) else { return .missing }
            bytes = found
        } catch {
            return .corrupt(code: "artifact_unreadable", message: "the artifact cannot be read")
        }
        guard Self.hash(bytes) == sha256 else {
            return .corrupt(code: "artifact_corrupt", message: "the artifact's bytes do not have its hash")
        }
        do {
            let model = try Model.load(bytes, iterations: usesBestIteration ? .best : .all)
            // Once through, so that the first decision does not pay for cold memory.
            var prediction = model.makePrediction()
            model.predict([Double](repeating: .nan, count: model.featureCount), into: &prediction)
            cache.withLock { $0[request] = model }
            return .loaded(model)
        } catch {
            return .corrupt(code: "model_\(error.code.rawValue)", message: error.message)
        }
    }

    /// Forgets loaded models that no definition names any more.
    func keepOnly(_ hashes: Set<String>) {
        cache.withLock { cache in cache = cache.filter { hashes.contains($0.key.sha256) } }
    }
}
