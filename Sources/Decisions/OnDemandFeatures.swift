public import FEEL
public import Features
public import JSON

/// Features that are FEEL expressions over the other features of their view, computed when the view is read.
public struct OnDemandFeatures: Sendable {
    /// One feature.
    public struct Feature: Sendable {
        /// Name, unique in the view.
        public let name: String
        /// The type that its values have when they are not null.
        public let type: FEELType
        /// Which features it is made from, by their place among the view's features and the on-demand ones before it.
        public let sources: [Int]
        let expression: Expression
    }

    /// The features in serving order; they stand after those that the view keeps.
    public let features: [Feature]

    /// Compiles expressions under the closed profile; whatever is wrong is added to `problems`.
    ///
    /// - Parameters:
    ///   - expressions: name, FEEL source and place in the document of each, in serving order.
    ///   - stored: names and types of the features that the view keeps.
    ///   - zones: what expressions know of time zones.
    public init(
        _ expressions: [(name: String, source: String, pointer: String)],
        over stored: [(name: String, type: FEELType)], zones: ZoneOffsets = .utcOnly, _ problems: ProblemList
    ) {
        var names = stored.map { TypedName(name: $0.name, type: $0.type, isNullable: true) }
        var features: [Feature] = []
        for item in expressions {
            if names.contains(where: { $0.name == item.name }) {
                problems.add(item.pointer + "/name", "duplicate_name", "this name is taken")
            }
            do {
                let expression = try Expression(item.source, in: Environment(names, zones: zones), profile: .closed)
                switch expression.resultType {
                case .number, .string, .boolean, .date, .dateTime: break
                default:
                    problems.add(
                        item.pointer + "/expression", "type_mismatch",
                        "a feature is a number, string, boolean, date or date and time; this gives \(expression.resultType.name)"
                    )
                }
                names.append(TypedName(name: item.name, type: expression.resultType, isNullable: true))
                features.append(
                    Feature(
                        name: item.name, type: expression.resultType, sources: expression.usedSlots,
                        expression: expression))
            } catch {
                problems.add(
                    item.pointer + "/expression", error.code.rawValue,
                    "\(error.message) (at character \(error.offset))")
            }
        }
        self.features = features
    }

    /// Computes the features and appends them to the view's own.
    ///
    /// - Parameters:
    ///   - values: every feature that the view keeps, in its order.
    ///   - asOf: what `now()` gives [microseconds since the Unix epoch].
    public func append(to values: inout [FeatureValue], asOf: Int64) {
        if features.isEmpty { return }
        // One latest event ages for the whole view.
        if case .null(.expired)? = values.first {
            for _ in features { values.append(.null(.expired)) }
            return
        }
        var slots = values.map(Value.init)
        for feature in features {
            let value = feature.expression.evaluate(slots, now: asOf)
            slots.append(value.conforms(to: feature.type) ? value : .null)
            values.append(FeatureValue(slots[slots.count - 1]))
        }
    }
}

extension FeatureValue {
    /// A FEEL value as a feature; null with `expression_null` for null and for what no feature can be.
    init(_ value: Value) {
        switch value {
        case .number(let number): self.init(number.stripped)
        case .string(let text): self = .string(text)
        case .boolean(let flag): self = .boolean(flag)
        case .date(let date): self = .date(date.daysSinceEpoch)
        case .dateTime(let moment):
            let (micros, isOver) = moment.utcSeconds.multipliedReportingOverflow(by: 1_000_000)
            self = isOver ? .null(.overflow) : .timestamp(micros + Int64(moment.nanosecond) / 1_000)
        default: self = .null(.expressionNull)
        }
    }

    /// A number with its exact digits where 128 bits and 38 places hold them, else the nearest binary64.
    private init(_ number: Decimal) {
        let magnitude = Int128(number.coefficient)
        let significand = number.isNegative ? -magnitude : magnitude
        if number.exponent < 0, number.exponent >= -38 {
            self = .decimal(significand: significand, scale: -number.exponent)
        } else if number.exponent >= 0, let whole = Self.scaled(significand, by: Int32(number.exponent)) {
            self = Int64(exactly: whole).map(FeatureValue.integer) ?? .decimal(significand: whole, scale: 0)
        } else {
            self = .double(number.double)
        }
    }
}
