/// One operation; operands are indices of other nodes, of constants, or of slots and locals, as the operation says.
struct Node: Sendable {
    enum Operation: UInt8, Sendable {
        /// a: constant.
        case constant
        /// a: slot.
        case slot
        /// a: local.
        case local
        case input
        /// a: constant with the name, or what is wrong; sub: 0 for a name, 1 for a call, 2 for a literal.
        case unknown
        /// a: local, b: constant with the name, c: node otherwise or -1.
        case contextual
        /// a: node, b: constant with the name.
        case path
        case negate
        /// sub: ArithmeticOperator; a, b: nodes.
        case arithmetic
        /// sub: ComparisonOperator; a, b: nodes.
        case compare
        /// sub: ComparisonOperator; a: node, b: constant.
        case compareConstant
        /// a, b, c: nodes.
        case between
        /// a: node, b, c: nodes; sub: bit 0 includes low, bit 1 includes high.
        case inside
        /// a: node, b: first constant, c: count; the constants are all non-null values.
        case inConstants
        /// a: node, b: index of the hashed set.
        case inSet
        /// a: subject, b: node; sub: 1 when the test uses the input.
        case test
        /// b: first child, c: count.
        case and
        case or
        case not
        case conditional
        /// b: first child, c: count.
        case list
        /// b: first child, c: count; children are triples (constant with key, local, node).
        case context
        /// a, b: nodes; sub as for inside, bit 2 for an intended missing endpoint.
        case interval
        /// a: node; sub: 1 when negated.
        case pointRange
        /// a: node, b: local, c: condition.
        case filter
        /// a: body, b: first child, c: count of iterators; children are triples (local, domain, end or -1); sub:
        /// LoopKind; the child after the last is the local of `partial`, or -1.
        case loop
        /// a: body, b: function template, c: first local.
        case function
        /// a: node, b: type.
        case instanceOf
        /// sub: BuiltIn; a: 1 + the overload that the names chose, or -1 - the compiled pattern, or 0; b: first child, c:
        /// count.
        case call
        /// a: function node, b: first child, c: count; sub: 1 when names follow the arguments as constants.
        case invoke
        /// a: local, b: value, c: body.
        case binding
    }

    var operation: Operation
    var sub: UInt8 = 0
    var a: Int32 = 0
    var b: Int32 = 0
    var c: Int32 = 0
}

/// A compiled source: nodes in an array, the last one compiled being the root. Immutable, so any number of threads may
/// evaluate it.
final class Program: Sendable {
    let nodes: [Node]
    let offsets: [Int32]
    /// Nodes of each node's subtree.
    let weights: [Int32]
    /// Regular expressions that the source spells out.
    let patterns: [Pattern]
    let constants: [Value]
    let children: [Int32]
    let sets: [Set<Value>]
    let types: [FEELType]
    let templates: [FunctionTemplate]
    let slotNames: [String]
    let root: Int32
    let rootNode: Node
    let zones: ZoneOffsets
    /// What the owning expression tells about itself; kept here so that an expression is one reference to copy.
    let details: Details

    struct Details: Sendable {
        var source = ""
        var type = FEELType.any
        var usedSlots: [Int] = []
        var shape = UnaryTestShape.opaque
        /// The tree it was compiled from; partial evaluation and SQL start from it.
        var term = Term(kind: .constant(.null), type: .null, offset: 0, depth: 1)
    }

    struct FunctionTemplate: Sendable {
        let parameters: [Term.Parameter]
        let type: FEELType
    }

    init(_ builder: ProgramBuilder, root: Int32, details: Details = Details()) {
        self.details = details
        nodes = builder.nodes
        offsets = builder.offsets
        weights = builder.weights
        patterns = builder.patterns
        constants = builder.constants
        children = builder.children
        sets = builder.sets
        types = builder.types
        templates = builder.templates
        slotNames = builder.slotNames
        zones = builder.zones
        self.root = root
        rootNode = builder.nodes[Int(root)]
    }

    var constantResult: Value? {
        let node = nodes[Int(root)]
        return node.operation == .constant ? constants[Int(node.a)] : nil
    }

    @inline(__always)
    func run<Result>(
        _ slots: [Value], _ input: Value, _ now: Int64?, _ collects: Bool, _ body: (inout Machine) -> Result
    ) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            constants.withUnsafeBufferPointer { constants in
                children.withUnsafeBufferPointer { children in
                    slots.withUnsafeBufferPointer { slotBuffer in
                        var machine = Machine(
                            program: self, nodes: nodes, constants: constants, children: children, slots: slotBuffer,
                            input: input, now: now, collects: collects)
                        return body(&machine)
                    }
                }
            }
        }
    }

    func evaluate(_ slots: [Value], input: Value, now: Int64?) -> Value {
        // A bare name or constant, as most columns and cells of tables are, needs no machine.
        switch rootNode.operation {
        case .slot: return Int(rootNode.a) < slots.count ? slots[Int(rootNode.a)] : .null
        case .constant: return constants[Int(rootNode.a)]
        default: break
        }
        return run(slots, input, now, false) { machine in
            let value = machine.value(root)
            return value.isComposite && !value.isBounded ? .null : value
        }
    }

    func evaluate(_ slots: [Value], input: Value, now: Int64?, reasons: inout [NullReason]) -> Value {
        run(slots, input, now, true) { machine in
            var value = machine.value(root)
            if value.isComposite && !value.isBounded {
                value = machine.null(.limit, "the result is too big", root)
            }
            if value.isNull && machine.reasons.isEmpty {
                // Whatever else gives null says so: this one was written as such or stood so in the data.
                _ = machine.null(.missing, "null", root)
            }
            reasons.append(contentsOf: machine.reasons)
            return value
        }
    }

    /// The value of an operation on constants while compiling; the steps are the whole source's.
    func folded(_ steps: inout Int) -> Value {
        run([], .null, nil, false) { machine in
            machine.steps = steps
            let value = machine.value(root)
            steps = machine.steps
            return value
        }
    }

    func truth(_ slots: [Value], input: Value, now: Int64?) -> Bool? {
        run(slots, input, now, false) { $0.truth(root).boolean }
    }

    /// Calls a function body of this program with its own slots and locals, inside another machine's budget.
    func call(entry: Int32, slots: [Value], locals: [Value], from caller: inout Machine) -> Value {
        run(slots, .null, caller.now, caller.collects) { machine in
            machine.locals = locals
            machine.depth = caller.depth
            machine.steps = caller.steps
            machine.observer = caller.observer
            let value = machine.value(entry)
            caller.steps = machine.steps
            if caller.collects { caller.reasons.append(contentsOf: machine.reasons) }
            return value
        }
    }
}

/// Three-valued logic.
enum Truth: UInt8, Sendable {
    case no, yes, unknown

    @inline(__always) init(_ value: Bool) { self = value ? .yes : .no }

    @inline(__always) var value: Value {
        switch self {
        case .no: .boolean(false)
        case .yes: .boolean(true)
        case .unknown: .null
        }
    }

    @inline(__always) var boolean: Bool? {
        switch self {
        case .no: false
        case .yes: true
        case .unknown: nil
        }
    }
}
