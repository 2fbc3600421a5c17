/// A regular expression as XPath and XQuery define it, which is what FEEL's `matches`, `replace` and `split` take
/// (flags s, m, i, x, q).
///
/// Runs on a backtracking machine with an explicit stack and a budget of steps, so that no pattern can exhaust the
/// thread's stack or its time; past
/// the budget the answer is nil.
struct Pattern: Sendable {
    enum Instruction: Sendable {
        case scalar(UInt32)
        case set(PatternSet)
        case any
        case lineStart
        case lineEnd
        /// Try the first target, then the second.
        case split(Int, Int)
        case jump(Int)
        case save(Int)
        case backReference(Int)
        /// Remembers the position in a loop register.
        case enterLoop(Int)
        /// Fails when the loop's body consumed nothing since the position was remembered.
        case checkLoop(Int)
        case match
    }

    private let program: [Instruction]
    let groups: Int
    private let loops: Int
    private let ignoresCase: Bool
    private let isMultiline: Bool
    private let dotMatchesAll: Bool

    /// nil for an unknown flag or a malformed pattern.
    init?(_ source: String, flags: String) {
        guard flags.allSatisfy({ "smixq".contains($0) }), source.utf8.count <= FEELLimits.patternBytes else {
            return nil
        }
        ignoresCase = flags.contains("i")
        isMultiline = flags.contains("m")
        dotMatchesAll = flags.contains("s")
        var scalars = source.unicodeScalars.map(\.value)
        if flags.contains("q") {
            program = scalars.map { .scalar($0) } + [.match]
            groups = 0
            loops = 0
            return
        }
        if flags.contains("x") { scalars = Pattern.withoutSpace(scalars) }
        var compiler = PatternCompiler(scalars)
        guard let program = compiler.compile() else { return nil }
        self.program = program
        groups = compiler.groups
        loops = compiler.loops
    }

    /// Flag x: white space outside character classes does not count.
    private static func withoutSpace(_ scalars: [UInt32]) -> [UInt32] {
        var depth = 0
        var isEscaped = false
        return scalars.filter { scalar in
            let isSpace = scalar == 32 || scalar == 9 || scalar == 10 || scalar == 13
            if isSpace && depth == 0 { return false }
            if !isEscaped && scalar == 0x5B { depth += 1 }
            if !isEscaped && scalar == 0x5D { depth = max(0, depth - 1) }
            isEscaped = !isEscaped && scalar == 0x5C
            return true
        }
    }

    /// Instructions of the compiled pattern.
    var size: Int { program.count }

    // MARK: Uses

    func matches(_ text: String, _ budget: inout PatternBudget) -> Bool? {
        let found = search(from: 0, in: Array(text.unicodeScalars.map(\.value)), &budget)
        return budget.isExhausted ? nil : found != nil
    }

    func split(_ text: String, _ budget: inout PatternBudget) -> [String]? { pieces(text, &budget)?.gaps }

    func replace(_ text: String, with replacement: String, _ budget: inout PatternBudget) -> String? {
        guard let parts = PatternReplacement.parse(replacement, groups: groups), let pieces = pieces(text, &budget)
        else { return nil }
        var result = pieces.gaps[0]
        for (captures, gap) in zip(pieces.captures, pieces.gaps.dropFirst()) {
            for part in parts {
                switch part {
                case .text(let text): result += text
                case .group(let group): result += captures[group]
                }
            }
            result += gap
            if result.utf8.count > FEELLimits.stringBytes { return nil }
        }
        return result
    }

    /// The text between matches and the captures of each match; nil for a pattern that matches nothing at all, as XPath
    /// demands.
    private func pieces(
        _ text: String, _ budget: inout PatternBudget
    ) -> (gaps: [String], captures: [[String]])? {
        if search(from: 0, in: [], &budget) != nil || budget.isExhausted { return nil }
        let scalars = Array(text.unicodeScalars.map(\.value))
        var gaps: [String] = []
        var captures: [[String]] = []
        var position = 0
        while let found = search(from: position, in: scalars, &budget), found[1] > found[0] {
            budget.steps += found.count
            gaps.append(Pattern.text(scalars[position..<found[0]]))
            captures.append(
                (0...groups).map { group in
                    let (start, end) = (found[group * 2], found[group * 2 + 1])
                    return start >= 0 && end >= start ? Pattern.text(scalars[start..<end]) : ""
                })
            position = found[1]
        }
        if budget.isExhausted { return nil }
        gaps.append(Pattern.text(scalars[position...]))
        return (gaps, captures)
    }

    static func text(_ scalars: ArraySlice<UInt32>) -> String {
        var view = String.UnicodeScalarView()
        for value in scalars { if let scalar = Unicode.Scalar(value) { view.append(scalar) } }
        return String(view)
    }

    // MARK: Matching

    /// Positions of the groups of the first match at or after a position.
    private func search(from start: Int, in text: [UInt32], _ budget: inout PatternBudget) -> [Int]? {
        var position = start
        while position <= text.count {
            if let found = match(at: position, in: text, &budget) { return found }
            if budget.isExhausted { return nil }
            position += 1
        }
        return nil
    }

