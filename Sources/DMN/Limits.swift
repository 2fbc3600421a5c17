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
}
