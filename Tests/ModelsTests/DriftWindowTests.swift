import Testing

@testable import Models

struct DriftWindowTests {
    /// The definition, value by value.
    static func distance(_ reference: [Double], _ current: [Double]) -> Double {
        let (reference, current) = (reference.filter { !$0.isNaN }, current.filter { !$0.isNaN })
        return (reference + current).reduce(0) { largest, x in
            let first = Double(reference.count { $0 <= x }) / Double(reference.count)
            let second = Double(current.count { $0 <= x }) / Double(current.count)
            return max(largest, abs(first - second))
        }
    }

    static func sample(_ random: inout SplitMix, count: Int, step: Double, shift: Double) -> [Double] {
        (0..<count).map { _ in
            if random.next() % 10 == 0 { return .nan }
            if random.next() % 20 == 0 { return -0.0 }
            return (Double.random(in: -1...1, using: &random) / step).rounded() * step + shift
        }
    }

    static func window(_ reference: ReferenceDistribution, _ values: some Sequence<Double>) -> DriftWindow {
        var window = DriftWindow(reference: reference)
        for value in values { window.observe(value) }
        return window
    }

    static func window(_ reference: ReferenceDistribution, _ values: some Sequence<String?>) -> DriftWindow {
        var window = DriftWindow(reference: reference)
        for value in values {
            if let value { window.observe(category: value) } else { window.observeMissing() }
        }
        return window
    }

    /// Ties, shifts, missing values: with all reference values as points the distance is the definition's.
    @Test func distanceIsExact() throws {
        var random = SplitMix(state: 1)
        for round in 0..<60 {
            let step = [0.5, 0.1, 0.01, 1e-9][round % 4]
            let old = Self.sample(&random, count: 2 + round, step: step, shift: 0)
            let new = Self.sample(&random, count: 2 + round * 3 % 50, step: step, shift: step * Double(round % 3) / 2)
            guard old.contains(where: { !$0.isNaN }), new.contains(where: { !$0.isNaN }) else { continue }
            let numeric = try NumericReference(samples: old)
            #expect(numeric.isExact)
            let report = try DriftReport(Self.window(.numeric(numeric), new))
            let ks = try #require(report.kolmogorovSmirnov)
            #expect(ks.statistic == Self.distance(old, new))
            #expect(ks.statisticMax == ks.statistic)
            #expect(report.psi >= 0)
        }
    }

    /// With fewer points than values the distance lies between the two bounds, and those are as near as promised.
    @Test func distanceIsBounded() throws {
        var random = SplitMix(state: 2)
        for round in 0..<10 {
            let old = Self.sample(&random, count: 700, step: [1e-9, 0.004][round % 2], shift: 0)
            let new = Self.sample(&random, count: 300, step: 1e-9, shift: Double(round) / 30)
            let numeric = try NumericReference(samples: old, pointsMax: 40)
            #expect(!numeric.isExact)
            let ks = try #require(DriftReport(Self.window(.numeric(numeric), new)).kolmogorovSmirnov)
            let exact = Self.distance(old, new)
            #expect(ks.statistic <= exact && exact <= ks.statisticMax)
            #expect(ks.statisticMax - ks.statistic < 1 / 39.0)
        }
    }

    @Test func manyDistinctValuesStayWithinTheLimits() throws {
        let numeric = try NumericReference(samples: (0..<50_000).map { Double($0).squareRoot() })
        #expect(numeric.points.count <= DriftLimits.pointsMax + 9)
        #expect(numeric.values == 50_000)
        for cell in stride(from: 0, to: numeric.cells.count, by: 2) {
            #expect(Double(numeric.cells[cell]) * Double(DriftLimits.pointsMax - 1) < 50_000)
        }
        let stored = try NumericReference(
            edges: numeric.edges, points: numeric.points, cells: numeric.cells, missing: numeric.missing)
        #expect(stored == numeric)
        let categories = try CategoricalReference(samples: (0..<1_500).map { "c\($0 % 1_200)" })
        #expect(categories.categories.count == DriftLimits.categoriesMax)
        #expect(categories.other == 200)
        #expect(categories.counts.filter { $0 == 2 }.count == 300)
    }

