import Decisions
import Models
import Synchronization

/// Counts of what one version of a model scored, per input and for the score.
struct DriftWindows: Sendable {
    /// Per input of the model, in its order; nil without a reference.
    var inputs: [DriftWindow?]
    var score: DriftWindow?

    /// Windows of one version with nothing in them.
    init(_ served: ServedModel) {
        let reference = served.definition.card.reference
        inputs = served.inputs.map { input in reference?.features[input.name].map { DriftWindow(reference: $0) } }
        score = reference?.score.map { DriftWindow(reference: $0) }
    }

    /// Counts one row as the model took it, with what was said of its cells.
    mutating func observe(
        _ served: ServedModel, _ row: UnsafeBufferPointer<Double>, _ marks: UnsafeBufferPointer<CellMark>,
        score value: Double
    ) {
        for index in inputs.indices where inputs[index] != nil {
            switch marks[index] {
            case .missing: inputs[index]?.observeMissing()
            case .unknown: inputs[index]?.observeUnknown()
            case .value:
                let input = served.inputs[index]
                if case .categorical? = inputs[index]?.reference {
                    inputs[index]?.observe(category: input.text(of: row[index]))
                } else {
                    inputs[index]?.observe(row[index])
                }
            }
        }
        score?.observe(value)
    }

    static func += (windows: inout DriftWindows, more: DriftWindows) {
        for index in windows.inputs.indices {
            if let added = more.inputs[index] { windows.inputs[index]? += added }
        }
        if let added = more.score { windows.score? += added }
    }
}

/// What models scored lately, in hours, against the reference distributions of their cards. Written by every thread that
/// scores; kept in PostgreSQL by `DriftKeeper`. Versions without a reference cost nothing.
final class DriftRecorder: Sendable {
    /// A version of a model.
    struct Key: Hashable, Sendable {
        let name: String
        let version: Int
    }

    /// The hours of one version that are in memory.
    struct Hours: Sendable {
        let served: ServedModel
        /// Windows by the hour's start [hours since the Unix epoch].
        var windows: [Int64: DriftWindows] = [:]
        /// Hours with rows that PostgreSQL does not have.
        var unsaved: Set<Int64> = []
    }

    private let versions = Mutex<[Key: Hours]>([:])
    private let clock: WallClock

    /// Hours of one version that stay in memory once PostgreSQL has them.
    static let hoursInMemory: Int64 = 24
    /// Hours of one version in memory at most: while PostgreSQL is away the oldest go then, and the answer tells it.
    static let hoursInMemoryMax = 24 * 14
    /// Microseconds of one hour.
    static let hourMicros: Int64 = 3_600_000_000

    init(clock: WallClock) {
        self.clock = clock
    }

    /// Counts rows that were scored.
    func observe(_ served: ServedModel, _ coded: ServedModel.Coded, _ scores: RowScores) {
        guard served.hasReference, coded.rowCount > 0 else { return }
        var added = DriftWindows(served)
        let (width, values) = (served.inputs.count, served.model.predictionCount)
        coded.numbers.withUnsafeBufferPointer { numbers in
            coded.marks.withUnsafeBufferPointer { marks in
                for row in 0..<coded.rowCount {
                    let range = (row * width)..<((row + 1) * width)
                    added.observe(
                        served, UnsafeBufferPointer(rebasing: numbers[range]),
                        UnsafeBufferPointer(rebasing: marks[range]),
                        score: scores.values[row * values + served.outputIndex])
                }
            }
        }
        update(served) { $0 += added }
    }

    /// Counts a row that a decision scored.
    func observe(_ served: ServedModel, _ row: ScoredRow) {
        guard served.hasReference, row.numbers.count == served.inputs.count else { return }
        row.numbers.withUnsafeBufferPointer { numbers in
            row.marks.withUnsafeBufferPointer { marks in
                update(served) { $0.observe(served, numbers, marks, score: row.score) }
            }
        }
    }

    private func update(_ served: ServedModel, _ body: (inout DriftWindows) -> Void) {
        let hour = clock.now() / Self.hourMicros
        let key = Key(name: served.name, version: served.version)
        versions.withLock { versions in
            body(&versions[key, default: Hours(served: served)].windows[hour, default: DriftWindows(served)])
            if versions[key]?.unsaved.insert(hour).inserted == true {
                Self.trim(&versions[key, default: Hours(served: served)])
            }
        }
    }

    private static func trim(_ hours: inout Hours) {
        guard hours.windows.count > hoursInMemoryMax else { return }
        for hour in hours.windows.keys.sorted().prefix(hours.windows.count - hoursInMemoryMax) {
            hours.windows[hour] = nil
            hours.unsaved.remove(hour)
        }
    }

    /// The hours in memory of one version.
    func hours(_ key: Key) -> Hours? { versions.withLock { $0[key] } }

    /// The versions that have rows which PostgreSQL does not have; they count as saved from here on.
    func takeUnsaved() -> [Key: Hours] {
        versions.withLock { versions in
            var taken: [Key: Hours] = [:]
            for (key, hours) in versions where !hours.unsaved.isEmpty {
                taken[key] = hours
                versions[key]?.unsaved = []
            }
            return taken
        }
    }

    /// Puts back what could not be saved.
    func putBack(_ hours: [Key: Hours]) {
        versions.withLock { versions in
            for (key, taken) in hours { versions[key]?.unsaved.formUnion(taken.unsaved) }
        }
    }

    /// Forgets saved hours that are old.
    func forgetOld() {
        let oldest = clock.now() / Self.hourMicros - Self.hoursInMemory
        versions.withLock { versions in
            for key in versions.keys {
                guard let held = versions[key] else { continue }
                for hour in held.windows.keys where hour < oldest && !held.unsaved.contains(hour) {
                    versions[key]?.windows[hour] = nil
                }
            }
        }
    }
}

extension ModelInput {
    /// The text of a category's code, as reference distributions name it.
    func text(of code: Double) -> String {
        if code >= 0, code < Double(categories.count) { return categories[Int(code)] }
        return Int64(exactly: code).map { String($0) } ?? "\(code)"
    }
}
