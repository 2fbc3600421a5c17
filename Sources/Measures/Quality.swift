/// What became of one incoming item, as the validation of its contract saw it.
public enum QualityDisposition: Hashable, Sendable {
    /// It holds to the contract and is new.
    case accepted
    /// Its identity was accepted before.
    case duplicate
    /// It broke the contract; the code of the first finding.
    case quarantined(code: String)
}

/// How one rule went for one item.
public enum RuleResult: Hashable, Sendable {
    /// It holds.
    case passed
    /// It does not.
    case failed
    /// It could not be evaluated (null operands): counted apart, never as passed.
    case notEvaluated
}

/// Counters of one rule or property.
public struct QualityTally: Hashable, Sendable {
    /// Items looked at that hold.
    public var passed: Int64 = 0
    /// Items that do not.
    public var failed: Int64 = 0
    /// Items that could not be judged.
    public var notEvaluated: Int64 = 0

    /// Zeroes.
    public init(passed: Int64 = 0, failed: Int64 = 0, notEvaluated: Int64 = 0) {
        self.passed = passed
        self.failed = failed
        self.notEvaluated = notEvaluated
    }

    /// Adds another tally.
    public mutating func merge(_ other: QualityTally) {
        passed += other.passed
        failed += other.failed
        notEvaluated += other.notEvaluated
    }

    /// passed / (passed + failed); nil when nothing was judged.
    public var share: Double? {
        passed + failed == 0 ? nil : Double(passed) / Double(passed + failed)
    }
}

/// Everything counted for one contract in one bucket. Mergeable: order never matters.
public struct QualityCounters: Hashable, Sendable {
    /// Items accepted.
    public private(set) var accepted: Int64 = 0
    /// Items whose identity was accepted before.
    public private(set) var duplicates: Int64 = 0
    /// Items quarantined, by code.
    public private(set) var quarantined: [String: Int64] = [:]
    /// Per rule name.
    public private(set) var rules: [String: QualityTally] = [:]
    /// Per property: passed is present, failed is null or absent. Accepted items only.
    public private(set) var properties: [String: QualityTally] = [:]
    /// Latest event time accepted [microseconds]; nil for none.
    public private(set) var lastEventTime: Int64?

    /// Zeroes.
    public init() {}

    /// Items seen.
    public var volume: Int64 { accepted + duplicates + quarantined.values.reduce(0, +) }

    /// Counts one item.
    public mutating func record(_ disposition: QualityDisposition, eventTime: Int64? = nil) {
        switch disposition {
        case .accepted:
            accepted += 1
            if let eventTime { lastEventTime = max(lastEventTime ?? eventTime, eventTime) }
        case .duplicate: duplicates += 1
        case .quarantined(let code): quarantined[Self.key(code, in: quarantined), default: 0] += 1
        }
    }

    /// Counts one rule's result for one item.
    public mutating func record(rule: String, _ result: RuleResult) {
        let key = Self.key(rule, in: rules)
        switch result {
        case .passed: rules[key, default: QualityTally()].passed += 1
        case .failed: rules[key, default: QualityTally()].failed += 1
        case .notEvaluated: rules[key, default: QualityTally()].notEvaluated += 1
        }
    }

    /// Counts one property of one accepted item.
    public mutating func record(property: String, isPresent: Bool) {
        let key = Self.key(property, in: properties)
        if isPresent {
            properties[key, default: QualityTally()].passed += 1
        } else {
            properties[key, default: QualityTally()].failed += 1
        }
    }

    /// Adds another bucket or part.
    public mutating func merge(_ other: QualityCounters) {
        accepted += other.accepted
        duplicates += other.duplicates
        for (code, count) in other.quarantined.sorted(by: { $0.key < $1.key }) {
            quarantined[Self.key(code, in: quarantined), default: 0] += count
        }
        for (rule, tally) in other.rules.sorted(by: { $0.key < $1.key }) {
            rules[Self.key(rule, in: rules), default: QualityTally()].merge(tally)
        }
        for (property, tally) in other.properties.sorted(by: { $0.key < $1.key }) {
            properties[Self.key(property, in: properties), default: QualityTally()].merge(tally)
        }
        if let time = other.lastEventTime { lastEventTime = max(lastEventTime ?? time, time) }
    }

    /// A known key, or `__other__` once there are very many.
    private static func key<V>(_ key: String, in counted: [String: V]) -> String {
        counted[key] != nil || counted.count < MeasureLimits.qualityKeysMax ? key : MeasureLimits.other
    }
}