    /// What to do when a path fails, last in first out.
    private enum Saved {
        /// Go on at another instruction and position.
        case branch(instruction: Int, position: Int)
        /// Give a register its earlier value back.
        case register(Int, value: Int)
    }

    private func match(at start: Int, in text: [UInt32], _ budget: inout PatternBudget) -> [Int]? {
        let firstLoop = (groups + 1) * 2
        var registers = Array(repeating: -1, count: firstLoop + loops)
        registers[0] = start
        var stack: [Saved] = []
        var counter = 0
        var position = start
        budget.steps += registers.count / FEELLimits.nodesPerStep
        while true {
            budget.steps += 1
            if budget.isExhausted { return nil }
            var failed = false
            switch program[counter] {
            case .match:
                registers[1] = position
                return Array(registers.prefix(firstLoop))
            case .jump(let target):
                counter = target
                continue
            case .split(let first, let second):
                stack.append(.branch(instruction: second, position: position))
                counter = first
                continue
            case .save(let register): set(register, position, &registers, &stack)
            case .enterLoop(let loop): set(firstLoop + loop, position, &registers, &stack)
            case .checkLoop(let loop): failed = registers[firstLoop + loop] == position
            case .backReference(let group):
                if let length = referenceLength(group, registers, position, text) {
                    position += length
                    budget.steps += length
                } else {
                    failed = true
                }
            case .lineStart, .lineEnd: failed = !holds(program[counter], position, text)
            case .scalar, .set, .any:
                if position < text.count && consumes(program[counter], text[position]) {
                    position += 1
                } else {
                    failed = true
                }
            }
            if !failed {
                counter += 1
            } else if !backtrack(&counter, &position, &registers, &stack) {
                return nil
            }
        }
    }

    private func set(_ register: Int, _ value: Int, _ registers: inout [Int], _ stack: inout [Saved]) {
        if !stack.isEmpty { stack.append(.register(register, value: registers[register])) }
        registers[register] = value
    }

    /// Undoes what was done since the last choice and takes its other way; false when there is none left.
    private func backtrack(
        _ counter: inout Int, _ position: inout Int, _ registers: inout [Int], _ stack: inout [Saved]
    ) -> Bool {
        while let saved = stack.popLast() {
            switch saved {
            case .register(let register, let value): registers[register] = value
            case .branch(let instruction, let place):
                (counter, position) = (instruction, place)
                return true
            }
        }
        return false
    }

    private func consumes(_ instruction: Instruction, _ scalar: UInt32) -> Bool {
        switch instruction {
        case .scalar(let expected): return same(expected, scalar)
        case .any: return dotMatchesAll || (scalar != 10 && scalar != 13)
        case .set(let set): return set.contains(scalar, ignoresCase: ignoresCase)
        default: return false
        }
    }

    private func holds(_ instruction: Instruction, _ position: Int, _ text: [UInt32]) -> Bool {
        if case .lineStart = instruction {
            return position == 0 || (isMultiline && text[position - 1] == 10 && position < text.count)
        }
        return position == text.count || (isMultiline && text[position] == 10)
    }

    private func same(_ a: UInt32, _ b: UInt32) -> Bool {
        a == b || (ignoresCase && PatternSet.folded(a) == PatternSet.folded(b))
    }

    private func referenceLength(_ group: Int, _ registers: [Int], _ position: Int, _ text: [UInt32]) -> Int? {
        let (start, end) = (registers[group * 2], registers[group * 2 + 1])
        guard start >= 0, end >= start else { return 0 }
        guard position + (end - start) <= text.count else { return nil }
        for offset in 0..<(end - start) where !same(text[start + offset], text[position + offset]) { return nil }
        return end - start
    }
}

/// The steps spent on one use of a pattern.
struct PatternBudget {
    var steps = 0
    var isExhausted: Bool { steps > FEELLimits.patternSteps }
}

/// The replacement text of `replace`: `$n` for a group, `\$` and `\\` for themselves.
enum PatternReplacement {
    enum Part {
        case text(String)
        case group(Int)
    }

    static func parse(_ text: String, groups: Int) -> [Part]? {
        let scalars = Array(text.unicodeScalars)
        var parts: [Part] = []
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            if scalar == "\\" {
                guard index < scalars.count, scalars[index] == "\\" || scalars[index] == "$" else { return nil }
                parts.append(.text(String(Character(scalars[index]))))
                index += 1
            } else if scalar == "$" {
                guard index < scalars.count, let digit = digit(scalars[index]) else { return nil }
                var group = digit
                index += 1
                while index < scalars.count, let next = self.digit(scalars[index]), group * 10 + next <= groups {
                    group = group * 10 + next
                    index += 1
                }
                parts.append(group <= groups ? .group(group) : .text(""))
            } else {
                parts.append(.text(String(Character(scalar))))
            }
        }
        return parts
    }

    private static func digit(_ scalar: Unicode.Scalar) -> Int? {
        scalar.value >= 48 && scalar.value <= 57 ? Int(scalar.value - 48) : nil
    }
}