    /// Buckets in any order, stored in between, are the window of everything.
    @Test func mergeIsTheWindowOfAll() throws {
        var random = SplitMix(state: 3)
        let old = Self.sample(&random, count: 300, step: 0.05, shift: 0)
        let numeric = ReferenceDistribution.numeric(try NumericReference(samples: old))
        let names = (0..<50).map { "n\($0 * 7 % 50)" }
        let categorical = ReferenceDistribution.categorical(
            try CategoricalReference(samples: (0..<99).map { $0 % 9 == 0 ? nil : names[$0 % 20] }))
        for round in 0..<20 {
            let new = Self.sample(&random, count: 40 + round, step: 0.05, shift: 0.3)
            let texts = (0..<(40 + round)).map { _ in random.next() % 9 == 0 ? nil : names.randomElement(using: &random)
            }
            let cut = Int.random(in: 0...new.count, using: &random)
            var sum = try DriftWindow.decode(Self.window(numeric, new[cut...]).encode(), reference: numeric)
            sum += Self.window(numeric, new[..<cut])
            #expect(sum == Self.window(numeric, new))
            var textSum = try DriftWindow.decode(
                Self.window(categorical, texts[cut...]).encode(), reference: categorical)
            textSum += Self.window(categorical, texts[..<cut])
            #expect(textSum == Self.window(categorical, texts))
            #expect(textSum.rows == Int64(texts.count))
        }
    }

    @Test func unknownValuesAreCounted() throws {
        let categorical = ReferenceDistribution.categorical(try CategoricalReference(samples: ["b", "a", nil, "b"]))
        let long = String(repeating: "x", count: DriftLimits.categoryBytesMax + 1)
        var window = Self.window(categorical, ["a", "c", "B", nil, long, "c", "b", "b"])
        window.observe(3)
        window.observeUnknown()
        let report = try DriftReport(window)
        #expect(
            report.bins.map(\.content) == [
                .category("B"), .category("a"), .category("b"), .category("c"), .other, .missing,
            ])
        #expect(report.bins.map(\.currentCount) == [1, 1, 2, 2, 3, 1])
        #expect(report.bins.map(\.referenceCount) == [0, 1, 2, 0, 0, 1])
        #expect(report.currentUnknownRate == 0.6)
        #expect(report.referenceUnknownRate == 0)
        #expect(try DriftWindow.decode(window.encode(), reference: categorical) == window)
        for index in 0..<100 { window.observe(category: "new\(index)") }
        #expect(window.newCategories.count == DriftLimits.newCategoriesMax)
        #expect(window.unknown == 106)
        #expect(try DriftWindow.decode(window.encode(), reference: categorical) == window)
        // Where the reference has unnamed categories itself, new ones cannot be told from those.
        let crowded = ReferenceDistribution.categorical(
            try CategoricalReference(categories: ["a"], counts: [5], other: 3, missing: 0))
        let merged = try DriftReport(Self.window(crowded, ["a", "z", "y"]))
        #expect(merged.bins.map(\.content) == [.category("a"), .other, .missing])
        #expect(merged.bins.map(\.currentCount) == [1, 2, 0])
        #expect(merged.referenceUnknownRate == 3.0 / 8)
        var numbers = DriftWindow(reference: .numeric(try NumericReference(samples: [1, 2])))
        numbers.observe(category: "1")
        numbers.observe(.infinity)
        #expect(try DriftReport(numbers).bins.map(\.currentCount).suffix(3) == [1, 1, 0])
    }

    @Test func textsAreComparedByTheirBytes() throws {
        let (composed, decomposed) = ("\u{E9}", "e\u{301}")
        let categorical = try CategoricalReference(samples: [composed, decomposed, composed])
        #expect(categorical.counts == [1, 2])
        #expect(categorical.index(of: composed) == 1)
        #expect(categorical.index(of: decomposed) == 0)
    }

    @Test func samplesWithoutValues() throws {
        let empty = try NumericReference(samples: [.nan, .nan])
        #expect(empty.edges.isEmpty && empty.cells == [0])
        let report = try DriftReport(Self.window(.numeric(empty), [.nan, 4]))
        #expect(report.bins.map(\.current) == [0.5, 0.5])
        #expect(report.kolmogorovSmirnov == nil)
        #expect(report.referenceNullRate == 1)
        let constant = try NumericReference(samples: [2, 2, 2])
        #expect(constant.edges == [2] && constant.points == [2] && constant.cells == [0, 3, 0])
        #expect(throws: DriftError(.noRows, "nothing was observed")) {
            try DriftReport(DriftWindow(reference: .numeric(constant)))
        }
    }

    @Test func bands() {
        #expect(DriftBand(psi: 0.0999) == .stable)
        #expect(DriftBand(psi: 0.1) == .moderate)
        #expect(DriftBand(psi: 0.2499) == .moderate)
        #expect(DriftBand(psi: 0.25) == .major)
    }
}

