import FEEL
import JSON
import Measures

/// A measure as published, compiled against its stream: what each item adds to which bucket.
struct MeasureDefinition: Sendable {
    /// What the measure is computed over.
    enum Stream: Hashable, Sendable {
        /// Accepted events of a contract.
        case contract(String)
        /// Decision records; of one decision, or of all.
        case decisions(String?)
        /// Outcomes of decisions, at the times of their decisions; of one decision, or of all.
        case outcomes(String?)
        /// Served feature vectors that were computed again.
        case featureParity
        /// Served values that were computed otherwise.
        case featureMismatches

        /// As the measure engine names it.
        var engine: MeasureStream {
            switch self {
            case .contract(let name): .contract(name)
            case .decisions: .decisions
            case .outcomes: .outcomes
            case .featureParity: .featureParity
            case .featureMismatches: .featureMismatches
            }
        }

        /// The stream that a definition names; anything but a built-in one is a contract.
        init(named name: String, decision: String?) {
            switch name {
            case "decisions": self = .decisions(decision)
            case "outcomes": self = .outcomes(decision)
            case "feature_parity": self = .featureParity
            case "feature_mismatches": self = .featureMismatches
            default: self = .contract(name)
            }
        }

        /// The decision whose items alone are counted; nil for all.
        var decision: String? {
            switch self {
            case .contract, .featureParity, .featureMismatches: nil
            case .decisions(let name), .outcomes(let name): name
            }
        }
    }

    let name: String
    let version: Int
    let stream: Stream
    /// The engine's part of it.
    let measure: Measure
    var aggregate: MeasureAggregate { measure.spec.aggregate }
    let schema: StreamSchema
    /// Items for which it is not true are left out.
    let filter: Expression?
    /// For ratios: items for which it is true are the numerator.
    let numerator: Expression?
    /// For ratios: items for which it is not true are left out altogether.
    let denominator: Expression?
    /// What is summed, averaged, compared or counted once.
    let operand: Expression?
    let dimensions: [(name: String, expression: Expression)]
    /// Digits after the point that sums are kept with; nil for whatever the items have.
    let scale: Int?
    /// Fields that any of the expressions reads.
    let usedFields: [Int]

    /// Reads the `spec` of a `kind: Measure` definition.
    ///
    /// - Parameter profile: of the conditions, filter, numerator and denominator: strict for what is being published, closed
    ///   for what counts already, so that a version that an older decisiond took goes on counting.
    static func parse(
        _ definition: Definition, at pointer: String, _ problems: ProblemList, profile: Profile, zones: ZoneOffsets,
        schemas: (Stream) -> StreamSchema?
    ) -> MeasureDefinition? {
        let before = problems.problems.count
        let reader = TreeReader(definition.spec, at: pointer + definition.specPointer, problems)
        let streamName = reader.string("stream", required: true) ?? ""
        let decision = reader.string("decision")
        let stream = Stream(named: streamName, decision: decision)
        if decision != nil && stream.decision == nil {
            problems.add(
                reader.path("decision"), "not_applicable", "only the streams of decisions and outcomes have decisions")
        }
        guard let schema = schemas(stream) else {
            problems.add(
                reader.path("stream"), "unknown_stream",
                "decisions, outcomes, feature_parity, feature_mismatches, or the name of a stream contract")
            return nil
        }
        let compiler = ConditionCompiler(
            environment: schema.environment(zones), profile: profile, problems: problems)
        let aggregateText = reader.string("aggregate", required: true) ?? ""
        let aggregate = MeasureAggregate.named.first { $0.name == aggregateText }?.aggregate
        if aggregate == nil {
            let known = MeasureAggregate.named.map(\.name).joined(separator: ", ")
            problems.add(reader.path("aggregate"), "unknown_aggregate", "one of \(known)")
        }
        let operandText = reader.string("of")
        let operand = operandText.flatMap { compiler.compile($0, at: reader.path("of")) }
        if let aggregate, aggregate.needsOperand != (operandText != nil) {
            problems.add(reader.path("of"), "operand", "count and ratio take no `of`; the other aggregates need one")
        }
        let filter = reader.string("filter").flatMap {
            compiler.compile($0, at: reader.path("filter"), isCondition: true)
        }
        let numerator = reader.string("numerator", required: aggregate == .ratio).flatMap {
            compiler.compile($0, at: reader.path("numerator"), isCondition: true)
        }
        let denominator = reader.string("denominator").flatMap {
            compiler.compile($0, at: reader.path("denominator"), isCondition: true)
        }
        let dimensions = reader.objects("dimensions") { item -> (name: String, expression: Expression)? in
            guard let name = item.string("name", required: true),
                let text = item.string("expression", required: true),
                let expression = compiler.compile(text, at: item.path("expression"))
            else { return nil }
            return (name, expression)
        }
        if dimensions.count > ServiceLimits.measureDimensionsMax {
            problems.add(
                reader.path("dimensions"), "too_many", "at most \(ServiceLimits.measureDimensionsMax) dimensions")
        }
        if let operand, let aggregate, aggregate != .distinct, !operand.resultType.fits(.number) {
            problems.add(
                reader.path("of"), "type_mismatch",
                "a number is expected, the expression gives \(operand.resultType.name)")
        }
        reader.finish()
        guard problems.problems.count == before, let aggregate else { return nil }
        let measure: Measure
        do {
            measure = try Measure.compile(
                MeasureSpec(
                    name: definition.key.name, version: definition.version, stream: stream.engine,
                    aggregate: aggregate, operand: operandText, filter: filter?.source, numerator: numerator?.source,
                    dimensions: dimensions.compactMap { $0?.name }))
        } catch {
            for issue in error.issues {
                problems.add(reader.pointer + issue.pointer, issue.code.rawValue, issue.message)
            }
            return nil
        }
        let expressions =
            [operand, filter, numerator, denominator].compactMap { $0 } + dimensions.compactMap { $0?.expression }
        return MeasureDefinition(
            name: definition.key.name, version: definition.version, stream: stream, measure: measure,
            schema: schema, filter: filter, numerator: numerator, denominator: denominator, operand: operand,
            dimensions: dimensions.compactMap { $0 },
            scale: operandText.flatMap { schema.field($0)?.scale },
            usedFields: Set(expressions.flatMap(\.usedSlots)).sorted())
    }
}

