/// Why a source text was refused when it was compiled.
public struct FEELError: Error, Sendable, Equatable {
    /// Stable codes.
    public enum Code: String, Sendable {
        /// The text is no FEEL expression.
        case syntax
        /// A name that the environment does not have.
        case unknownName = "unknown_name"
        /// An operator or function that cannot work on this type.
        case typeMismatch = "type_mismatch"
        /// Order or arithmetic on a name that may be null, without a guard (strict profile).
        case nullableUnguarded = "nullable_unguarded"
        /// A construct that the strict profile leaves out (function definitions, recursion, unbounded loops).
        case notInProfile = "not_in_profile"
        /// A function with a wrong number or wrong names of arguments.
        case wrongArguments = "wrong_arguments"
        /// A limit of `FEELLimits`.
        case tooComplex = "too_complex"
    }

    /// What kind of error.
    public let code: Code
    /// What is wrong, in words.
    public let message: String
    /// Where, in UTF-8 bytes from the start of the source.
    public let offset: Int

    /// Makes an error.
    public init(code: Code, message: String, offset: Int) {
        self.code = code
        self.message = message
        self.offset = offset
    }
}

/// Why an evaluation gave null: recorded when it is asked for.
public struct NullReason: Hashable, Sendable {
    /// Stable codes.
    public enum Code: String, Sendable {
        /// A name or path whose value is null or absent.
        case missing
        /// An operand or argument of the wrong type.
        case typeMismatch = "type_mismatch"
        /// A number or date outside its range, or a division by zero.
        case outOfRange = "out_of_range"
        /// Text that cannot be read as the wanted type.
        case invalidText = "invalid_text"
        /// A limit of `FEELLimits`.
        case limit
        /// A function that does not exist, or with arguments that it does not take.
        case invalidCall = "invalid_call"
        /// The current time was not supplied.
        case noClock = "no_clock"
        /// A value that its type's allowed values or constraint leave out.
        case notAllowed = "not_allowed"
    }

    /// What kind of reason.
    public let code: Code
    /// The path that was missing, or what went wrong in words.
    public let message: String
    /// Where, in UTF-8 bytes from the start of the source.
    public let offset: Int

    /// Makes a reason.
    public init(code: Code, message: String, offset: Int) {
        self.code = code
        self.message = message
        self.offset = offset
    }
}

/// How strictly a source is compiled.
public enum Profile: Sendable {
    /// Whole FEEL as DMN defines it: what cannot be computed is null.
    case dmn
    /// Whole FEEL, but every name must be in scope and every path must lead to something that has entries: what
    /// definitions are published under, so that a slip of the pen is refused instead of being null for ever.
    case closed
    /// A total, typed subset for policies, checks, filters and monitors: unknown names, type clashes and unguarded
    /// nullable names are refused.
    case strict
}

/// The names that an expression may use, each with its slot: the position in the array of values given to `evaluate`.
public struct Environment: Sendable {
    /// The names in slot order.
    public let names: [TypedName]
    /// Named types that `instance of` and function parameters may use beside the built-in ones.
    public let types: [String: FEELType]
    /// Rules of IANA zones.
    public let zones: ZoneOffsets
    /// The scope that every source starts with. Made once, since a table has thousands of cells.
    let scope: Scope
    let slotNames: [String]

    /// Makes an environment; a later name that equals an earlier one hides it.
    public init(_ names: [TypedName], types: [String: FEELType] = [:], zones: ZoneOffsets = .utcOnly) {
        self.names = names
        self.types = types
        self.zones = zones
        slotNames = names.map(\.name)
        var scope = Scope.builtIns
        // Past the limit no source compiles.
        for (slot, name) in names.prefix(FEELLimits.environmentNames).enumerated() {
            scope.push(name.name, Binding(target: .slot(slot), type: name.type))
        }
        for type in types.values { scope.noteFields(type) }
        self.scope = scope
    }
}
