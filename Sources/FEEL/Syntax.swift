/// A node of the resolved syntax tree: names are already bound to slots and locals, types inferred as far as they are
/// known.
struct Term: Sendable {
    let kind: Kind
    let type: FEELType
    /// Where it starts, in UTF-8 bytes of the source.
    let offset: Int
    /// Height of the tree below, bounded by `FEELLimits.treeDepth` so that the recursive passes cannot overflow the
    /// stack.
    let depth: Int

    indirect enum Kind: Sendable {
        case constant(Value)
        case slot(Int)
        case local(Int)
        /// `?`, the tested input.
        case input
        /// A name that is not in scope; null with a reason under the DMN profile.
        case unknown(String)
        /// What can have no value: a call with arguments that the built-in does not take, a literal that names no date.
        case failed(NullReason.Code, String)
        /// A name in a filter whose element type is unknown: an entry of the element if it has one, else the name
        /// outside.
        case contextual(local: Int, name: String, otherwise: Term?)
        case path(Term, String)
        case negate(Term)
        case arithmetic(ArithmeticOperator, Term, Term)
        case compare(ComparisonOperator, Term, Term)
        case between(Term, Term, Term)
        case inside(Term, low: Term, high: Term, includesLow: Bool, includesHigh: Bool)
        /// One expression as a test of a subject: equal, contained in, or itself true.
        case test(subject: Term, Term, usesInput: Bool)
        case and([Term])
        case or([Term])
        case not(Term)
        case conditional(Term, Term, Term)
        case list([Term])
        case context([Entry])
        case interval(low: Term, high: Term, includesLow: Bool, includesHigh: Bool)
        /// `(= x)` or `(!= x)` as a value.
        case pointRange(Term, isNegated: Bool)
        case filter(Term, local: Int, Term)
        case loop(LoopKind, [Iterator], partial: Int, Term)
        case function([Parameter], firstLocal: Int, Term)
        case instanceOf(Term, FEELType)
        /// The overload is known when the arguments were named.
        case call(BuiltIn, [Term], overload: Int?)
        case invoke(Term, [Term], names: [String])
        case binding(local: Int, Term, Term)
    }

    /// The missing endpoint of `(< x)` and its kin: a null that no source text spells.
    static let openEnd = Term(kind: .constant(.null), type: .null, offset: -1, depth: 1)
    var isOpenEnd: Bool { offset < 0 }

    struct Entry: Sendable {
        let key: String
        let local: Int
        let value: Term
    }

    struct Iterator: Sendable {
        let local: Int
        let domain: Term
        /// The end of `a..b`; nil for a list.
        let end: Term?
    }

    struct Parameter: Sendable {
        let name: String
        let type: FEELType
    }
}

enum ArithmeticOperator: UInt8, Sendable {
    case add, subtract, multiply, divide, power
}

enum ComparisonOperator: UInt8, Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual

    var isOrder: Bool { rawValue >= ComparisonOperator.less.rawValue }
}

enum LoopKind: UInt8, Sendable {
    case collect, some, every
}

/// What a name means.
struct Binding: Sendable {
    enum Target: Sendable {
        case slot(Int)
        case local(Int)
        case builtIn(BuiltIn)
        /// An entry of the context in a local (the element of a filter).
        case field(local: Int, name: String)
    }

    let target: Target
    let type: FEELType
}

/// The names in scope, innermost last. Names are compared token by token, so that spacing inside them does not matter.
struct Scope: Sendable {
    private var bindings: [String: [Binding]] = [:]
    private var order: [String] = []
    private(set) var longestTokens = 1
    /// Locals in use; the next one gets this number.
    var localCount = 0
    /// Names of entries seen in any context type, to recognise names with spaces after a dot.
    var fieldNames: [String: String] = [:]
    /// Locals that hold filter elements of unknown type, innermost last.
    var openElements: [Int] = []

    /// The scope that every source starts with; built once, since it is the same for all.
    static let builtIns: Scope = {
        var scope = Scope()
        for signature in Signature.table {
            scope.push(signature.name, Binding(target: .builtIn(signature.function), type: .function([], .any)))
        }
        return scope
    }()

    /// The canonical spelling: tokens joined by one space.
    static func key(_ name: String) -> (key: String, tokens: Int) {
        let tokens = SourceScanner.nameTokens(Array(name.utf8), from: 0, limit: 64).map(\.text)
        return (tokens.joined(separator: " "), max(tokens.count, 1))
    }

    mutating func push(_ name: String, _ binding: Binding) {
        let (key, tokens) = Scope.key(name)
        longestTokens = max(longestTokens, tokens)
        bindings[key, default: []].append(binding)
        order.append(key)
        noteFields(binding.type)
    }

    mutating func noteFields(_ type: FEELType) {
        switch type {
        case .list(let element), .range(let element): noteFields(element)
        case .context(let fields):
            for (name, type) in fields {
                noteField(name)
                noteFields(type)
            }
        default: break
        }
    }

    mutating func noteField(_ name: String) {
        let (key, tokens) = Scope.key(name)
        longestTokens = max(longestTokens, tokens)
        fieldNames[key] = name
    }

    var mark: Int { order.count }

    mutating func pop(to mark: Int) {
        while order.count > mark {
            let key = order.removeLast()
            bindings[key]?.removeLast()
            if bindings[key]?.isEmpty == true { bindings[key] = nil }
        }
    }

    func lookup(_ key: String) -> Binding? { bindings[key]?.last }
}
