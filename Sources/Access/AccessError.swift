/// Why a definition of this module (a policy, a stored key, a set of policies) was refused: every problem found, each
/// with a pointer.
public struct AccessError: Error, Equatable, Sendable {
    /// One problem.
    public struct Issue: Equatable, Sendable {
        /// RFC 6901 JSON pointer into the document; empty for the whole document.
        public let pointer: String
        /// Stable snake_case code, e.g. `unknown_field`, `missing_field`, `wrong_type`, `condition_unknown_name`.
        public let code: String
        /// What is wrong and what to do.
        public let message: String

        /// Makes a problem.
        public init(pointer: String, code: String, message: String) {
            self.pointer = pointer
            self.code = code
            self.message = message
        }
    }

    /// The problems in document order, at least one, at most `AccessLimits.issues`.
    public let issues: [Issue]

    /// Makes an error of one or more problems.
    public init(issues: [Issue]) {
        precondition(!issues.isEmpty, "an error without a problem")
        self.issues = issues
    }

    /// Makes an error of one problem.
    public init(pointer: String = "", code: String, message: String) {
        self.init(issues: [Issue(pointer: pointer, code: code, message: message)])
    }

    /// The code of the first problem.
    public var code: String { issues[0].code }
}
