import HTTP
import JSON
import Testing

@testable import Service

/// A small repeatable source of random numbers.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    mutating func text() -> String {
        let words = ["", "a", "customer", "Zoë", "\u{1F600}", "a\"b\\c\n", String(repeating: "x", count: 300)]
        return words.randomElement(using: &self) ?? ""
    }
}

extension JSONTree {
    /// The tree with the value at a pointer such as `/inputs/0/type` replaced, added, or (nil) taken out.
    func replacing(_ pointer: String, with value: JSONTree?) -> JSONTree {
        replacing(pointer.split(separator: "/").map(String.init)[...], with: value)
    }

    private func replacing(_ path: ArraySlice<String>, with value: JSONTree?) -> JSONTree {
        guard let token = path.first else { return value ?? .null }
        let rest = path.dropFirst()
        switch self {
        case .array(var items):
            let index = Int(token) ?? items.count
            if index >= items.count {
                if let value { items.append(value) }
            } else if rest.isEmpty && value == nil {
                items.remove(at: index)
            } else {
                items[index] = items[index].replacing(rest, with: value)
            }
            return .array(items)
        case .object(var members):
            let index = members.firstIndex { $0.key == token }
            if rest.isEmpty && value == nil {
                if let index { members.remove(at: index) }
            } else if let index {
                members[index].value = members[index].value.replacing(rest, with: value)
            } else {
                members.append(Member(key: token, value: JSONTree.object([]).replacing(rest, with: value)))
            }
            return .object(members)
        default: return self
        }
    }
}

extension ProblemList {
    /// `pointer code` of every problem, sorted.
    var brief: [String] { problems.map { "\($0.pointer) \($0.code)" }.sorted() }
}

/// One change to a good definition, and what must be said about it.
struct Refusal: CustomTestStringConvertible, Sendable {
    let pointer: String
    /// JSON text; nil takes the member out.
    let value: String?
    let told: [String]
    var testDescription: String { "\(pointer) = \(value ?? "(absent)")" }

    init(_ pointer: String, _ value: String?, _ told: String...) {
        self.pointer = pointer
        self.value = value
        self.told = told.sorted()
    }

    func apply(_ tree: JSONTree) throws -> JSONTree {
        tree.replacing(pointer, with: try value.map { try JSONTree(parsing: $0) })
    }
}

/// Definitions that tests share.
enum Fixture {
    static let contract = """
        apiVersion: v3.1.0
        kind: DataContract
        id: orders
        name: orders
        version: 1.0.0
        status: active
        domain: shop
        description: {purpose: Orders of the shop.}
        team: {name: Shop platform}
        customProperties:
          - {property: decisiond.eventTypes, value: [shop.order]}
        schema:
          - id: orders
            name: orders
            logicalType: object
            properties:
              - {id: id, name: id, logicalType: string, required: true}
              - {id: source, name: source, logicalType: string, required: true}
              - {id: type, name: type, logicalType: string, required: true}
              - {id: subject, name: subject, logicalType: string, required: true}
              - {id: time, name: time, logicalType: timestamp, required: true}
              - id: data
                name: data
                logicalType: object
                required: true
                properties:
                  - {id: product, name: product, logicalType: string, classification: personal}
                  - {id: quantity, name: quantity, logicalType: integer, required: true}
                  - {id: weight, name: weight, logicalType: number}
                  - {id: amount, name: amount, logicalType: number, logicalTypeOptions: {multipleOf: 0.01}}
                  - {id: gift, name: gift, logicalType: boolean}
                  - {id: day, name: day, logicalType: date}
                  - {id: slot, name: slot, logicalType: time}
                  - {id: tags, name: tags, logicalType: array, items: {id: tag, name: tag, logicalType: string}}
        """

    static func contractDocument() throws -> JSONTree {
        try #require(YAMLReader.documents(contract).first)
    }

    static func schema() throws -> StreamSchema { StreamSchema(contract: try contractDocument()) }

    static func definition(_ kind: String, _ spec: JSONTree, name: String = "thing") throws -> Definition {
        let document = JSONTree.members([
            "kind": .string(kind), "name": .string(name), "owner": .string("ann"), "spec": spec,
        ])
        let problems = ProblemList()
        return try #require(Definition(document, at: "", problems, version: 2), "\(problems.brief)")
    }

    static func tree(_ text: String) throws -> JSONTree { try JSONTree(parsing: text) }
}
