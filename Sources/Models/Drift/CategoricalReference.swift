/// A category and how many rows have it.
public struct CategoryCount: Hashable, Sendable {
    /// The category's text.
    public let name: String
    /// Rows.
    public internal(set) var count: Int64
}

/// The reference distribution of a text. Texts are compared byte by byte in UTF-8: unlike `String`'s own equality, two
/// spellings that look alike are two categories.
public struct CategoricalReference: Hashable, Sendable {
    /// Categories in byte order, which is the order of code points.
    public let categories: [String]
    /// Reference rows of each category.
    public let counts: [Int64]
    /// Reference rows of categories that are not named: past `DriftLimits.categoriesMax`, or with too long a text.
    public let other: Int64
    /// Reference rows without a value.
    public let missing: Int64
    /// See `ReferenceDistribution.fingerprint`.
    public let fingerprint: UInt64

    /// Takes a stored distribution, checked: strictly ascending, within the limits, one count per category.
    public init(categories: [String], counts: [Int64], other: Int64, missing: Int64) throws(DriftError) {
        guard categories.count <= DriftLimits.categoriesMax else {
            throw DriftError(.limitExceeded, "more than \(DriftLimits.categoriesMax) categories")
        }
        guard categories.allSatisfy({ $0.utf8.count <= DriftLimits.categoryBytesMax }) else {
            throw DriftError(.limitExceeded, "a category is longer than \(DriftLimits.categoryBytesMax) bytes")
        }
        guard zip(categories, categories.dropFirst()).allSatisfy({ $0.precedesInBytes($1) }) else {
            throw DriftError(.notAscending, "categories must ascend strictly in byte order")
        }
        guard counts.count == categories.count else {
            throw DriftError(.countMismatch, "\(counts.count) counts of \(categories.count) categories")
        }
        try ReferenceDistribution.check(counts: counts + [other, missing])
        self.categories = categories
        self.counts = counts
        self.other = other
        self.missing = missing
        var fingerprint = Fingerprint()
        fingerprint.add(UInt8(ascii: "c"))
        for category in categories { fingerprint.add(category) }
        fingerprint.add(counts + [other, missing])
        self.fingerprint = fingerprint.value
    }

    /// Counts a sample; nil is missing. Of more than `DriftLimits.categoriesMax` categories the most frequent are
    /// named, of equally frequent ones the first in byte order.
    public init(samples: [String?]) throws(DriftError) {
        let texts = samples.compactMap { $0 }
        var named: [CategoryCount] = []
        var other: Int64 = 0
        for text in texts.sorted(by: { $0.precedesInBytes($1) }) {
            if text.utf8.count > DriftLimits.categoryBytesMax {
                other += 1
            } else if let last = named.last, last.name.equalsInBytes(text) {
                named[named.count - 1].count += 1
            } else {
                named.append(CategoryCount(name: text, count: 1))
            }
        }
        if named.count > DriftLimits.categoriesMax {
            named.sort { $0.count != $1.count ? $0.count > $1.count : $0.name.precedesInBytes($1.name) }
            other += named[DriftLimits.categoriesMax...].reduce(0) { $0 + $1.count }
            named = named.prefix(DriftLimits.categoriesMax).sorted { $0.name.precedesInBytes($1.name) }
        }
        try self.init(
            categories: named.map(\.name), counts: named.map(\.count), other: other,
            missing: Int64(samples.count - texts.count))
    }

    /// The counter of a category, by binary search; nil for one that is not named.
    func index(of category: String) -> Int? {
        let index = categories.firstIndexInBytes(notBefore: category) { $0 }
        return index < categories.count && categories[index].equalsInBytes(category) ? index : nil
    }
}

extension String {
    func precedesInBytes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }

    func equalsInBytes(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

extension Array {
    /// The first index whose text does not precede `text`, in an array that ascends in byte order.
    func firstIndexInBytes(notBefore text: String, _ name: (Element) -> String) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if name(self[middle]).precedesInBytes(text) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