extension QualityCounters {
    /// What one counter of a row is about.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case accepted, duplicate, quarantined, rule, property
        case lastEventTime = "last_event_time"
    }

    /// One counter as plain columns: `passed`, `failed` and `notEvaluated` add, `lastEventTime` takes the greatest.
    public struct Row: Hashable, Sendable {
        /// What it is about.
        public var kind: Kind
        /// Code, rule or property; empty for the others.
        public var name: String
        /// Counts; `passed` alone for accepted, duplicate and quarantined.
        public var tally: QualityTally
        /// For `lastEventTime` [microseconds].
        public var lastEventTime: Int64?

        /// Makes a row, as read from a table.
        public init(kind: Kind, name: String, tally: QualityTally, lastEventTime: Int64? = nil) {
            self.kind = kind
            self.name = name
            self.tally = tally
            self.lastEventTime = lastEventTime
        }
    }

    /// The counters as rows, in a stable order; zeroes are left out.
    public var rows: [Row] {
        var rows: [Row] = []
        if accepted > 0 { rows.append(Row(kind: .accepted, name: "", tally: QualityTally(passed: accepted))) }
        if duplicates > 0 { rows.append(Row(kind: .duplicate, name: "", tally: QualityTally(passed: duplicates))) }
        for (code, count) in quarantined.sorted(by: { $0.key < $1.key }) {
            rows.append(Row(kind: .quarantined, name: code, tally: QualityTally(passed: count)))
        }
        rows += rules.sorted { $0.key < $1.key }.map { Row(kind: .rule, name: $0.key, tally: $0.value) }
        rows += properties.sorted { $0.key < $1.key }.map { Row(kind: .property, name: $0.key, tally: $0.value) }
        if let lastEventTime {
            rows.append(Row(kind: .lastEventTime, name: "", tally: QualityTally(), lastEventTime: lastEventTime))
        }
        return rows
    }

    /// Adds a row back.
    public mutating func merge(_ row: Row) {
        switch row.kind {
        case .accepted: accepted += row.tally.passed
        case .duplicate: duplicates += row.tally.passed
        case .quarantined: quarantined[row.name, default: 0] += row.tally.passed
        case .rule: rules[row.name, default: QualityTally()].merge(row.tally)
        case .property: properties[row.name, default: QualityTally()].merge(row.tally)
        case .lastEventTime:
            if let time = row.lastEventTime { lastEventTime = max(lastEventTime ?? time, time) }
        }
    }
}

/// Quality counters of many contracts by base bucket of ingest time.
public struct QualityTable: Sendable {
    /// Contract and bucket.
    public struct Key: Hashable, Sendable {
        /// Name of the contract.
        public var contract: String
        /// Start of the 15-minute bucket of ingest time [microseconds].
        public var bucket: Int64
    }

    private var counters: [Key: QualityCounters] = [:]

    /// Nothing counted.
    public init() {}

    /// Changes the counters of a contract at an ingest time.
    public mutating func update(
        contract: String, ingestTime: Int64, _ change: (inout QualityCounters) -> Void
    ) {
        let key = Key(contract: contract, bucket: RollupTable.bucket(of: ingestTime))
        change(&counters[key, default: QualityCounters()])
    }

    /// The counters by contract and bucket, in a stable order.
    public func snapshot() -> [(key: Key, counters: QualityCounters)] {
        counters.sorted { ($0.key.contract, $0.key.bucket) < ($1.key.contract, $1.key.bucket) }
            .map { (key: $0.key, counters: $0.value) }
    }

    /// What was counted since the last call; the table is empty after it.
    public mutating func drainDelta() -> [(key: Key, counters: QualityCounters)] {
        let delta = snapshot()
        counters.removeAll(keepingCapacity: true)
        return delta
    }
}

/// Scores of a contract over some span, each nil when there was nothing to judge.
public struct QualityScores: Hashable, Sendable {
    /// Items seen.
    public let volume: Int64
    /// Present values of all counted properties / values looked at.
    public let completeness: Double?
    /// Items that hold to the contract / items seen, duplicates left out.
    public let validity: Double?
    /// New items / (new items + duplicates).
    public let uniqueness: Double?
    /// Age of the latest event time at `now` [microseconds], never below 0.
    public let freshnessMicros: Int64?
    /// Share of passes by rule.
    public let rules: [String: Double?]
    /// Share of present values by property.
    public let properties: [String: Double?]

    /// Scores merged counters at an instant.
    public init(_ counters: QualityCounters, now: Int64) {
        volume = counters.volume
        var present = QualityTally()
        for tally in counters.properties.values { present.merge(tally) }
        completeness = present.share
        let broken = counters.quarantined.values.reduce(0, +)
        validity = QualityTally(passed: counters.accepted, failed: broken).share
        uniqueness = QualityTally(passed: counters.accepted, failed: counters.duplicates).share
        freshnessMicros = counters.lastEventTime.map { max(0, now - $0) }
        rules = counters.rules.mapValues(\.share)
        properties = counters.properties.mapValues(\.share)
    }
}
