extension Expression {
    /// The expression that is left when some names are known: known parts are computed, and what cannot matter any more
    /// is gone.
    ///
    /// For every value of the unknown slots, null included, the result evaluates to what the whole expression gives
    /// with the known ones put in; only the steps that count against `FEELLimits.evaluationSteps` are fewer. It reads
    /// the same slots by the same numbers, and keeps the source, to which its offsets refer.
    /// - Parameters:
    ///   - known: a value per slot, nil where it is unknown; slots past its end are unknown.
    ///   - now: the time of `now()` and `today()`, in microseconds since the Unix epoch; nil leaves them open.
    public func partiallyEvaluate(_ known: [Value?], now: Int64? = nil) -> Expression {
        var evaluator = PartialEvaluator(program, known: known, now: now, keepsReasons: true)
        let term = evaluator.reduce(program.details.term, [:]).term
        return Expression(residual: term, of: program)
    }

    private init(residual term: Term, of program: Program) {
        var builder = ProgramBuilder(slotNames: program.slotNames, zones: program.zones)
        let root = builder.compile(term)
        let details = Program.Details(
            source: program.details.source, type: program.details.type, usedSlots: builder.usedSlots.sorted(),
            term: term)
        self.init(program: Program(builder, root: root, details: details))
    }
}

/// Rewrites a tree in which some slots are known. Three-valued logic is kept exactly: nothing is dropped that could
/// still be null.
struct PartialEvaluator {
    /// A rewritten term and what it still depends on.
    struct Part {
        var term: Term
        /// Its value, when it depends on nothing unknown; a null value may still have a term that tells its reason.
        var value: Value?
        /// Whether it reads an unknown slot, the tested input or the clock.
        var isOpen = false
        /// Locals that it reads and does not bind itself.
        var locals: Set<Int> = []

        var isNull: Bool { value?.isNull ?? false }
    }

    typealias Locals = [Int: Part]

    private let slotNames: [String]
    private let zones: ZoneOffsets
    private let known: [Value?]
    private let now: Int64?
    /// Whether a known null keeps the operation that made it, so that evaluation can tell why.
    private let keepsReasons: Bool
    /// Loop bodies that may still be written out.
    private var unrolls = FEELLimits.unrolledBodies

    init(_ program: Program, known: [Value?], now: Int64?, keepsReasons: Bool) {
        slotNames = program.slotNames
        zones = program.zones
        self.known = known
        self.now = now
        self.keepsReasons = keepsReasons
    }

    // MARK: Building

    func constant(_ value: Value, like term: Term, _ type: FEELType? = nil) -> Part {
        let type = type ?? (term.type == .any || term.type == .null ? value.type : term.type)
        return Part(term: Term(kind: .constant(value), type: type, offset: term.offset, depth: 1), value: value)
    }

    /// The operation on rewritten operands, computed when they are all known.
    func make(_ kind: Term.Kind, like term: Term, _ parts: [Part], binding bound: Set<Int> = []) -> Part {
        var result = Part(term: term)
        var depth = 0
        for part in parts {
            depth = max(depth, part.term.depth)
            result.isOpen = result.isOpen || part.isOpen
            result.locals.formUnion(part.locals)
        }
        result.locals.subtract(bound)
        result.term = Term(kind: kind, type: term.type, offset: term.offset, depth: depth + 1)
        return folded(result)
    }

    private func folded(_ part: Part) -> Part {
        guard !part.isOpen, part.locals.isEmpty else { return part }
        // A function is no literal; it is called, or stays what it is.
        if case .function = part.term.kind { return part }
        var builder = ProgramBuilder(slotNames: slotNames, zones: zones)
        let root = builder.compile(part.term)
        let value = Program(builder, root: root).evaluate([], input: .null, now: now)
        if value.isNull && keepsReasons {
            var known = part
            known.value = .null
            return known
        }
        return constant(value, like: part.term)
    }

    /// Null, told by the operand that is null.
    func null(from part: Part, like term: Term) -> Part {
        var result = part
        result.term = Term(kind: part.term.kind, type: term.type, offset: part.term.offset, depth: part.term.depth)
        return keepsReasons ? result : constant(.null, like: term, term.type)
    }

    // MARK: Terms

