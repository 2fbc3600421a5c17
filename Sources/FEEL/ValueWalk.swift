/// Walks over values within a budget: parts of a value may be shared, so that its logical size has no bound.
extension Value {
    /// How deep lists, contexts and captured values are nested (a scalar: 0); nil past `FEELLimits.valueDepth` or the
    /// steps. Simple elements cost one step for every `FEELLimits.nodesPerStep` of them.
    func nesting(_ steps: inout Int) -> Int? { nesting(FEELLimits.valueDepth, &steps) }

    private func nesting(_ room: Int, _ steps: inout Int) -> Int? {
        guard isComposite else { return 0 }
        guard room > 0 else { return nil }
        var deepest = 0
        switch self {
        case .list(let elements):
            steps += 1 + elements.count / FEELLimits.nodesPerStep
            for element in elements where element.isComposite {
                guard let nesting = element.nesting(room - 1, &steps) else { return nil }
                deepest = max(deepest, nesting)
            }
        case .context(let context):
            steps += 1 + context.count / FEELLimits.nodesPerStep
            for entry in context.entries where entry.value.isComposite {
                guard let nesting = entry.value.nesting(room - 1, &steps) else { return nil }
                deepest = max(deepest, nesting)
            }
        case .function(let function): return function.nesting <= room ? function.nesting : nil
        default: return 0
        }
        return steps <= FEELLimits.evaluationSteps ? deepest + 1 : nil
    }

    /// Whether the value holds other values.
    @inline(__always)
    var isComposite: Bool {
        switch self {
        case .list, .context, .function: true
        default: false
        }
    }

    /// Whether the whole value has at most `FEELLimits.resultElements` elements and is nested at most
    /// `FEELLimits.valueDepth` deep: what leaves an evaluation can be walked by anybody.
    var isBounded: Bool {
        var room = FEELLimits.resultElements
        return fits(FEELLimits.valueDepth, &room)
    }

    private func fits(_ depth: Int, _ room: inout Int) -> Bool {
        switch self {
        case .list(let elements):
            room -= elements.count
            guard depth > 0, room >= 0 else { return false }
            for element in elements where element.isComposite {
                guard element.fits(depth - 1, &room) else { return false }
            }
        case .context(let context):
            room -= context.count
            guard depth > 0, room >= 0 else { return false }
            for entry in context.entries where entry.value.isComposite {
                guard entry.value.fits(depth - 1, &room) else { return false }
            }
        case .function(let function): return function.nesting <= depth
        default: return true
        }
        return true
    }
}
