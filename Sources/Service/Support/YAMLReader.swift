public import JSON
import Yams

/// YAML text that is not what this service takes, with where.
public struct YAMLProblem: Error, Sendable, Equatable {
    /// What is wrong.
    public let message: String
    /// 1-based line, 0 when unknown.
    public let line: Int
}

/// Reads YAML 1.1 documents into the same trees that JSON gives. Anchors are resolved, tags other than the core ones are
/// refused, numbers keep their digits, `09:00`-like texts and dates stay text.
public enum YAMLReader {
    /// Bytes of YAML taken in one text.
    public static let bytesMax = 16 << 20
    /// Depth of nesting.
    public static let depthMax = 64
    /// Nodes after anchors are resolved: a bomb of aliases is refused.
    public static let nodesMax = 1_000_000

    /// All documents of `text`, in order; empty documents are left out.
    public static func documents(_ text: String) throws(YAMLProblem) -> [JSONTree] {
        guard text.utf8.count <= bytesMax else { throw YAMLProblem(message: "larger than \(bytesMax) bytes", line: 0) }
        var trees: [JSONTree] = []
        do {
            var budget = nodesMax
            let parser = try Parser(yaml: text)
            while let node = try parser.nextRoot() {
                let tree = try convert(node, depth: 0, &budget)
                if tree != .null { trees.append(tree) }
            }
        } catch let problem as YAMLProblem {
            throw problem
        } catch let error as YamlError {
            throw problem(error)
        } catch {
            throw YAMLProblem(message: "\(error)", line: 0)
        }
        return trees
    }

    private static func problem(_ error: YamlError) -> YAMLProblem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return YAMLProblem(message: problem, line: mark.line)
        default: return YAMLProblem(message: "\(error)", line: 0)
        }
    }

    private static func convert(_ node: Node, depth: Int, _ budget: inout Int) throws -> JSONTree {
        let line = node.mark?.line ?? 0
        budget -= 1
        if depth > depthMax || budget < 0 { throw YAMLProblem(message: "nested too deeply or too large", line: line) }
        let tag = node.tag.description
        guard tag.hasPrefix("tag:yaml.org,2002:") else {
            throw YAMLProblem(message: "the tag \(tag) is not taken", line: line)
        }
        switch node {
        case .scalar(let scalar): return try self.scalar(scalar, isText: tag.hasSuffix(":str"))
        case .sequence(let sequence):
            return .array(try sequence.map { try convert($0, depth: depth + 1, &budget) })
        case .mapping(let mapping):
            var members: [JSONTree.Member] = []
            var keys: Set<String> = []
            for (key, value) in mapping {
                guard let name = key.scalar?.string else { throw YAMLProblem(message: "keys are texts", line: line) }
                guard keys.insert(name).inserted else {
                    throw YAMLProblem(message: "the key \(name) stands twice", line: line)
                }
                members.append(JSONTree.Member(key: name, value: try convert(value, depth: depth + 1, &budget)))
            }
            return .object(members)
        case .alias:
            throw YAMLProblem(message: "an alias without its anchor", line: line)
        }
    }

    private static func scalar(_ scalar: Node.Scalar, isText: Bool) throws -> JSONTree {
        let text = scalar.string
        guard !isText, scalar.style == .plain || scalar.style == .any else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default:
            var copy = text
            let number = copy.withUTF8 { JSONNumber(parsing: $0) }
            return number.map(JSONTree.number) ?? .string(text)
        }
    }
}
