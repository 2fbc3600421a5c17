/// Every bound of this module in one place.
public enum DMNLimits {
    /// Most rules of one table.
    public static let rules = 20_000
    /// Most input or output columns of one table.
    public static let columns = 256
    /// Most 64-bit words of one column's index; a column that would need more is tested cell by cell.
    public static let indexWords = 2_000_000
    /// Most findings that one `DMNError` lists.
    public static let issues = 100
    /// Largest XML document, in bytes.
    public static let documentBytes = 16_777_216
    /// Deepest nesting of XML elements.
    public static let documentDepth = 128
    /// Most elements of one XML document.
    public static let documentElements = 400_000
    /// Most attributes of one XML element.
    public static let elementAttributes = 128
    /// Deepest nesting of boxed expressions in each other.
    public static let expressionDepth = 32
    /// Most elements (inputs, decisions, knowledge models, services) of one compiled model, imports included.
    public static let elements = 2_000
    /// Most models that one compilation brings together.
    public static let models = 100
    /// Deepest nesting of item definitions in each other.
    public static let typeDepth = 32
    /// Most formal parameters of one function.
    public static let parameters = 64
    /// Most tables that one evaluation's trace holds; later ones are left out.
    public static let tracedTables = 1_000
    /// Most near misses that are told of one table.
    public static let nearMisses = 20
    /// Most steps (pairs of rules, segments visited) of one table's check; a larger table is checked in part.
    public static let analysisSteps = 1_000_000
    /// Most gaps that are told of one table.
    public static let gaps = 10
}
