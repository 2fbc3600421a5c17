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
    private var tree = RouteTree()
    private var values: [Value] = []
    /// Every method and pattern, in the order added.
    public private(set) var routes: [(method: Method, pattern: String)] = []

    /// An empty table.
    public init() {}

    /// Adds a pattern such as `/v1/features/{view}`. Adding the same method and pattern twice is our own fault:
    /// precondition.
    public mutating func add(_ method: Method, _ pattern: String, _ value: Value) {
        tree.add(method, pattern, values.count)
        values.append(value)
        routes.append((method, pattern))
    }

    /// Where the head leads. Allocates only for parameters.
    public func match(_ head: RequestHead) -> RouteMatch<Value> {
        switch tree.match(head) {
        case .found(let index, let parameters): .found(values[index], parameters: parameters)
        case .notFound: .notFound
        case .methodNotAllowed(let methods): .methodNotAllowed(methods)
        }
    }

    /// The methods of the head's path, or nil when no pattern has it.
    public func methods(_ head: RequestHead) -> MethodSet? { tree.methods(head) }
}

/// The patterns of a ``RouteTable``, leading to indexes; not generic, so that every request walks specialized code.
struct RouteTree: Sendable {
    private struct Node: Sendable {
        var literals: [(text: [UInt8], node: Int)] = []
        var parameter: Int?
        var values: [(method: Method, value: Int)] = []

        var methods: MethodSet { values.reduce(into: MethodSet()) { $0.formUnion(MethodSet($1.method)) } }
    }

    private var nodes = [Node()]

    mutating func add(_ method: Method, _ pattern: String, _ value: Int) {
        precondition(pattern.utf8.first == 0x2F, "a route pattern begins with '/'")
        var node = 0
        for segment in pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            node = child(of: node, segment)
        }
        precondition(!nodes[node].methods.contains(method: method), "route \(pattern) is there twice")
        nodes[node].values.append((method, value))
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

    func match(_ head: RequestHead) -> RouteMatch<Int> {
        var parameters: [String] = []
        guard let node = find(head, { parameters.append(head.target.text($0)) }) else { return .notFound }
        for entry in nodes[node].values where entry.method == head.method {
            return .found(entry.value, parameters: parameters)
        }
        return nodes[node].values.isEmpty ? .notFound : .methodNotAllowed(nodes[node].methods)
    }

    func methods(_ head: RequestHead) -> MethodSet? {
        guard let node = find(head, { _ in }), !nodes[node].values.isEmpty else { return nil }
        return nodes[node].methods
    }

    /// The node that the path leads to; `parameter` is given each parameter's place, in order.
    private func find(_ head: RequestHead, _ parameter: (Range<Int>) -> Void) -> Int? {
        head.target.decoded.withUnsafeBufferPointer { decoded in
            nodes.withUnsafeBufferPointer { nodes in
                var node = 0
                for range in head.target.segments {
                    let segment = UnsafeBufferPointer(rebasing: decoded[range])
                    if let next = Self.literal(segment, nodes[node].literals) {
                        node = next
                    } else if let next = nodes[node].parameter, !range.isEmpty {
                        // An empty segment ("/v1//x", "/v1/x/") names nothing.
                        parameter(range)
                        node = next
                    } else {
                        return nil
                    }
                }
                return node
            }
        }
    }

    private static func literal(
        _ segment: UnsafeBufferPointer<UInt8>, _ literals: [(text: [UInt8], node: Int)]
    ) -> Int? {
        for literal in literals where literal.text.count == segment.count {
            let isEqual = literal.text.withUnsafeBufferPointer { text in
                for index in 0..<text.count where text[index] != segment[index] { return false }
                return true
            }
            if isEqual { return literal.node }
        }
        return nil
    }
}
