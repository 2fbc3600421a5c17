import JSON

/// One reason why a contract cannot be published.
public struct ContractIssue: Equatable, Sendable {
    /// Stable names of what can be wrong.
    public enum Code: String, Sendable, CaseIterable {
        /// A key that the standard does not allow there.
        case unknownKey = "unknown_key"
        /// A required key is absent.
        case missingKey = "missing_key"
        /// A value of another JSON type than the standard says.
        case wrongType = "wrong_type"
        /// A value outside what the standard allows.
        case invalidValue = "invalid_value"
        /// Not exactly one of the operators `mustBe...`.
        case operatorCount = "operator_count"
        /// A name that is there twice.
        case duplicateName = "duplicate_name"
        /// Allowed by the standard, but it could not be checked here and is refused rather than ignored.
        case unsupported
        /// A pattern that does not compile.
        case invalidPattern = "invalid_pattern"
        /// A bound of ``ContractsLimits``.
        case limit
    }

    /// What is wrong.
    public let code: Code
    /// Where in the contract.
    public let pointer: JSONPointer
    /// One sentence for the author of the contract.
    public let message: String

    /// An issue of `code` at `pointer`.
    public init(code: Code, pointer: JSONPointer, message: String) {
        self.code = code
        self.pointer = pointer
        self.message = message
    }
}

/// Everything that is wrong with a contract, at most ``ContractsLimits/issuesMax`` issues.
public struct ContractError: Error, Equatable, Sendable {
    /// At least one.
    public let issues: [ContractIssue]

    /// An error with these issues.
    public init(issues: [ContractIssue]) {
        self.issues = issues
    }

    /// Stable name of this error.
    public var code: String { "invalid_contract" }
}

/// Collects issues while a contract is read.
struct IssueList {
    private(set) var issues: [ContractIssue] = []

    mutating func add(_ code: ContractIssue.Code, _ pointer: JSONPointer, _ message: String) {
        guard issues.count < ContractsLimits.issuesMax else { return }
        issues.append(ContractIssue(code: code, pointer: pointer, message: message))
    }
}