/// References and windows that must be refused.
struct DriftRefusalTests {
    static func code(_ body: () throws -> Void) -> DriftError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? DriftError)?.code
        }
    }

    typealias NumericCase = (edges: [Double], points: [Double], cells: [Int64], missing: Int64, code: DriftError.Code)

    static let numericCases: [NumericCase] = [
        ([1.0, .nan], [0, 1, 2], [1, 1, 1, 1, 1, 1, 1], 0, .notFinite),
        ([1], [0, 1, .infinity], [1, 1, 1, 1, 1, 1, 1], 0, .notFinite),
        ([1, 1], [1], [0, 1, 0], 0, .notAscending),
        ([1], [1, 0], [0, 1, 0, 0, 0], 0, .notAscending),
        ([], [-0.0, 0], [0, 1, 0, 0, 0], 0, .notAscending),
        ([1], [1], [0, 1], 0, .countMismatch),
        ([2], [1], [0, 1, 0], 0, .countMismatch),
        ([1], [1], [0, -1, 2], 0, .invalidCount),
        ([1], [1], [0, 1, 2], -1, .invalidCount),
        ([1], [1], [DriftLimits.rowsMax, 1, 0], 0, .invalidCount),
        ([1], [1], [0, 0, 0], 0, .noRows),
    ]

    @Test(arguments: numericCases)
    func numericReference(
        _ edges: [Double], _ points: [Double], _ cells: [Int64], _ missing: Int64, _ code: DriftError.Code
    ) {
        #expect(
            Self.code { _ = try NumericReference(edges: edges, points: points, cells: cells, missing: missing) } == code
        )
    }

    typealias CategoricalCase = (categories: [String], counts: [Int64], other: Int64, code: DriftError.Code)

    static let categoricalCases: [CategoricalCase] = [
        (["b", "a"], [1, 1], 0, .notAscending),
        (["a", "a"], [1, 1], 0, .notAscending),
        (["a"], [1, 1], 0, .countMismatch),
        (["a"], [1], -1, .invalidCount),
        (["a"], [0], 0, .noRows),
        ([String(repeating: "a", count: 257)], [1], 0, .limitExceeded),
    ]

    @Test(arguments: categoricalCases)
    func categoricalReference(_ categories: [String], _ counts: [Int64], _ other: Int64, _ code: DriftError.Code) {
        #expect(
            Self.code {
                _ = try CategoricalReference(categories: categories, counts: counts, other: other, missing: 0)
            } == code)
    }

    @Test func limits() {
        let numbers = (0..<1_100).map { Double($0) }
        let texts = (0..<1_001).map { "\($0)" }
        func numeric(_ edges: [Double], _ points: [Double]) -> DriftError.Code? {
            Self.code { _ = try NumericReference(edges: edges, points: points, cells: [], missing: 0) }
        }
        #expect(numeric(Array(numbers.prefix(100)), numbers) == .limitExceeded)
        #expect(numeric([], numbers) == .limitExceeded)
        #expect(
            Self.code { _ = try CategoricalReference(categories: texts, counts: [], other: 0, missing: 0) }
                == .limitExceeded)
    }

    @Test func samples() {
        #expect(Self.code { _ = try NumericReference(samples: []) } == .noRows)
        #expect(Self.code { _ = try NumericReference(samples: [1, .infinity]) } == .notFinite)
        #expect(Self.code { _ = try CategoricalReference(samples: []) } == .noRows)
    }

    @Test func windowsInBytes() throws {
        let reference = ReferenceDistribution.categorical(try CategoricalReference(samples: ["a", "b", "d"]))
        let head = Array(DriftWindow(reference: reference).encode().prefix(9))
        func code(_ tail: [UInt8]) -> DriftError.Code? {
            Self.code { _ = try DriftWindow.decode(head + tail, reference: reference) }
        }
        #expect(code([0, 0, 0, 0]) == nil)
        #expect(code([0, 0, 1, 2, 5, 1, 1, 0x63, 7]) == nil)
        #expect(code([0, 0, 0, 0, 0]) == .invalidBytes, "a byte too many")
        #expect(code([0x80, 0, 0, 0, 0]) == .invalidBytes, "not the shortest form")
        #expect(code([UInt8](repeating: 0xFF, count: 12)) == .invalidBytes, "a number without end")
        #expect(code([0, 0, 4, 0, 1, 0, 1, 0, 1, 0, 1, 0]) == .invalidBytes, "more counters than there are")
        #expect(code([0, 0, 1, 3, 1, 0]) == .invalidBytes, "a counter past the last")
        #expect(code([0, 0, 2, 2, 1, 0, 1, 0]) == .invalidBytes, "the second past the last")
        #expect(code([0, 0, 1, 0, 0, 0]) == .invalidBytes, "a count of 0")
        #expect(code([0, 0, 0, 1, 1, 0x61, 1]) == .invalidBytes, "a new category that the reference has")
        #expect(code([0, 0, 0, 1, 1, 0xFF, 1]) == .invalidBytes, "not UTF-8")
        #expect(code([0, 0, 0, 2, 1, 0x66, 1, 1, 0x65, 1]) == .invalidBytes, "not in order")
        #expect(code([0, 0, 0, 2, 1, 0x65, 1, 1, 0x65, 1]) == .invalidBytes, "twice the same")
        #expect(code([0, 0, 0, 65]) == .invalidBytes, "too many new categories")
        #expect(code([0, 0, 0, 1, 0x81, 2]) == .invalidBytes, "too long a category")
        let most: [UInt8] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]
        #expect(code(most + [0, 0, 0]) == nil)
        #expect(code(most + [1, 0, 0]) == .invalidCount)
        #expect(
            Self.code { _ = try DriftWindow.decode([2] + head.dropFirst(), reference: reference) } == .unknownVersion)
        let another = ReferenceDistribution.categorical(try CategoricalReference(samples: ["a", "b", "e"]))
        #expect(Self.code { _ = try DriftWindow.decode(head + [0, 0, 0, 0], reference: another) } == .otherReference)
        let numeric = ReferenceDistribution.numeric(try NumericReference(samples: [1]))
        let numericHead = Array(DriftWindow(reference: numeric).encode().prefix(9))
        #expect(
            Self.code { _ = try DriftWindow.decode(numericHead + [0, 0, 0, 1, 1, 0x61, 1], reference: numeric) }
                == .invalidBytes)
    }

    /// Whatever is cut off or changed is refused, or reads as a window that encodes to just those bytes.
    @Test func damagedBytesNeverTrap() throws {
        let reference = ReferenceDistribution.categorical(try CategoricalReference(samples: ["a", "b", nil]))
        let bytes = DriftWindowTests.window(reference, ["a", "z", "zz", nil, "b", "a", "y"]).encode()
        for count in 0..<bytes.count {
            #expect(Self.code { _ = try DriftWindow.decode(Array(bytes[..<count]), reference: reference) } != nil)
        }
        var random = SplitMix(state: 4)
        for _ in 0..<5_000 {
            var damaged = bytes
            for _ in 0...(random.next() % 3) {
                damaged[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if let window = try? DriftWindow.decode(damaged, reference: reference) {
                #expect(window.encode() == damaged)
            }
        }
    }
}
