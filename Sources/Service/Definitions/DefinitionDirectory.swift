import DMN
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
/// inflated first. A Decision's `dmn: {file: loan.dmn, import_files: [...]}`, of the whole decision or of a node, becomes
/// `dmn: {model: ...}` with the files' XML. A .dmn file that no document names is a Decision of its own, named after its
/// model, with the models that it imports from the files beside it.
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

    /// Files that documents named.
    private var named: Set<String> = []

    /// Reads every .yaml, .yml, .json and .dmn file below a directory, or one such file.
    public init(path: String) throws(DirectoryProblem) {
        let files = try Self.files(path, depth: 0)
        for file in files where !file.hasSuffix(".dmn") { try read(file) }
        try readModels(files.filter { $0.hasSuffix(".dmn") && !named.contains($0) })
    }

    /// Decisions that are model files and nothing else.
    private mutating func readModels(_ files: [String]) throws(DirectoryProblem) {
        var models: [(file: String, folder: String, text: String, model: DMNModel)] = []
        for file in files {
            let text = try Self.text(at: file)
            do {
                models.append((file, Self.place("", besides: file), text, try DMNModel(xml: Array(text.utf8))))
            } catch {
                throw DirectoryProblem("\(file): \(error.issues.map(\.line).joined(separator: "; "))")
            }
        }
        let imported = Set(models.flatMap { entry in entry.model.imports.map { entry.folder + $0.namespace } })
        for entry in models where !imported.contains(entry.folder + entry.model.namespace) {
            // The models that it imports, directly or through others.
            var wanted = entry.model.imports.map(\.namespace)
            var found: [String: String] = [:]
            while let namespace = wanted.popLast() {
                guard found[namespace] == nil, namespace != entry.model.namespace,
                    let other = models.first(where: { $0.folder == entry.folder && $0.model.namespace == namespace })
                else { continue }
                found[namespace] = other.text
                wanted += other.model.imports.map(\.namespace)
            }
            documents.append(Self.decision(entry.model, entry.text, found.sorted { $0.key < $1.key }.map(\.value)))
            origins.append(entry.file)
        }
    }

    private static func decision(_ model: DMNModel, _ text: String, _ imports: [String]) -> JSONTree {
        var dmn = [JSONTree.Member(key: "model", value: .string(text))]
        if !imports.isEmpty { dmn.append(.init(key: "imports", value: .array(imports.map { .string($0) }))) }
        var members = [
            JSONTree.Member(key: "kind", value: .string("Decision")),
            JSONTree.Member(key: "name", value: .string(name(of: model))),
        ]
        if let description = model.description {
            members.append(JSONTree.Member(key: "description", value: .string(description)))
        }
        members.append(.init(key: "spec", value: .object([.init(key: "dmn", value: .object(dmn))])))
        return .object(members)
    }

    /// The model's name in the characters that names of definitions have.
    private static func name(of model: DMNModel) -> String {
        let name = String(
            model.name.prefix(Definition.nameBytesMax).map { character in
                character.isASCII && (character.isLetter || character.isNumber || "_.-".contains(character))
                    ? character : "-"
            })
        return Definition.isName(name) ? name : "dmn-" + name
    }

    private static func files(_ path: String, depth: Int) throws(DirectoryProblem) -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw DirectoryProblem("\(path): cannot be read") }
        if status.st_mode & S_IFMT != S_IFDIR {
            let isDocument = [".yaml", ".yml", ".json", ".dmn"].contains { path.hasSuffix($0) }
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
            documents.append(try withModels(try withArtifact(tree, file), file))
            origins.append(trees.count == 1 ? file : "\(file)#\(number + 1)")
        }
    }

    private static func place(_ path: String, besides file: String) -> String {
        let base = file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
        return path.hasPrefix("/") ? path : base + path
    }

    private mutating func withModels(_ tree: JSONTree, _ file: String) throws(DirectoryProblem) -> JSONTree {
        guard tree["kind"]?.string == "Decision" else { return tree }
        var tree = tree
        if let node = tree["spec"]?["dmn"], case .object(let members) = node {
            tree = tree.setting(["spec", "dmn"][...], try inlined(members, file))
        }
        guard case .array(var nodes)? = tree["spec"]?["nodes"] else { return tree }
        for (index, node) in nodes.enumerated() {
            guard case .object(let members)? = node["dmn"] else { continue }
            nodes[index] = node.setting(["dmn"][...], try inlined(members, file))
        }
        return tree.setting(["spec", "nodes"][...], .array(nodes))
    }

    /// The members of `dmn` with the text of files where these are named.
    private mutating func inlined(_ members: [JSONTree.Member], _ file: String) throws(DirectoryProblem) -> JSONTree {
        var inlined: [JSONTree.Member] = []
        for member in members {
            switch (member.key, member.value) {
            case ("file", .string(let path)):
                inlined.append(JSONTree.Member(key: "model", value: .string(try text(path, besides: file))))
            case ("import_files", .array(let paths)):
                var texts: [JSONTree] = []
                for path in paths {
                    guard let path = path.string else { throw DirectoryProblem("\(file): import_files are texts") }
                    texts.append(.string(try text(path, besides: file)))
                }
                inlined.append(JSONTree.Member(key: "imports", value: .array(texts)))
            default: inlined.append(member)
            }
        }
        return .object(inlined)
    }

    private mutating func text(_ path: String, besides file: String) throws(DirectoryProblem) -> String {
        let place = Self.place(path, besides: file)
        named.insert(place)
        return try Self.text(at: place)
    }

    private static func text(at place: String) throws(DirectoryProblem) -> String {
        do {
            guard let bytes = try Files.read(place) else { throw DirectoryProblem("\(place): no such file") }
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            throw DirectoryProblem("\(place): \(error)")
        }
    }

    private mutating func withArtifact(_ tree: JSONTree, _ file: String) throws(DirectoryProblem) -> JSONTree {
        guard tree["kind"]?.string == "Model", let path = tree["spec"]?["artifact"]?["file"]?.string else {
            return tree
        }
        let place = Self.place(path, besides: file)
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
