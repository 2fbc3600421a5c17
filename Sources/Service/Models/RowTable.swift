/// One cell of a row to score, as it was sent.
enum RowCell: Sendable, Hashable {
    /// Nothing, or null.
    case missing
    /// A number; finite, infinite where a protocol can say so.
    case number(Double)
    /// A text: the name of a category.
    case text(String)
    /// True or false.
    case bool(Bool)
}

/// Rows to score, before they are put in a model's order: what every protocol's request is read into.
struct RowTable: Sendable {
    /// Names of the columns; nil when cells stand in the model's own order.
    let columns: [String]?
    /// Cells of one row.
    let columnCount: Int
    /// The cells, row after row.
    private(set) var cells: [RowCell] = []

    /// Rows in the table.
    private(set) var rowCount = 0

    /// An empty table of named columns.
    init(columns: [String]) {
        self.columns = columns
        columnCount = columns.count
    }

    /// An empty table whose rows have their cells in the model's order.
    init(columnCount: Int) {
        columns = nil
        self.columnCount = columnCount
    }

    /// Adds a row, which has one cell per column.
    mutating func append(_ row: some Collection<RowCell>) {
        precondition(row.count == columnCount, "a row has one cell per column")
        cells.append(contentsOf: row)
        rowCount += 1
    }
}

/// Why rows were not scored. The message names no value that was sent.
struct RowRefusal: Error, Sendable, Hashable {
    /// Row, from 0; nil when the whole table is refused.
    let row: Int?
    /// The input or the column; nil when it is about none.
    let column: String?
    /// Stable code.
    let code: String
    /// What is wrong.
    let message: String
}