/// Compiles the conditions of a definition; what does not compile becomes a problem with its place.
struct ConditionCompiler {
    let environment: Environment
    /// Of conditions; values may be null, which leaves the item out.
    let profile: Profile
    let problems: ProblemList

    /// The expression, or nil with a problem.
    func compile(_ text: String, at place: String, isCondition: Bool = false) -> Expression? {
        do {
            let expression = try Expression(text, in: environment, profile: isCondition ? profile : .closed)
            if isCondition && !expression.resultType.fits(.boolean) {
                problems.add(place, "type_mismatch", "a condition is true or false, not \(expression.resultType.name)")
            }
            return expression
        } catch {
            problems.add(place, error.code.rawValue, "\(error.message) (at character \(error.offset))")
            return nil
        }
    }
}

extension MeasureAggregate {
    /// The aggregates that a definition may name.
    static let named: [(name: String, aggregate: MeasureAggregate)] = [
        ("count", .count), ("sum", .sum), ("min", .min), ("max", .max), ("mean", .mean), ("ratio", .ratio),
        ("distinct", .distinct),
    ]

    /// Whether it needs `of`.
    var needsOperand: Bool { self != .count && self != .ratio }
}

/// A KPI as published: a measure with an owner's target.
struct KPIDefinition: Sendable {
    let name: String
    let version: Int
    let measure: String
    let grain: String
    let timezone: String
    let unit: String?
    let isUpGood: Bool
    let target: JSONNumber?
    let atRisk: JSONNumber?
    let reviewDate: String?
    let owner: String?
    let description: String?
    let domain: String?

    /// The name as a sentence begins with it: `revenue_per_day` is "Revenue per day".
    var title: String {
        let words = name.replacing("_", with: " ").replacing("-", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// Reads the `spec` of a `kind: KPI` definition.
    static func parse(
        _ definition: Definition, at pointer: String, _ problems: ProblemList, hasMeasure: (String) -> Bool,
        hasZone: (String) -> Bool
    ) -> KPIDefinition? {
        let before = problems.problems.count
        let reader = TreeReader(definition.spec, at: pointer + definition.specPointer, problems)
        let measure = reader.string("measure", required: true) ?? ""
        if !hasMeasure(measure) { problems.add(reader.path("measure"), "unknown_measure", "no measure has this name") }
        let grain = reader.string("grain") ?? "day"
        if !["hour", "day", "week", "month", "quarter", "year"].contains(grain) {
            problems.add(reader.path("grain"), "value_not_allowed", "hour, day, week, month, quarter or year")
        }
        let timezone = reader.string("timezone") ?? "UTC"
        if !hasZone(timezone) {
            problems.add(reader.path("timezone"), "unknown_zone", "an IANA zone such as Europe/Paris")
        }
        let direction = reader.string("direction") ?? "up"
        if direction != "up" && direction != "down" {
            problems.add(reader.path("direction"), "value_not_allowed", "up or down")
        }
        let unit = reader.string("unit")
        let target = reader.number("target")
        let atRisk = reader.number("at_risk")
        let reviewDate = reader.string("review_date")
        if let reviewDate, FEEL.Date(reviewDate) == nil {
            problems.add(reader.path("review_date"), "invalid_date", "a date such as 2027-03-31")
        }
        reader.finish()
        guard problems.problems.count == before else { return nil }
        return KPIDefinition(
            name: definition.key.name, version: definition.version, measure: measure, grain: grain,
            timezone: timezone, unit: unit, isUpGood: direction == "up", target: target, atRisk: atRisk,
            reviewDate: reviewDate, owner: definition.owner, description: definition.description,
            domain: definition.domain)
    }
}
