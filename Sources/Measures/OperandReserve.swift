/// The best operands of a row with how often each occurs, so that a correction can take one back and the row still knows
/// its smallest or largest. Bounded: operands past `MeasureLimits.extremesKept` different ones are only counted.
struct OperandReserve: Hashable, Sendable {
    /// One operand and how often it occurs.
    struct Entry: Hashable, Sendable {
        var value: MeasureDecimal
        var count: Int64
    }

    /// Which end of the order is kept.
    enum End: Sendable {
        case smallest, largest
    }

    /// Best first.
    private(set) var kept: [Entry] = []
    /// Operands that are worse than every kept one.
    private(set) var beyond: Int64 = 0

    /// Nothing folded yet.
    init() {}

    /// Entries as read back, best first.
    init(kept: [Entry], beyond: Int64) {
        self.kept = kept
        self.beyond = beyond
    }

    /// The best operand; nil when there is none or it is not known.
    var best: MeasureDecimal? { kept.first?.value }

    /// Operands remain, but all that were kept have been taken back.
    var isExhausted: Bool { kept.isEmpty && beyond > 0 }

    /// Adds one operand.
    mutating func insert(_ value: MeasureDecimal, _ end: End) {
        insert(Entry(value: value, count: 1), end)
    }

    private mutating func insert(_ entry: Entry, _ end: End) {
        let place = position(of: entry.value, end)
        if place < kept.count, kept[place].value == entry.value {
            kept[place].count += entry.count
        } else if place == kept.count, beyond > 0 {
            // How it stands to those that are only counted is not known.
            beyond += entry.count
        } else {
            kept.insert(entry, at: place)
            if kept.count > MeasureLimits.extremesKept { beyond += kept.removeLast().count }
        }
    }

    /// Takes one operand back; false when it is none of them.
    mutating func remove(_ value: MeasureDecimal, _ end: End) -> Bool {
        let place = position(of: value, end)
        if place < kept.count {
            guard kept[place].value == value else { return false }
            kept[place].count -= 1
            if kept[place].count == 0 { kept.remove(at: place) }
            return true
        }
        if beyond == 0 { return false }
        beyond -= 1
        return true
    }

    /// Adds the operands of another row.
    mutating func merge(_ other: OperandReserve, _ end: End) {
        if other.beyond > 0 {
            // Kept ones that are worse than the other's last may be worse than what the other only counted.
            let cut = other.kept.last.map { last in position(after: last.value, end) } ?? 0
            beyond += kept[cut...].reduce(other.beyond) { $0 + $1.count }
            kept.removeSubrange(cut...)
        }
        for entry in other.kept { insert(entry, end) }
    }

    /// Where an operand stands or belongs.
    private func position(of value: MeasureDecimal, _ end: End) -> Int {
        var (low, high) = (0, kept.count)
        while low < high {
            let middle = (low + high) / 2
            let isBefore = end == .smallest ? kept[middle].value < value : value < kept[middle].value
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func position(after value: MeasureDecimal, _ end: End) -> Int {
        let place = position(of: value, end)
        return place < kept.count && kept[place].value == value ? place + 1 : place
    }
}
