/// Why a view or a plan was refused: every finding, not just the first.
public struct FeatureError: Error, Equatable, Sendable {
    /// One finding.
    public struct Issue: Equatable, Sendable {
        /// Stable snake_case code.
        public let code: Code
        /// JSON pointer into the view's `spec`, such as `/features/3/column`.
        public let pointer: String
        /// What is wrong and what to do, one sentence.
        public let message: String

        /// Makes a finding.
        public init(_ code: Code, at pointer: String, _ message: String) {
            self.code = code
            self.pointer = pointer
            self.message = message
        }
    }

    /// Stable codes of findings.
    public enum Code: String, Sendable, CaseIterable {
        case emptyName = "empty_name"
        case duplicateName = "duplicate_name"
        case unknownColumn = "unknown_column"
        case columnRequired = "column_required"
        case columnNotAllowed = "column_not_allowed"
        case aggregateNotForKind = "aggregate_not_for_kind"
        case windowOutOfRange = "window_out_of_range"
        case scaleOutOfRange = "scale_out_of_range"
        case tooMany = "too_many"
        case noFeatures = "no_features"
        case aggregationIntervalOutOfRange = "aggregation_interval_out_of_range"
        case parameterOutOfRange = "parameter_out_of_range"
        case retentionTooShort = "retention_too_short"
        case entityEventsOutOfRange = "entity_events_out_of_range"
        case unknownView = "unknown_view"
        case unknownFeature = "unknown_feature"
        case mixedEntities = "mixed_entities"
    }

    /// All findings, in the order of the definition; never empty.
    public let issues: [Issue]

    /// Makes an error from findings.
    public init(_ issues: [Issue]) {
        self.issues = issues
    }
}
