/// The features of one view that a reader wants, arranged for one backward pass: windows nest, so each stage folds
/// only the events between its window's start and the one before, then emits every feature of that window.
struct ReadProgram: Sendable {
    /// Work of one column in one stage.
    struct Task: Sendable {
        let column: Int
        let kind: ColumnKind
        let needs: ColumnNeeds
    }

    /// One decaying sum in one stage.
    struct DecayTask: Sendable {
        /// Index into the view's decays.
        let index: Int
        let decay: Decay
        let kind: ColumnKind
    }

    /// Where one feature's value goes.
    struct Emission: Sendable {
        let feature: CompiledFeature
        let position: Int
    }

    /// One window.
    struct Stage: Sendable {
        /// Window length [microseconds]; Int64.max for all history.
        let span: Int64
        /// Folding is needed; false when the window's features take only the latest event.
        let tasks: [Task]
        let decays: [DecayTask]
        let emissions: [Emission]
        /// The stage needs nothing but the latest event: the scan stops there.
        let isLatestOnly: Bool
    }

    let view: FeatureView
    let stages: [Stage]
    let distinctColumns: Int
    /// Length of the longest window [microseconds]; Int64.max for all history.
    var longestSpan: Int64 { stages.last?.span ?? 0 }

    /// `wanted`: feature index in the view and position in the reader's vector.
    init(view: FeatureView, wanted: [(feature: Int, position: Int)]) {
        self.view = view
        let emissions = wanted.map { Emission(feature: view.features[$0.feature], position: $0.position) }
        let windows = Set(emissions.map(\.feature.window)).sorted()
        stages = windows.map { window in
            var needs: [Int: ColumnNeeds] = [:]
            for emission in emissions where emission.feature.window >= window {
                let feature = emission.feature
                if feature.column >= 0 { needs[feature.column, default: []].formUnion(feature.fold.needs) }
                if feature.denominator >= 0 { needs[feature.denominator, default: []].formUnion(.sum) }
            }
            let decays = Set(
                emissions.filter { $0.feature.window >= window && $0.feature.decay >= 0 }.map(\.feature.decay))
            let own = emissions.filter { $0.feature.window == window }
            return Stage(
                span: view.windows[window],
                tasks: needs.keys.sorted().map {
                    Task(column: $0, kind: view.spec.columns[$0].kind, needs: needs[$0] ?? [])
                },
                decays: decays.sorted().map {
                    DecayTask(index: $0, decay: view.decays[$0], kind: view.spec.columns[view.decays[$0].column].kind)
                },
                emissions: own,
                isLatestOnly: needs.isEmpty
                    && own.allSatisfy { $0.feature.fold == .lastTime || $0.feature.fold == .timeSince })
        }
        distinctColumns = Set(emissions.filter { $0.feature.fold == .distinct }.map(\.feature.column)).count
    }
}

/// Running state of one column during a pass, newest event first.
struct ColumnAccumulator {
    var count: Int64 = 0
    var sum: Int128 = 0
    var squares: UInt128 = 0
    var isSquareOverflow = false
    var minimum = Int64.max
    var maximum = Int64.min
    var leastDouble = Double.infinity
    var greatestDouble = -Double.infinity
    /// Raw field values of the newest and the oldest value seen, and their event times.
    var newest: Int64 = 0
    var oldest: Int64 = 0
    var newestTime = Int64.min
    var oldestTime = Int64.min
    var distinct: Int64 = 0
}

/// Memory that one pass works in; lives in a shard and is used under its lock, so a read allocates nothing once warm.
struct ReadScratch: ~Copyable {
    var columns: [ColumnAccumulator] = []
    var exactSums: [ExactSum?] = []
    /// By index of the view's decays.
    var decays: [DecaySums] = []
    /// Occurrences by raw field value, by column; empty where no `topK` reads the column.
    var frequencies: [[Int64: Int64]] = []
    /// By column; empty where no `quantile` reads the column.
    var ranks: [RankCounter] = []
    /// Indexes of the rows that were known, ascending; unused when everything is.
    var known: [UInt32] = []
    var distinct = DistinctSet()

    init() {}

    /// Empties what the program is going to fold into. The first stage has the tasks of all later ones.
    mutating func begin(_ program: ReadProgram) {
        let columnCount = program.view.spec.columns.count
        columns.removeAll(keepingCapacity: true)
        for _ in 0..<columnCount { columns.append(ColumnAccumulator()) }
        while exactSums.count < columnCount { exactSums.append(nil) }
        guard let first = program.stages.first else { return }
        for task in first.tasks {
            if task.kind == .double { resetExactSum(task.column) }
            if task.needs.contains(.frequencies) {
                while frequencies.count < columnCount { frequencies.append([:]) }
                frequencies[task.column].removeAll(keepingCapacity: true)
            }
            if task.needs.contains(.ranks) {
                while ranks.count < columnCount { ranks.append(RankCounter()) }
                ranks[task.column].reset()
            }
        }
        for task in first.decays {
            while decays.count <= task.index { decays.append(DecaySums()) }
            decays[task.index].reset()
        }
    }

    private mutating func resetExactSum(_ column: Int) {
        if exactSums[column] == nil { exactSums[column] = ExactSum() } else { exactSums[column]?.reset() }
    }
}

/// A set of (column, value) that is emptied by counting up an epoch instead of clearing.
struct DistinctSet: ~Copyable {
    private var keys: [Int64] = []
    private var marks: [UInt32] = []
    private var epoch: UInt32 = 0

    init() {}

    /// Forgets everything and makes room for `count` members.
    mutating func begin(count: Int) {
        var size = 64
        while size < count * 2 { size *= 2 }
        if size > keys.count {
            keys = [Int64](repeating: 0, count: size)
            marks = [UInt32](repeating: 0, count: size)
            epoch = 0
        }
        // The next read's marks start above every mark of this one.
        if epoch > .max - UInt32(2 * (FeatureLimits.columnsMax + 1)) {
            for index in marks.indices { marks[index] = 0 }
            epoch = 0
        }
        epoch += UInt32(FeatureLimits.columnsMax + 1)
    }

    /// Adds a value under a column's mark; true when it was not there.
    @inline(__always)
    mutating func insert(_ value: Int64, column: Int) -> Bool {
        let mask = keys.count - 1
        let mark = epoch + UInt32(column)
        // Fibonacci hashing of the value and its column.
        let mixed = (UInt64(bitPattern: value) &+ UInt64(mark)) &* 0x9e37_79b9_7f4a_7c15
        var position = Int(truncatingIfNeeded: mixed >> 32) & mask
        while marks[position] >= epoch {
            if marks[position] == mark, keys[position] == value { return false }
            position = (position + 1) & mask
        }
        keys[position] = value
        marks[position] = mark
        return true
    }
}
