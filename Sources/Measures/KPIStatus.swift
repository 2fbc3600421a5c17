/// Which way a KPI should move.
public enum KPIDirection: String, Hashable, Sendable, CaseIterable {
    /// Larger is better.
    case increase
    /// Smaller is better.
    case decrease
}

/// Where a KPI stands.
public enum KPIState: String, Hashable, Sendable, CaseIterable {
    case onTrack = "on_track"
    case atRisk = "at_risk"
    case offTrack = "off_track"
    case noData = "no_data"
}

/// What a KPI is judged by.
public struct KPITarget: Hashable, Sendable {
    /// The value to reach.
    public var target: MeasureDecimal
    /// Which way is better.
    public var direction: KPIDirection
    /// Up to here short of the target it is at risk; beyond, off track. Nil: the target itself.
    public var atRisk: MeasureDecimal?
    /// What follows a number in a sentence, such as `GBP` or `%`; empty for none.
    public var unit: String

    /// Makes a target.
    public init(target: MeasureDecimal, direction: KPIDirection, atRisk: MeasureDecimal? = nil, unit: String = "") {
        self.target = target
        self.direction = direction
        self.atRisk = atRisk
        self.unit = unit
    }
}

/// A KPI's standing at one time.
public struct KPIStatus: Hashable, Sendable {
    /// Its value.
    public let value: MeasureValue
    /// Where it stands.
    public let state: KPIState
    /// (value - previous) / |previous|; nil without both, or from zero.
    public let change: Double?
    /// The change is in the wanted direction; nil without a change or when nothing moved.
    public let isImproving: Bool?
    /// One sentence in plain words.
    public let summary: String

    /// Judges `value` against a target and the value of the period before. `title` opens the sentence.
    public static func evaluate(
        title: String, value: MeasureValue, previous: MeasureValue? = nil, target: KPITarget
    ) -> KPIStatus {
        guard let number = value.double else {
            return KPIStatus(
                value: value, state: .noData, change: nil, isImproving: nil,
                summary: "\(title) has no value: \(reason(value)).")
        }
        let state = judge(value, target)
        var change: Double?
        if let before = previous?.double, before != 0 { change = (number - before) / before.magnitude }
        var isImproving: Bool?
        if let change, change != 0 { isImproving = (change > 0) == (target.direction == .increase) }
        let unit = target.unit.isEmpty ? "" : target.unit == "%" ? " %" : " \(target.unit)"
        let verdict =
            switch state {
            case .onTrack: "on track"
            case .atRisk: "at risk"
            case .offTrack: "off track"
            case .noData: "unknown"
            }
        let aim = target.direction == .increase ? "at least" : "at most"
        var sentence =
            "\(title) is \(text(value))\(unit), \(verdict) against its target of \(aim) "
            + "\(target.target.canonicalText)\(unit)"
        if let change {
            let percent = rounded(change.magnitude * 100, places: 1)
            sentence +=
                change == 0
                ? "; unchanged from the period before"
                : "; \(change > 0 ? "up" : "down") \(percent) % on the period before"
                    + (isImproving == true ? ", which is better" : ", which is worse")
        }
        return KPIStatus(
            value: value, state: state, change: change, isImproving: isImproving, summary: sentence + ".")
    }

    private static func judge(_ value: MeasureValue, _ target: KPITarget) -> KPIState {
        let sign = target.direction == .increase ? 1 : -1
        if value.compare(target.target) * sign >= 0 { return .onTrack }
        if let atRisk = target.atRisk, value.compare(atRisk) * sign >= 0 { return .atRisk }
        return .offTrack
    }

    private static func reason(_ value: MeasureValue) -> String {
        guard case .null(let reason) = value else { return "none" }
        switch reason {
        case .noData: return "there is no data for the period"
        case .zeroDenominator: return "nothing was counted in the period"
        case .overflow: return "the numbers are too large"
        case .tooManyDistinct: return "there are too many different values to count"
        case .correctionUnresolved: return "corrections took back all values that were kept for it"
        }
    }

    private static func text(_ value: MeasureValue) -> String {
        switch value {
        case .decimal(let decimal): decimal.canonicalText
        case .double(let double): rounded(double, places: 4)
        case .null: ""
        }
    }

    /// At most `places` decimals, half away from zero, without trailing zeros.
    private static func rounded(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard scaled.magnitude < 9e15 else { return value.description }
        return MeasureDecimal(significand: Int128(Int64(scaled)), scale: places).canonicalText
    }
}
