import HTTP
import JSON

/// A version of a model as it is uploaded: JSON that names an artifact, or a form with the artifact in it.
struct ModelUpload: Sendable {
    /// The definition that it makes.
    let document: JSONTree
    /// The artifact, where it came along.
    let artifact: [UInt8]?
    /// Rows of the training data as CSV, from which the card's reference is made.
    let reference: [UInt8]?
    let stage: ModelStage
    /// Why this version.
    let comment: String

    /// Members of an upload that stand in the definition's envelope.
    private static let envelope = ["domain", "owner", "description"]
    /// Parts of a form that are texts as they are; the others are YAML or JSON.
    private static let texts: Set<String> = ["domain", "owner", "description", "comment", "stage", "iterations"]

    /// Reads `{"artifact": {"sha256"}, "features", "card", "golden", ..., "stage", "comment"}`, or a form with a part per
    /// member, of which `artifact` is the file and `model` may hold several members in one document.
    init(_ head: RequestHead, _ body: [UInt8], name: String) throws(Problem) {
        var members: [JSONTree.Member]
        if let type = head.known(.contentType), head.isContentType("multipart/form-data") {
            (members, artifact, reference) = try Self.form(type, body)
        } else {
            (artifact, reference) = (nil, nil)
            do {
                members = try Self.members(try JSONTree(parsing: body))
            } catch let error as JSONError {
                throw Problem.malformed(error)
            } catch let problem as Problem {
                throw problem
            } catch {
                throw Problem(400, "malformed_json", "The body is not JSON that this service takes.")
            }
        }
        func take(_ key: String) -> JSONTree? {
            guard let index = members.firstIndex(where: { $0.key == key }) else { return nil }
            return members.remove(at: index).value
        }
        guard let stage = take("stage").map({ $0.string.flatMap(ModelStage.init(rawValue:)) }) ?? .candidate,
            stage != .champion, stage != .retired
        else {
            throw Problem.invalid([
                DocumentProblem(
                    pointer: "/stage", code: "value_not_allowed",
                    message: "candidate, challenger, or shadow; a champion is promoted")
            ])
        }
        self.stage = stage
        comment = take("comment")?.string ?? ""
        var document = [
            JSONTree.Member(key: "kind", value: .string(DefinitionKind.model.rawValue)),
            JSONTree.Member(key: "name", value: .string(name)),
        ]
        for key in Self.envelope {
            if let value = take(key) { document.append(JSONTree.Member(key: key, value: value)) }
        }
        document.append(JSONTree.Member(key: "spec", value: .object(members)))
        self.document = .object(document)
    }

    private static func members(_ tree: JSONTree) throws(Problem) -> [JSONTree.Member] {
        guard let members = tree.object else {
            throw Problem.invalid([
                DocumentProblem(pointer: "", code: "type_mismatch", message: "an object is expected here")
            ])
        }
        return members
    }

    private static func form(
        _ type: String, _ body: [UInt8]
    ) throws(Problem) -> (members: [JSONTree.Member], artifact: [UInt8]?, reference: [UInt8]?) {
        guard let boundary = MultipartReader.boundary(of: type) else {
            throw Problem(400, "malformed_form", "The Content-Type of a form has a boundary of 1 to 70 characters.")
        }
        let parts: [MultipartPart]
        do {
            parts = try MultipartReader.parts(body, boundary: boundary)
        } catch {
            throw Problem(400, "malformed_form", "The body is not multipart/form-data: \(error.message).")
        }
        var members: [JSONTree.Member] = []
        var (artifact, reference): ([UInt8]?, [UInt8]?)
        for part in parts {
            if part.name == "artifact" || part.name == "reference" {
                let bytes = Array(body[part.range])
                if part.name == "artifact" { artifact = bytes } else { reference = bytes }
                continue
            }
            guard let text = String(validating: body[part.range], as: UTF8.self) else {
                throw Problem(400, "invalid_utf8", "The form's part \(part.name) is not UTF-8.")
            }
            if texts.contains(part.name) {
                members.append(JSONTree.Member(key: part.name, value: .string(text)))
                continue
            }
            let tree = try document(part.name, text)
            if part.name == "model" {
                members += try Self.members(tree)
            } else {
                members.append(JSONTree.Member(key: part.name, value: tree))
            }
        }
        if let artifact {
            let hash = JSONTree.Member(key: "sha256", value: .string(ArtifactStore.hash(artifact)))
            members.removeAll { $0.key == "artifact" }
            members.append(JSONTree.Member(key: "artifact", value: .object([hash])))
        }
        var seen: Set<String> = []
        for member in members where !seen.insert(member.key).inserted {
            throw Problem.invalid([
                DocumentProblem(
                    pointer: "/" + member.key.pointerToken, code: "duplicate_field",
                    message: "this stands twice in the form")
            ])
        }
        return (members, artifact, reference)
    }

    private static func document(_ name: String, _ text: String) throws(Problem) -> JSONTree {
        if let tree = try? JSONTree(parsing: text) { return tree }
        do throws(YAMLProblem) {
            let trees = try YAMLReader.documents(text)
            if trees.count == 1 { return trees[0] }
            throw YAMLProblem(message: "one document is expected", line: 0)
        } catch {
            throw Problem(
                400, "malformed_yaml",
                "The form's part \(name) is neither JSON nor YAML that this service takes: \(error.message) (line \(error.line))."
            )
        }
    }
}
