import Decisions

/// One input of a model: how a cell becomes the number that the model takes.
struct ModelInput: Sendable {
    /// What an input holds.
    enum Kind: String, Sendable, CaseIterable {
        case number
        case integer
        case boolean
        case category
    }

    /// Name in the model.
    let name: String
    let kind: Kind
    /// Whether the definition says so; else the kind was taken from the artifact, and booleans count as 0 and 1.
    let isDeclared: Bool
    /// Names of categories by code; empty when the model knows codes only.
    let categories: [String]
    /// What becomes of a cell that is missing, or of a category that the model does not know.
    let rule: ModelInputRule
    private let codes: [String: Double]

    init(
        name: String, kind: Kind, isDeclared: Bool, categories: [String], rule: ModelInputRule = .lenient
    ) {
        self.name = name
        self.kind = kind
        self.isDeclared = isDeclared
        self.categories = categories
        self.rule = rule
        codes = Dictionary(
            categories.enumerated().map { ($1, Double($0)) }, uniquingKeysWith: { first, _ in first })
    }

    /// What a cell turned out to be.
    enum Coded: Sendable, Equatable {
        /// The model takes this number.
        case value(Double)
        /// There is none; the model takes this number in its place.
        case missing(Double)
        /// A category that the model does not know; the model takes this number in its place.
        case unknown(Double)
        /// The row is refused: a stable code and what is wrong.
        case refused(code: String, message: String)
    }

    /// The number of a cell.
    func code(_ cell: RowCell) -> Coded {
        switch (cell, kind) {
        case (.missing, _): return absent
        case (.number(let number), _) where number.isNaN: return absent
        case (.number(let number), .number): return .value(number)
        case (.number(let number), .integer):
            return number == number.rounded(.towardZero)
                ? .value(number) : .refused(code: "type_mismatch", message: "a whole number is expected")
        case (.number(let number), .boolean):
            return number == 0 || number == 1
                ? .value(number) : .refused(code: "type_mismatch", message: "true or false is expected")
        case (.number(let number), .category): return code(category: number)
        case (.bool(let flag), .boolean): return .value(flag ? 1 : 0)
        case (.bool(let flag), .number) where !isDeclared: return .value(flag ? 1 : 0)
        case (.text(let text), .category):
            if categories.isEmpty {
                return .refused(
                    code: "category_without_table", message: "this model knows its categories by their codes only")
            }
            if let code = codes[text] { return .value(code) }
            return stranger
        case (.text, _), (.bool, _):
            return .refused(code: "type_mismatch", message: "\(kind.rawValue) is expected")
        }
    }

    private func code(category number: Double) -> Coded {
        guard number == number.rounded(.towardZero), number.isFinite else {
            return .refused(code: "type_mismatch", message: "a category is its name, or its code: a whole number")
        }
        if number < 0 || (!categories.isEmpty && number >= Double(categories.count)) { return stranger }
        return .value(number)
    }

    private var absent: Coded {
        switch rule.missing {
        case .missing: .missing(.nan)
        case .value(let value): .missing(value)
        case .refuse: .refused(code: "missing_value", message: "this input is required")
        }
    }

    private var stranger: Coded {
        switch rule.unknown {
        case .missing: .unknown(.nan)
        case .value(let value): .unknown(value)
        case .refuse: .refused(code: "unknown_category", message: "the model does not know this category")
        }
    }
}