    mutating func reduce(_ term: Term, _ locals: Locals) -> Part {
        switch term.kind {
        case .constant(let value): return Part(term: term, value: value)
        case .slot(let slot): return reduceSlot(slot, term)
        case .local(let local): return locals[local] ?? Part(term: term, locals: [local])
        case .input: return Part(term: term, isOpen: true)
        case .unknown, .failed:
            return keepsReasons ? Part(term: term, value: .null) : constant(.null, like: term, term.type)
        case .contextual(let local, let name, let otherwise):
            return reduceContextual(local, name, otherwise, term, locals)
        case .path(let target, let name):
            let part = reduce(target, locals)
            return make(.path(part.term, name), like: term, [part])
        case .negate(let operand):
            let part = reduce(operand, locals)
            return make(.negate(part.term), like: term, [part])
        case .arithmetic(let operation, let a, let b):
            let parts = [reduce(a, locals), reduce(b, locals)]
            if let null = parts.first(where: \.isNull) { return self.null(from: null, like: term) }
            return make(.arithmetic(operation, parts[0].term, parts[1].term), like: term, parts)
        case .instanceOf(let operand, let type):
            let part = reduce(operand, locals)
            return make(.instanceOf(part.term, type), like: term, [part])
        case .compare, .between, .inside, .test, .and, .or, .not, .conditional: return reduceLogic(term, locals)
        default: return reduceStructure(term, locals)
        }
    }

    private func reduceSlot(_ slot: Int, _ term: Term) -> Part {
        guard slot < known.count, let value = known[slot] else { return Part(term: term, isOpen: true) }
        guard value.isNull, keepsReasons else { return constant(value, like: term) }
        // A name that is not there is null and says so.
        return Part(
            term: Term(kind: .unknown(slotNames[slot]), type: term.type, offset: term.offset, depth: 1), value: .null)
    }

    private mutating func reduceContextual(
        _ local: Int, _ name: String, _ otherwise: Term?, _ term: Term, _ locals: Locals
    ) -> Part {
        let rest = otherwise.map { reduce($0, locals) }
        if let element = locals[local]?.value {
            if case .context(let context) = element, let value = context[name] { return constant(value, like: term) }
            return rest ?? constant(.null, like: term)
        }
        var part = make(
            .contextual(local: local, name: name, otherwise: rest?.term), like: term,
            [Part(term: term, locals: [local])] + (rest.map { [$0] } ?? []))
        part.locals.insert(local)
        return part
    }

    // MARK: Structure

    private mutating func reduceAll(_ terms: [Term], _ locals: Locals) -> [Part] {
        var parts: [Part] = []
        for term in terms { parts.append(reduce(term, locals)) }
        return parts
    }

    private mutating func reduceStructure(_ term: Term, _ locals: Locals) -> Part {
        switch term.kind {
        case .list(let elements):
            let parts = reduceAll(elements, locals)
            return make(.list(parts.map(\.term)), like: term, parts)
        case .context(let entries): return reduceContext(entries, term, locals)
        case .interval(let low, let high, let includesLow, let includesHigh):
            // The missing endpoint of an open range must stay the one that it is.
            let parts = reduceAll([low, high], locals)
            return make(
                .interval(
                    low: low.isOpenEnd ? low : parts[0].term, high: high.isOpenEnd ? high : parts[1].term,
                    includesLow: includesLow, includesHigh: includesHigh),
                like: term, parts)
        case .pointRange(let bound, let isNegated):
            let part = reduce(bound, locals)
            return make(.pointRange(part.term, isNegated: isNegated), like: term, [part])
        case .filter(let target, let local, let condition):
            let list = reduce(target, locals)
            let test = reduce(condition, locals.without(local))
            var part = make(.filter(list.term, local: local, test.term), like: term, [list, test], binding: [local])
            part.locals.formUnion(list.locals)
            return part
        case .loop(let kind, let iterators, let partial, let body):
            return reduceLoop(kind, iterators, partial, body, term, locals)
        case .binding(let local, let value, let body):
            let part = reduce(value, locals)
            var inner = locals
            inner[local] = part.value == nil ? nil : part
            let result = reduce(body, inner)
            if part.value != nil { return result }
            var bound = make(
                .binding(local: local, part.term, result.term), like: term, [part, result], binding: [local])
            bound.locals.formUnion(part.locals)
            return bound
        default: return reduceCall(term, locals)
        }
    }

