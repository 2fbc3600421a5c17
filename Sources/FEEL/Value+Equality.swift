extension Value {
    /// The same type and the same content. Text is compared byte for byte, as FEEL and databases do; Swift's own
    /// comparison of strings also equates canonically equivalent spellings.
    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.boolean(let a), .boolean(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): Comparison.same(a, b)
        case (.date(let a), .date(let b)): a == b
        case (.time(let a), .time(let b)): a == b
        case (.dateTime(let a), .dateTime(let b)): a == b
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)): a == b
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): a == b
        case (.list(let a), .list(let b)): a == b
        case (.context(let a), .context(let b)): a == b
        case (.range(let a), .range(let b)): a == b
        case (.function(let a), .function(let b)): a == b
        default: false
        }
    }
}
