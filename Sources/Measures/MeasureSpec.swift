/// What a measure aggregates over.
public enum MeasureStream: Hashable, Sendable {
    /// The accepted events of a contract.
    case contract(String)
    /// Decision records.
    case decisions
    /// Outcomes of decisions.
    case outcomes
    /// Results of data-quality rules.
    case quality
    /// Calls, per principal and route.
    case usage
    /// Served feature vectors that were computed again.
    case featureParity
    /// Served values that were computed otherwise.
    case featureMismatches
}

/// How a measure folds.
public enum MeasureAggregate: Hashable, Sendable {
    /// Items that pass the filter; with an operand: those whose operand is not null.
    case count
    /// Sum of the operand; 0 when there is none.
    case sum
    /// Smallest operand.
    case min
    /// Largest operand.
    case max
    /// Sum divided by the count of operands.
    case mean
    /// Items that pass the filter and the numerator's filter, divided by items that pass the filter.
    case ratio
    /// Different operands, exact up to `MeasureLimits.distinctMax` per row.
    case distinct
}

/// A measure as defined, before checking. Filters and operands are FEEL, compiled and evaluated by the caller, who
/// passes plain values.
public struct MeasureSpec: Hashable, Sendable {
    /// Name.
    public var name: String
    /// Version the server assigned.
    public var version: Int
    /// What it aggregates over.
    public var stream: MeasureStream
    /// How it folds.
    public var aggregate: MeasureAggregate
    /// Source of the operand; nil for `ratio` and possibly `count`.
    public var operand: String?
    /// Source of the filter, nil: everything passes.
    public var filter: String?
    /// Source of the numerator's filter, for `ratio`.
    public var numerator: String?
    /// Names of the dimensions, in the order of their values.
    public var dimensions: [String]
    /// Different combinations of dimension values that are kept apart.
    public var combinationsMax: Int

    /// Makes a spec.
    public init(
        name: String, version: Int, stream: MeasureStream, aggregate: MeasureAggregate, operand: String? = nil,
        filter: String? = nil, numerator: String? = nil, dimensions: [String] = [],
        combinationsMax: Int = MeasureLimits.combinationsDefault
    ) {
        self.name = name
        self.version = version
        self.stream = stream
        self.aggregate = aggregate
        self.operand = operand
        self.filter = filter
        self.numerator = numerator
        self.dimensions = dimensions
        self.combinationsMax = combinationsMax
    }
}

/// Why a measure or a query was refused: every finding.
public struct MeasureError: Error, Equatable, Sendable {
    /// One finding.
    public struct Issue: Equatable, Sendable {
        /// Stable snake_case code.
        public let code: Code
        /// JSON pointer into the spec or query.
        public let pointer: String
        /// What is wrong and what to do.
        public let message: String

        /// Makes a finding.
        public init(_ code: Code, at pointer: String, _ message: String) {
            self.code = code
            self.pointer = pointer
            self.message = message
        }
    }

    /// Stable codes.
    public enum Code: String, Sendable, CaseIterable {
        case emptyName = "empty_name"
        case duplicateName = "duplicate_name"
        case operandRequired = "operand_required"
        case operandNotAllowed = "operand_not_allowed"
        case numeratorRequired = "numerator_required"
        case numeratorNotAllowed = "numerator_not_allowed"
        case tooMany = "too_many"
        case limitOutOfRange = "limit_out_of_range"
        case reservedName = "reserved_name"
        case unknownMember = "unknown_member"
        case noMeasures = "no_measures"
        case mixedFilter = "mixed_filter"
        case badValue = "bad_value"
        case badOperator = "bad_operator"
        case badRange = "bad_range"
    }

    /// All findings; never empty.
    public let issues: [Issue]

    /// Makes an error.
    public init(_ issues: [Issue]) {
        self.issues = issues
    }
}

/// A checked measure.
public struct Measure: Hashable, Sendable {
    /// The definition it came from.
    public let spec: MeasureSpec

    /// Checks a definition; throws every finding with a pointer.
    public static func compile(_ spec: MeasureSpec) throws(MeasureError) -> Measure {
        var issues: [MeasureError.Issue] = []
        if spec.name.isEmpty { issues.append(.init(.emptyName, at: "/name", "A measure needs a name.")) }
        switch spec.aggregate {
        case .sum, .min, .max, .mean, .distinct:
            if spec.operand == nil {
                issues.append(.init(.operandRequired, at: "/operand", "This aggregate needs an operand."))
            }
        case .ratio:
            if spec.operand != nil {
                issues.append(.init(.operandNotAllowed, at: "/operand", "A ratio counts; it takes no operand."))
            }
        case .count:
            break
        }
        if spec.aggregate == .ratio, spec.numerator == nil {
            issues.append(.init(.numeratorRequired, at: "/numerator", "A ratio needs a filter for its numerator."))
        }
        if spec.aggregate != .ratio, spec.numerator != nil {
            issues.append(.init(.numeratorNotAllowed, at: "/numerator", "Only a ratio has a numerator."))
        }
        if spec.dimensions.count > MeasureLimits.dimensionsMax {
            issues.append(.init(.tooMany, at: "/dimensions", "At most \(MeasureLimits.dimensionsMax) dimensions."))
        }
        for (index, name) in spec.dimensions.enumerated() {
            if name.isEmpty {
                issues.append(.init(.emptyName, at: "/dimensions/\(index)", "A dimension needs a name."))
            }
            if name == MeasureQuery.timeMember {
                issues.append(.init(.reservedName, at: "/dimensions/\(index)", "'\(name)' is the time dimension."))
            }
            if spec.dimensions[..<index].contains(name) {
                issues.append(.init(.duplicateName, at: "/dimensions/\(index)", "'\(name)' is listed twice."))
            }
        }
        if !(1...MeasureLimits.combinationsMax).contains(spec.combinationsMax) {
            issues.append(
                .init(
                    .limitOutOfRange, at: "/combinations_max", "Must be 1 to \(MeasureLimits.combinationsMax)."))
        }
        if !issues.isEmpty { throw MeasureError(issues) }
        return Measure(spec: spec)
    }
}
