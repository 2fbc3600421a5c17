import FEEL
import JSON
import Measures
import Synchronization

/// Slots of expressions over streams, reused from item to item by one thread.
struct StreamSlots {
    var values: [Value] = []
}

/// What one item adds to a measure: dimension values, operand, which sides it counts on.
typealias MeasureContribution = (dimensions: [String?], operand: MeasureOperand, pass: MeasurePass)

extension MeasureDefinition {
    /// What one item adds; nil when it is not part of the measure.
    func contribution(of item: JSONValue, _ slots: inout StreamSlots) -> MeasureContribution? {
        if let decision = stream.decision, item["decision"]?.equals(utf8: decision) != true { return nil }
        schema.slots(item, used: usedFields, into: &slots.values)
        if let filter, filter.truth(slots.values) != true { return nil }
        if let denominator, denominator.truth(slots.values) != true { return nil }
        let isNumerator = numerator.map { $0.truth(slots.values) == true } ?? true
        let dimensions = dimensions.map { Self.text($0.expression.evaluate(slots.values)) }
        return (dimensions, operand(slots.values), MeasurePass(isCounted: true, isNumerator: isNumerator))
    }

    private func operand(_ slots: [Value]) -> MeasureOperand {
        guard let operand else { return .none }
        switch operand.evaluate(slots) {
        case .number(let number):
            return MeasureDecimal(parsing: number.description).map(MeasureOperand.number) ?? .null
        case .string(let text): return .text(text)
        default: return .null
        }
    }

    private static func text(_ value: Value) -> String? {
        switch value {
        case .null: nil
        case .string(let text): text
        default: value.text
        }
    }
}

extension JSONValue {
    /// String compare without allocation.
    func equals(utf8 text: String) -> Bool {
        var copy = text
        return copy.withUTF8 { equals(utf8: $0) }
    }
}

/// All measures in memory, every bucket of them; of superseded versions as long as frames that they cover may have to be
/// shipped.
final class MeasureRollups: Sendable {
    struct Entry: Sendable {
        let version: Int
        var table: RollupTable
    }

    /// By name, the newest version last.
    let entries = Mutex<[String: [Entry]]>([:])

    /// Adds one item of the measure's stream. Journal thread only, in seq order.
    func add(_ measure: MeasureDefinition, _ item: JSONValue, timeMicros: Int64, _ slots: inout StreamSlots) {
        guard let part = measure.contribution(of: item, &slots) else { return }
        correct(measure, removing: nil, adding: (part, timeMicros))
    }

    /// Takes one item's contribution back and adds another's, so that no reader sees half of it. Journal thread only, in
    /// seq order.
    func correct(
        _ measure: MeasureDefinition, removing old: (part: MeasureContribution, timeMicros: Int64)?,
        adding new: (part: MeasureContribution, timeMicros: Int64)?
    ) {
        entries.withLock { entries in
            if entries[measure.name]?.last?.version != measure.version {
                entries[measure.name, default: []].append(
                    Entry(version: measure.version, table: RollupTable(measure.measure)))
            }
            let last = (entries[measure.name]?.count ?? 1) - 1
            if let (part, timeMicros) = old {
                entries[measure.name]?[last].table.remove(
                    timeMicros: timeMicros, dimensions: part.dimensions, operand: part.operand, passes: part.pass)
            }
            if let (part, timeMicros) = new {
                entries[measure.name]?[last].table.add(
                    timeMicros: timeMicros, dimensions: part.dimensions, operand: part.operand, passes: part.pass)
            }
        }
    }

    /// One row of a measure's version; nil when there is none.
    func state(_ measure: MeasureDefinition, bucket: Int64, dimensions: [String?]) -> MeasureState? {
        entries.withLock {
            Self.entry($0, measure.name, measure.version)?.table.state(bucket: bucket, dimensions: dimensions)
        }
    }

    /// Puts the table of a version in place, newer than all there are.
    func put(_ table: RollupTable, of measure: MeasureDefinition) {
        entries.withLock { $0[measure.name, default: []].append(Entry(version: measure.version, table: table)) }
    }

    /// Forgets a version.
    func remove(_ measure: String, version: Int) {
        entries.withLock { entries in
            guard let index = entries[measure]?.firstIndex(where: { $0.version == version }) else { return }
            entries[measure]?.remove(at: index)
            if entries[measure]?.isEmpty == true { entries[measure] = nil }
        }
    }

    private static func entry(_ entries: [String: [Entry]], _ measure: String, _ version: Int) -> Entry? {
        entries[measure]?.last { $0.version == version }
    }

    /// The rows of a measure's version; none when nothing was added yet.
    func rows(_ measure: String, version: Int) -> [RollupRow] {
        entries.withLock { Self.entry($0, measure, version)?.table.rows() ?? [] }
    }

    /// Which combinations of dimension values are kept apart: the shipper folds its batches by the same list.
    func registry(_ measure: String, version: Int) -> DimensionRegistry? {
        entries.withLock { Self.entry($0, measure, version)?.table.registry }
    }
}
