public import FEEL
public import Features
public import JSON

/// Steps as a running process takes them: a model that is not usable or ran past its budget gives way.
public struct LiveSteps<Clock: MonotonicClock>: StepSource {
    private let clock: Clock
    /// The clock's reading at which the whole decision must be answered [nanoseconds].
    private let deadline: UInt64
    private var started: UInt64 = 0

    /// Steps of one live decision.
    public init(clock: Clock, deadlineNanoseconds: UInt64) {
        self.clock = clock
        deadline = deadlineNanoseconds
    }

    /// Not to be tried: unusable, or no time left.
    public mutating func causeBefore(node: String, step: Int, model: ModelState?, budgetMicros: Int64?) -> String? {
        guard let model else { return nil }
        if let cause = model.unusableCause { return cause }
        started = clock.now()
        if started >= deadline || budgetMicros == 0 { return "model_timeout" }
        return nil
    }

    /// Not to be used: it took longer than its budget.
    public mutating func causeAfter(node: String, step: Int, budgetMicros: Int64?) -> String? {
        guard let budgetMicros else { return nil }
        return clock.now() &- started > UInt64(budgetMicros) &* 1000 ? "model_timeout" : nil
    }
}

/// A source of monotonic time, in nanoseconds. Pure code asks for time only through it.
public protocol MonotonicClock: Sendable {
    /// Nanoseconds since some fixed point.
    func now() -> UInt64
}

/// Steps as a record holds them: what failed then fails now, with the same cause.
public struct RecordedSteps: StepSource {
    private let causes: [String: [Int: String]]

    /// Steps of a recorded decision.
    public init(_ steps: [StepRecord]) {
        var causes: [String: [Int: String]] = [:]
        for step in steps {
            if let cause = step.cause { causes[step.node, default: [:]][step.step] = cause }
        }
        self.causes = causes
    }

    /// The recorded cause, or the model's own when it cannot be used now.
    public mutating func causeBefore(node: String, step: Int, model: ModelState?, budgetMicros: Int64?) -> String? {
        causes[node]?[step] ?? model?.unusableCause
    }

    /// Nothing more: time does not count in a replay.
    public mutating func causeAfter(node: String, step: Int, budgetMicros: Int64?) -> String? {
        nil
    }
}

/// The parts of a stored record that a replay needs.
public struct RecordedDecision: Sendable {
    /// Name of the decision.
    public let decision: String
    /// Version of the decision.
    public let version: Int
    /// Versions of the models that were used or tried, by name.
    public let models: [String: Int]
    /// Versions of the views that were read, by name.
    public let views: [String: Int]
    /// Steps as they went.
    public let steps: [StepRecord]
    /// The call's `as_of` [microseconds since the Unix epoch].
    public let asOfMicros: Int64
    /// The `inputs` object as stored.
    public let inputs: JSONTree
    /// The `features` object as stored.
    public let features: JSONTree
    /// Codes of the recorded warnings by what they are about: why a feature was null.
    private let warnings: [String: String]
    /// The bytes of the stored `inputs` object.
    public let inputBytes: [UInt8]
    /// The bytes of the stored `features` object.
    public let featureBytes: [UInt8]
    /// The bytes of the stored `result` object.
    public let resultBytes: [UInt8]

    /// Reads a record; nil when it is not one.
    public init?(_ record: JSONValue) {
        guard let decision = record["decision"]?.string, let version = record["version"]?.int64,
            let inputs = record["inputs"], let features = record["features"], let result = record["result"],
            let steps = record["steps"], let asOf = record["as_of"]?.string.flatMap({ Timestamp.parse($0) })
        else { return nil }
        asOfMicros = asOf
        self.decision = decision
        self.version = Int(version)
        self.inputs = inputs.tree()
        self.features = features.tree()
        inputBytes = [UInt8](inputs.raw)
        featureBytes = [UInt8](features.raw)
        resultBytes = [UInt8](result.raw)
        var records: [StepRecord] = []
        var models: [String: Int] = [:]
        for step in steps.elements {
            guard let node = step["node"]?.string, let number = step["step"]?.int64, let used = step["used"]?.string
            else { return nil }
            records.append(StepRecord(node: node, step: Int(number), used: used, cause: step["cause"]?.string))
            if let at = used.lastIndex(of: "@"), let version = Int(used[used.index(after: at)...]) {
                models[String(used[..<at])] = version
            }
        }
        self.steps = records
        var warnings: [String: String] = [:]
        if let stored = result["warnings"] {
            for warning in stored.elements {
                if let subject = warning["subject"]?.string { warnings[subject] = warning["code"]?.string }
            }
        }
        self.warnings = warnings
        self.models = models
        var views: [String: Int] = [:]
        for view in features.members {
            if let version = view.value["version"]?.int64 { views[view.key] = Int(version) }
        }
        self.views = views
    }

    /// The inputs as values of the decision's types, nil when they do not fit it.
    public func inputValues(_ decision: CompiledDecision) -> [Value]? {
        var values: [Value] = []
        for input in decision.spec.inputs {
            guard let value = Value(inputs[input.name] ?? .null, as: input.type) else { return nil }
            values.append(value)
        }
        return values
    }

    /// The features as stored, in each view's order; features that the record does not hold are null.
    public func featureValues(_ decision: CompiledDecision) -> [[FeatureValue]] {
        decision.views.map { view in
            let stored = features[view.name]?["values"]
            return view.interface.features.map { feature in
                let value = FeatureValue(stored?[feature.name] ?? .null, as: feature.type)
                guard case .null = value, let code = warnings["\(view.name).\(feature.name)"],
                    let reason = FeatureNullReason(rawValue: code)
                else { return value }
                return .null(reason)
            }
        }
    }
}

extension FeatureValue {
    /// A stored feature: its number with its exact digits, so that models and FEEL see what they saw.
    init(_ tree: JSONTree, as type: FEELType) {
        switch tree {
        case .number(let number):
            if let whole = number.scaledInt64(scale: 0) {
                self = .integer(whole)
            } else {
                let magnitude = Int128(number.significand)
                if number.exponent > 0, number.isExact, let whole = Self.scaled(magnitude, by: number.exponent) {
                    self = .decimal(significand: number.isNegative ? -whole : whole, scale: 0)
                } else if number.exponent <= 0 && number.exponent >= -38 && number.isExact {
                    self = .decimal(
                        significand: number.isNegative ? -magnitude : magnitude, scale: -Int(number.exponent))
                } else {
                    self = .double(number.double)
                }
            }
        case .string(let text):
            if case .dateTime = type, let micros = Timestamp.parse(text) {
                self = .timestamp(micros)
            } else if case .date = type, let date = Date(text) {
                self = .date(date.daysSinceEpoch)
            } else {
                self = .string(text)
            }
        case .bool(let flag): self = .boolean(flag)
        case .array(let items):
            self = .frequencies(
                items.map { item in
                    ValueCount(
                        value: FeatureValue(item["value"] ?? .null, as: .any),
                        count: item["count"]?.number?.scaledInt64(scale: 0) ?? 0)
                })
        default: self = .null(.noEvent)
        }
    }

    /// magnitude * 10^exponent; nil past 128 bits.
    static func scaled(_ magnitude: Int128, by exponent: Int32) -> Int128? {
        var value = magnitude
        for _ in 0..<exponent {
            let (next, isOver) = value.multipliedReportingOverflow(by: 10)
            if isOver { return nil }
            value = next
        }
        return value
    }
}
