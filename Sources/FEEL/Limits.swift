/// Every bound of this module in one place; past one, compiling throws `too_complex` and evaluating gives null with a
/// reason.
public enum FEELLimits {
    /// Longest source text of one expression, in UTF-8 bytes.
    public static let sourceBytes = 65_536
    /// Deepest nesting the parser follows; keeps its recursion far below a 512 KiB thread stack.
    public static let parserDepth = 64
    /// Deepest syntax tree (a chain of binary operators deepens the tree without nesting the parser).
    public static let treeDepth = 160
    /// Deepest chain of nested evaluations, function calls included.
    public static let evaluationDepth = 400
    /// Steps (loop iterations, list elements visited, calls) of one evaluation.
    public static let evaluationSteps = 1_000_000
    /// Steps that may be spent on constant parts while one source is compiled.
    public static let foldingSteps = 100_000
    /// One evaluation step pays for this many nodes of a loop's, filter's or function's body, or simple elements looked
    /// at.
    public static let nodesPerStep = 16
    /// Deepest nesting of lists, contexts and captured values that an evaluation may build: whoever walks or frees a
    /// value recursively can rely on it.
    public static let valueDepth = 128
    /// Most elements and entries, nested ones included, of an evaluation's result.
    public static let resultElements = 1_000_000
    /// Most entries of a context that an expression may build.
    public static let contextEntries = 4_096
    /// Largest inferred type of a literal, in named types; past it the parts of the type are `Any`.
    public static let typeParts = 1_024
    /// Longest list that an evaluation may build.
    public static let listElements = 250_000
    /// Longest string that an evaluation may build, in UTF-8 bytes.
    public static let stringBytes = 4_194_304
    /// Longest message of a null reason; the rest is cut off.
    public static let reasonCharacters = 256
    /// Null reasons kept per evaluation; later ones are left out.
    public static let reasons = 16
    /// Most names in one environment.
    public static let environmentNames = 4_096
    /// Largest absolute year of a date (DMN 1.5, 10.3.2.3.4).
    public static let year = 999_999_999
    /// Longest time zone file, in bytes.
    public static let zoneFileBytes = 65_536
    /// Transitions of one time zone file.
    public static let zoneTransitions = 4_096
    /// Longest name of a time zone, in UTF-8 bytes.
    public static let zoneNameBytes = 64
    /// Longest plain spelling of a number before `Decimal.description` turns to an exponent, in digits.
    public static let plainDigits = 80
    /// Longest regular expression, in UTF-8 bytes.
    public static let patternBytes = 16_384
    /// Longest compiled regular expression, in instructions.
    public static let patternInstructions = 20_000
    /// Largest count in a regular expression's `{n,m}`.
    public static let patternRepeats = 1_000
    /// Steps that one `matches`, `replace` or `split` may take.
    public static let patternSteps = 1_000_000
    /// Most bodies of `some` and `every` over known lists that partial evaluation writes out.
    public static let unrolledBodies = 256
    /// Longest SQL text of one expression, in UTF-8 bytes.
    public static let sqlBytes = 262_144
    /// Deepest value that conversion to text follows.
    public static let textDepth = 64
}
