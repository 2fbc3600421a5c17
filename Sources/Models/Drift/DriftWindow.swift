/// What was served lately, counted against one reference distribution: for one feature or the score, for one model
/// version, in one bucket of time. Windows of buckets add up to the window of their union, so buckets can be stored.
///
/// An observation costs one binary search; a number allocates nothing.
public struct DriftWindow: Hashable, Sendable {
    /// What is compared with.
    public let reference: ReferenceDistribution
    /// All observations.
    public internal(set) var rows: Int64 = 0
    /// Of those, the ones without a value.
    public internal(set) var missing: Int64 = 0
    /// Categories that the reference does not name, in byte order.
    public internal(set) var newCategories: [CategoryCount] = []
    /// Values that have no counter of their own: new categories past `DriftLimits.newCategoriesMax`, too long texts,
    /// texts where the reference has numbers, and numbers where it has texts.
    public internal(set) var other: Int64 = 0
    /// One per cell or category of the reference.
    var counters: [Int64]

    /// Observations of values that the reference does not name.
    public var unknown: Int64 { newCategories.reduce(other) { $0 + $1.count } }

    /// Nothing observed yet.
    public init(reference: ReferenceDistribution) {
        self.reference = reference
        counters = [Int64](repeating: 0, count: reference.counterCount)
    }

    /// Counts a number; NaN is missing.
    public mutating func observe(_ value: Double) {
        if value.isNaN { return observeMissing() }
        rows += 1
        guard case .numeric(let numeric) = reference else {
            other += 1
            return
        }
        counters[numeric.cell(of: value)] += 1
    }

    /// Counts a category.
    public mutating func observe(category: String) {
        rows += 1
        guard case .categorical(let categorical) = reference else {
            other += 1
            return
        }
        if let index = categorical.index(of: category) {
            counters[index] += 1
        } else {
            addNew(category, count: 1)
        }
    }

    /// Counts a row without a value.
    public mutating func observeMissing() {
        rows += 1
        missing += 1
    }

    /// Counts a row whose value is known to be none that the reference names, when its text is not at hand.
    public mutating func observeUnknown() {
        rows += 1
        other += 1
    }

    /// Adds another window of the same reference; any other is a mistake of the caller, as `decode` refuses one.
    ///
    /// The sum of windows is the window of all their observations in any order, as long as all of them together have at
    /// most `DriftLimits.newCategoriesMax` new categories; of more, those that come first keep their names.
    public static func += (window: inout DriftWindow, more: DriftWindow) {
        precondition(
            window.reference.fingerprint == more.reference.fingerprint, "windows of one reference are added up")
        window.rows += more.rows
        window.missing += more.missing
        window.other += more.other
        for index in more.counters.indices { window.counters[index] += more.counters[index] }
        for category in more.newCategories { window.addNew(category.name, count: category.count) }
    }

    private mutating func addNew(_ category: String, count: Int64) {
        let index = newCategories.firstIndexInBytes(notBefore: category, \.name)
        if index < newCategories.count, newCategories[index].name.equalsInBytes(category) {
            newCategories[index].count += count
        } else if newCategories.count < DriftLimits.newCategoriesMax,
            category.utf8.count <= DriftLimits.categoryBytesMax
        {
            newCategories.insert(CategoryCount(name: category, count: count), at: index)
        } else {
            other += count
        }
    }
}