    private mutating func reduceContext(_ entries: [Term.Entry], _ term: Term, _ locals: Locals) -> Part {
        var inner = locals
        var parts: [Part] = []
        var bound: Set<Int> = []
        var reduced: [Term.Entry] = []
        for entry in entries {
            var part = reduce(entry.value, inner)
            reduced.append(Term.Entry(key: entry.key, local: entry.local, value: part.term))
            inner[entry.local] = part.value == nil ? nil : part
            // What an entry reads of earlier entries is bound here; what it reads of outside is not.
            part.locals.subtract(bound)
            bound.insert(entry.local)
            parts.append(part)
        }
        return make(.context(reduced), like: term, parts)
    }

    private mutating func reduceLoop(
        _ kind: LoopKind, _ iterators: [Term.Iterator], _ partial: Int, _ body: Term, _ term: Term, _ locals: Locals
    ) -> Part {
        var inner = locals.without(partial)
        var parts: [Part] = []
        var bound: Set<Int> = [partial]
        var reduced: [Term.Iterator] = []
        for iterator in iterators {
            var domain = reduce(iterator.domain, inner)
            var end = iterator.end.map { reduce($0, inner) }
            reduced.append(Term.Iterator(local: iterator.local, domain: domain.term, end: end?.term))
            if kind != .collect, iterators.count == 1, end == nil, let elements = elements(domain.value),
                let junction = unroll(kind, elements, iterator.local, body, term, inner)
            {
                return junction
            }
            domain.locals.subtract(bound)
            end?.locals.subtract(bound)
            parts.append(domain)
            if let end { parts.append(end) }
            bound.insert(iterator.local)
            inner = inner.without(iterator.local)
        }
        var last = reduce(body, inner)
        last.locals.subtract(bound)
        return make(.loop(kind, reduced, partial: partial, last.term), like: term, parts + [last])
    }

    /// The elements of a known domain when there are few enough to write them out.
    private mutating func elements(_ domain: Value?) -> [Value]? {
        guard case .list(let elements)? = domain, elements.count <= unrolls else { return nil }
        unrolls -= elements.count
        return elements
    }

    /// `some` over a known list is an `or` of its bodies, `every` an `and`; nil where a body might be no truth value,
    /// which makes the loop null.
    private mutating func unroll(
        _ kind: LoopKind, _ elements: [Value], _ local: Int, _ body: Term, _ term: Term, _ locals: Locals
    ) -> Part? {
        var bodies: [Part] = []
        for element in elements {
            var inner = locals
            inner[local] = constant(element, like: body, element.type)
            let part = reduce(body, inner)
            guard PartialEvaluator.isTruth(part.term) else { return nil }
            bodies.append(part)
        }
        return junction(isAnd: kind == .every, bodies, like: term)
    }

    // MARK: Calls

    private mutating func reduceCall(_ term: Term, _ locals: Locals) -> Part {
        switch term.kind {
        case .function(let parameters, let firstLocal, let body):
            let own = firstLocal..<(firstLocal + parameters.count)
            var part = reduce(body, locals.filter { !own.contains($0.key) })
            part.value = nil
            return make(.function(parameters, firstLocal: firstLocal, part.term), like: term, [part], binding: Set(own))
        case .call(let function, let arguments, let overload):
            let parts = reduceAll(arguments, locals)
            if now == nil && (function == .now || function == .today) { return Part(term: term, isOpen: true) }
            if let short = shortened(function, parts, like: term) { return short }
            return make(.call(function, parts.map(\.term), overload: overload), like: term, parts)
        case .invoke(let function, let arguments, let names):
            let target = reduce(function, locals)
            let parts = reduceAll(arguments, locals)
            return make(.invoke(target.term, parts.map(\.term), names: names), like: term, [target] + parts)
        default: preconditionFailure("every kind of term has a rule of its own")
        }
    }

    /// Functions that are decided by their first argument.
    private func shortened(_ function: BuiltIn, _ parts: [Part], like term: Term) -> Part? {
        guard function == .getOrElse, parts.count == 2, let value = parts[0].value else { return nil }
        return value.isNull ? parts[1] : parts[0]
    }
}

extension PartialEvaluator.Locals {
    fileprivate func without(_ local: Int) -> Self {
        var copy = self
        copy[local] = nil
        return copy
    }
}
