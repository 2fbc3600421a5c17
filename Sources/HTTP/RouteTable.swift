/// Where a head leads in a ``RouteTable``.
public enum RouteMatch<Value> {
    /// The value, and the decoded text of each `{parameter}` in order.
    case found(Value, parameters: [String])
    /// No pattern has this path.
    case notFound
    /// The path exists with these methods only.
    case methodNotAllowed(MethodSet)
}

/// Maps method and path pattern to a value. A literal segment wins over a parameter; there is no backtracking
/// across that
/// choice, so patterns never shadow each other by order. Immutable once built, hence shared by all loops.
public struct RouteTable<Value: Sendable>: Sendable {
    private struct Node: Sendable {
        var literals: [(text: [UInt8], node: Int)] = []
        var parameter: Int?
        var values: [(method: Method, value: Value)] = []

        var methods: MethodSet { values.reduce(into: MethodSet()) { $0.formUnion(MethodSet($1.method)) } }
    }

    private var nodes = [Node()]
    /// Every method and pattern, in the order added.
    public private(set) var routes: [(method: Method, pattern: String)] = []

    /// An empty table.
    public init() {}

    /// Adds a pattern such as `/v1/features/{view}`. Adding the same method and pattern twice is our own fault:
    /// precondition.
    public mutating func add(_ method: Method, _ pattern: String, _ value: Value) {
        precondition(pattern.utf8.first == 0x2F, "a route pattern begins with '/'")
        var node = 0
        for segment in pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            node = child(of: node, segment)
        }
        precondition(!nodes[node].methods.contains(method: method), "route \(pattern) is there twice")
        nodes[node].values.append((method, value))
        routes.append((method, pattern))
    }

    private mutating func child(of node: Int, _ segment: Substring) -> Int {
        if segment.hasPrefix("{"), segment.hasSuffix("}") {
            if let existing = nodes[node].parameter { return existing }
            nodes.append(Node())
            nodes[node].parameter = nodes.count - 1
            return nodes.count - 1
        }
        let text = Array(segment.utf8)
        if let existing = nodes[node].literals.first(where: { $0.text == text }) { return existing.node }
        nodes.append(Node())
        nodes[node].literals.append((text, nodes.count - 1))
        return nodes.count - 1
    }

    /// Where the head leads. Allocates only for parameters.
    public func match(_ head: RequestHead) -> RouteMatch<Value> {
        guard let node = find(head) else { return .notFound }
        let values = nodes[node].values
        guard let entry = values.first(where: { $0.method == head.method }) else {
            return values.isEmpty ? .notFound : .methodNotAllowed(nodes[node].methods)
        }
        return .found(entry.value, parameters: parameters(head))
    }

    /// The methods of the head's path, or nil when no pattern has it.
    public func methods(_ head: RequestHead) -> MethodSet? {
        guard let node = find(head), !nodes[node].values.isEmpty else { return nil }
        return nodes[node].methods
    }

    private func find(_ head: RequestHead) -> Int? {
        var node = 0
        for range in head.target.segments {
            guard let next = step(node, head, range) else { return nil }
            node = next.node
        }
        return node
    }

    private func parameters(_ head: RequestHead) -> [String] {
        var node = 0
        var values: [String] = []
        for range in head.target.segments {
            guard let next = step(node, head, range) else { return values }
            if next.isParameter { values.append(head.target.text(range)) }
            node = next.node
        }
        return values
    }

    private func step(_ node: Int, _ head: RequestHead, _ range: Range<Int>) -> (node: Int, isParameter: Bool)? {
        for literal in nodes[node].literals where head.target.decoded[range].elementsEqual(literal.text) {
            return (literal.node, false)
        }
        // An empty segment ("/v1//x", "/v1/x/") names nothing.
        guard let parameter = nodes[node].parameter, !range.isEmpty else { return nil }
        return (parameter, true)
    }
}
