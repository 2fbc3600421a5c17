/// A compiled FEEL expression: names bound to slots, constants folded, evaluated without parsing or name lookup.
public struct Expression: Sendable {
    /// The source text.
    public var source: String { program.details.source }
    /// The static type, `.any` when unknown.
    public var resultType: FEELType { program.details.type }
    /// The slots that the expression reads, ascending.
    public var usedSlots: [Int] { program.details.usedSlots }
    let program: Program

    /// Parses, checks and compiles. Throws the first error found.
    public init(_ source: String, in environment: Environment, profile: Profile = .dmn) throws(FEELError) {
        program = try Compilation.expression(source, environment, profile)
    }

    init(program: Program) { self.program = program }

    /// The value for these slots (in the environment's order; missing ones are null). Never throws, never traps: what
    /// cannot be computed is null.
    /// - Parameter now: the current time in microseconds since the Unix epoch for `now()` and `today()`; nil makes them
    /// null.
    public func evaluate(_ slots: [Value], now: Int64? = nil) -> Value {
        program.evaluate(slots, input: .null, now: now)
    }

    /// The same, and says why a null arose: first the innermost causes, at most `FEELLimits.reasons`.
    public func evaluate(_ slots: [Value], now: Int64? = nil, reasons: inout [NullReason]) -> Value {
        program.evaluate(slots, input: .null, now: now, reasons: &reasons)
    }

    /// The truth of a boolean expression without building a value: true, false, or nil for null and any other type.
    public func truth(_ slots: [Value], now: Int64? = nil) -> Bool? {
        program.truth(slots, input: .null, now: now)
    }

    /// The value when it does not depend on any slot, the clock or randomness.
    public var constant: Value? { program.constantResult }
}

/// A compiled cell of a decision table: tests of one input value (`-`, values, comparisons, ranges, `not(...)`,
/// expressions with `?`).
public struct UnaryTests: Sendable {
    /// The source text.
    public var source: String { program.details.source }
    /// The slots that the tests read, ascending.
    public var usedSlots: [Int] { program.details.usedSlots }
    let program: Program
    /// What the tests are in essence; lets a table index them.
    package var shape: UnaryTestShape { program.details.shape }

    /// Parses, checks and compiles. Throws the first error found.
    public init(
        _ source: String, inputType: FEELType, in environment: Environment, profile: Profile = .dmn
    ) throws(FEELError) {
        program = try Compilation.unaryTests(source, inputType, environment, profile)
    }

    /// Whether the input passes; nil when that is null (a null input, or a value of another type).
    public func matches(_ input: Value, _ slots: [Value], now: Int64? = nil) -> Bool? {
        program.truth(slots, input: input, now: now)
    }
}
