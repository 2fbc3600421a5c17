/// One rollup row: a base bucket and one combination of dimension values.
public struct RollupRow: Hashable, Sendable {
    /// Start of the 15-minute bucket, UTC [microseconds since the Unix epoch].
    public var bucket: Int64
    /// One value per dimension; nil is null. All `__other__` past the cardinality limit.
    public var dimensions: [String?]
    /// What it accumulated.
    public var state: MeasureState

    /// Makes a row, as read from a table.
    public init(bucket: Int64, dimensions: [String?], state: MeasureState) {
        self.bucket = bucket
        self.dimensions = dimensions
        self.state = state
    }
}

/// Which combinations of dimension values a measure keeps apart. Whoever folds the same items in the same order admits
/// the same combinations, so the shipper and the in-memory head agree; seed it from the table's rows after a restart.
public struct DimensionRegistry: Sendable {
    private var numbers: [DimensionKey: Int] = [:]
    private var combinations: [DimensionKey] = []
    private let limit: Int
    private let dimensionCount: Int

    /// An empty registry of a measure.
    public init(_ measure: Measure) {
        limit = measure.spec.combinationsMax
        dimensionCount = measure.spec.dimensions.count
        let other = DimensionKey(measure.spec.dimensions.map { _ in MeasureLimits.other })
        // Number 0 is the combination of what was not admitted.
        numbers[other] = 0
        combinations = [other]
    }

    /// Combinations kept apart, without `__other__`.
    public var count: Int { combinations.count - 1 }

    /// The number of a combination; 0 (`__other__`) past the limit.
    public mutating func admit(_ dimensions: [String?]) -> Int {
        precondition(dimensions.count == dimensionCount, "one value per dimension of the measure")
        let key = DimensionKey(dimensions)
        if let number = numbers[key] { return number }
        if count >= limit { return 0 }
        for case let value? in dimensions where value.utf8.count > MeasureLimits.dimensionBytesMax { return 0 }
        combinations.append(key)
        numbers[key] = combinations.count - 1
        return combinations.count - 1
    }

    /// The number of a combination that may have been admitted.
    func number(_ dimensions: [String?]) -> Int? { numbers[DimensionKey(dimensions)] }

    /// The values of a number.
    public func dimensions(_ number: Int) -> [String?] { combinations[number].texts }

    /// Byte-wise order of two combinations, null first.
    func isLess(_ left: Int, _ right: Int) -> Bool { combinations[left].isLess(than: combinations[right]) }
}

/// The rollup rows of one measure in memory. Used twice: as the head that queries add to PostgreSQL's rows, and by the
/// shipper, which folds the frames of one batch and upserts what `drainDelta` returns.
public struct RollupTable: Sendable {
    private struct Key: Hashable {
        var bucket: Int64
        var combination: Int
    }

    /// The measure.
    public let measure: Measure
    /// The combinations kept apart; survives `drainDelta`.
    public private(set) var registry: DimensionRegistry
    private var states: [Key: MeasureState] = [:]

    /// An empty table; pass the registry of the table before it to go on with its combinations.
    public init(_ measure: Measure, registry: DimensionRegistry? = nil) {
        self.measure = measure
        self.registry = registry ?? DimensionRegistry(measure)
    }

    /// Rows held.
    public var count: Int { states.count }

    /// Start of the base bucket of an instant [microseconds].
    public static func bucket(of timeMicros: Int64) -> Int64 {
        let rest = timeMicros % MeasureLimits.bucketMicros
        return timeMicros - (rest < 0 ? rest + MeasureLimits.bucketMicros : rest)
    }

    /// Folds one item in. An item that does not pass leaves no row.
    public mutating func add(
        timeMicros: Int64, dimensions: [String?], operand: MeasureOperand = .none, passes: MeasurePass = MeasurePass()
    ) {
        if !passes.isCounted { return }
        let key = Key(bucket: Self.bucket(of: timeMicros), combination: registry.admit(dimensions))
        states[key, default: MeasureState()].add(
            operand, isNumerator: passes.isNumerator, aggregate: measure.spec.aggregate)
    }

    /// Takes an item back that was folded in before: the arguments are those of its `add`. A row without items goes.
    public mutating func remove(
        timeMicros: Int64, dimensions: [String?], operand: MeasureOperand = .none, passes: MeasurePass = MeasurePass()
    ) {
        if let key = subtract(timeMicros: timeMicros, dimensions: dimensions, operand: operand, passes: passes),
            states[key]?.items == 0
        {
            states[key] = nil
        }
    }

    /// The same for a table that holds a delta: the item may have been folded into an earlier one.
    public mutating func removeFromDelta(
        timeMicros: Int64, dimensions: [String?], operand: MeasureOperand = .none, passes: MeasurePass = MeasurePass()
    ) {
        _ = subtract(timeMicros: timeMicros, dimensions: dimensions, operand: operand, passes: passes)
    }

    private mutating func subtract(
        timeMicros: Int64, dimensions: [String?], operand: MeasureOperand, passes: MeasurePass
    ) -> Key? {
        if !passes.isCounted { return nil }
        let key = Key(bucket: Self.bucket(of: timeMicros), combination: registry.admit(dimensions))
        states[key, default: MeasureState()].remove(
            operand, isNumerator: passes.isNumerator, aggregate: measure.spec.aggregate)
        return key
    }

    /// The state of one row; nil when there is none.
    public func state(bucket: Int64, dimensions: [String?]) -> MeasureState? {
        registry.number(dimensions).flatMap { states[Key(bucket: bucket, combination: $0)] }
    }

    /// Adds a row of another table of the same measure and version.
    public mutating func merge(_ row: RollupRow) {
        let key = Key(bucket: row.bucket, combination: registry.admit(row.dimensions))
        states[key, default: MeasureState()].merge(row.state)
    }

    /// Adds another table of the same measure and version.
    public mutating func merge(_ table: RollupTable) {
        precondition(table.measure == measure)
        for row in table.rows() { merge(row) }
    }

    /// The rows, by bucket and then dimension values: a stable order keeps concurrent upserts free of deadlocks.
    public func rows() -> [RollupRow] {
        states.sorted { left, right in
            if left.key.bucket != right.key.bucket { return left.key.bucket < right.key.bucket }
            return registry.isLess(left.key.combination, right.key.combination)
        }.map { key, state in
            RollupRow(bucket: key.bucket, dimensions: registry.dimensions(key.combination), state: state)
        }
    }

    /// The rows accumulated since the last call; the table is empty after it and keeps its registry.
    public mutating func drainDelta() -> [RollupRow] {
        let delta = rows()
        states.removeAll(keepingCapacity: true)
        return delta
    }

    /// Drops the rows of buckets before `bucket`.
    public mutating func discard(before bucket: Int64) {
        states = states.filter { $0.key.bucket >= bucket }
    }
}
