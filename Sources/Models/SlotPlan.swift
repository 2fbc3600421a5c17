import CTreeKernel

/// Encoded inputs of a forest. A slot is one feature seen under one missing rule (or one category set), so that
/// inside the trees every decision is a plain comparison, without a test for missing values.
struct SlotPlan {
    /// What identifies a numeric slot; byte ranks reach 255 thresholds, so features with more have several chunks.
    private struct NumericKey: Hashable {
        var feature: Int32
        var rule: MissingRule
        var chunk: Int
    }

    private struct CategoryKey: Hashable {
        var feature: Int32
        var set: Int32
        var rule: MissingRule
    }

    /// Thresholds one byte slot can tell apart: ranks are 0...255.
    static let ranksPerSlot = 255

    private(set) var thresholds: [Double] = []
    /// Thresholds of features with at most 255, in blocks for the wide kernels.
    private(set) var wideThresholds: [Double] = []
    private(set) var features: [tk_feature] = []
    private(set) var slots: [tk_slot] = []
    private(set) var categories: [tk_category] = []
    private(set) var categoryWords: [UInt64] = []
    private var numericSlots: [NumericKey: UInt32] = [:]
    private var categorySlots: [CategoryKey: UInt32] = [:]
    private var sortedThresholds: [Int32: [Double]] = [:]

    var count: Int { slots.count + categories.count }

    init(_ forest: Forest) {
        collectThresholds(forest)
        var keys = Set<NumericKey>()
        var categoryKeys = Set<CategoryKey>()
        for node in forest.nodes where !node.isLeaf {
            if node.categorySet >= 0 {
                categoryKeys.insert(CategoryKey(feature: node.feature, set: node.categorySet, rule: node.rule))
            } else {
                let chunk = rank(node) / Self.ranksPerSlot
                keys.insert(NumericKey(feature: node.feature, rule: node.rule, chunk: chunk))
            }
        }
        addNumericSlots(keys)
        addCategorySlots(categoryKeys, forest)
    }

    private mutating func collectThresholds(_ forest: Forest) {
        var found: [Int32: Set<Double>] = [:]
        for node in forest.nodes where !node.isLeaf && node.categorySet < 0 {
            found[node.feature, default: []].insert(node.threshold)
        }
        sortedThresholds = found.mapValues { $0.sorted() }
    }

    private mutating func addNumericSlots(_ keys: Set<NumericKey>) {
        let byFeature = Dictionary(grouping: keys, by: \.feature)
        for feature in byFeature.keys.sorted() {
            let sorted = sortedThresholds[feature] ?? []
            let ordered = (byFeature[feature] ?? []).sorted {
                ($0.chunk, $0.rule.rawValue) < ($1.chunk, $1.rule.rawValue)
            }
            features.append(
                tk_feature(
                    feature: UInt32(feature), threshold_offset: UInt32(thresholds.count),
                    threshold_count: UInt32(sorted.count), slot_offset: UInt32(slots.count),
                    slot_count: UInt32(ordered.count), wide_offset: appendWide(sorted)))
            thresholds.append(contentsOf: sorted)
            for key in ordered {
                numericSlots[key] = UInt32(slots.count)
                slots.append(Self.slot(key, sorted))
            }
        }
    }

    /// The last threshold of every full block, then all thresholds; NaN, which no value reaches, fills up. One block is
    /// always left over, so that a value past all thresholds of full blocks finds an empty one.
    private mutating func appendWide(_ sorted: [Double]) -> UInt32 {
        guard sorted.count <= Self.ranksPerSlot else { return .max }
        let offset = wideThresholds.count
        let block = Int(TK_WIDE_BLOCK)
        let full = sorted.count / block
        for index in 0..<Int(TK_WIDE_BLOCKS) {
            wideThresholds.append(index < full ? sorted[(index + 1) * block - 1] : .nan)
        }
        wideThresholds.append(contentsOf: sorted)
        wideThresholds.append(contentsOf: repeatElement(.nan, count: (full + 1) * block - sorted.count))
        return UInt32(offset)
    }

    private static func slot(_ key: NumericKey, _ sorted: [Double]) -> tk_slot {
        let base = key.chunk * ranksPerSlot
        let value: Double
        let rank: Int
        switch key.rule {
        case .left, .zeroOrMissingLeft: (value, rank) = (-.infinity, 0)
        case .right, .zeroOrMissingRight: (value, rank) = (.infinity, 255)
        case .zero: (value, rank) = (0, min(255, max(0, sorted.count(where: { $0 <= 0 }) - base)))
        }
        let isZeroMissing = key.rule == .zeroOrMissingLeft || key.rule == .zeroOrMissingRight
        return tk_slot(
            missing_value: value, rank_base: UInt32(base), missing_rank: UInt8(rank),
            zero_is_missing: isZeroMissing ? 1 : 0)
    }

    private mutating func addCategorySlots(_ keys: Set<CategoryKey>, _ forest: Forest) {
        var offsets: [UInt32] = []
        for set in forest.categorySets {
            offsets.append(UInt32(categoryWords.count))
            categoryWords.append(contentsOf: set.words)
        }
        let ordered = keys.sorted {
            ($0.feature, $0.set, $0.rule.rawValue) < ($1.feature, $1.set, $1.rule.rawValue)
        }
        for key in ordered {
            categorySlots[key] = UInt32(slots.count + categories.count)
            let isXGBoost = forest.flavor == .xgboost
            categories.append(
                tk_category(
                    // XGBoost puts every negative code outside; LightGBM truncates first, so -0.5 is code 0.
                    lowest: isXGBoost ? (-Double.leastNonzeroMagnitude) : -1,
                    feature: UInt32(key.feature), word_offset: offsets[Int(key.set)],
                    bit_count: UInt32(forest.categorySets[Int(key.set)].words.count * 64),
                    hit: isXGBoost ? 1 : 0, missing: key.rule == .right ? 1 : 0))
        }
    }

    private func rank(_ node: ForestNode) -> Int {
        let sorted = sortedThresholds[node.feature] ?? []
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < node.threshold { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Slot and rank of a split for the byte layouts: right when the slot's byte is above the rank.
    func byteSplit(_ node: ForestNode) -> (slot: UInt8, rank: UInt8) {
        if node.categorySet >= 0 { return (UInt8(categorySlot(node)), 0) }
        let rank = rank(node)
        let key = NumericKey(feature: node.feature, rule: node.rule, chunk: rank / Self.ranksPerSlot)
        return (UInt8(numericSlots[key] ?? 0), UInt8(rank % Self.ranksPerSlot))
    }

    /// Slot and threshold of a split for the linked layout: right when the slot's value is at least the threshold.
    func linkedSplit(_ node: ForestNode) -> (slot: UInt32, threshold: Double) {
        if node.categorySet >= 0 { return (categorySlot(node), 0.5) }
        let chunk = rank(node) / Self.ranksPerSlot
        let key = NumericKey(feature: node.feature, rule: node.rule, chunk: chunk)
        return (numericSlots[key] ?? 0, node.threshold)
    }

    private func categorySlot(_ node: ForestNode) -> UInt32 {
        categorySlots[CategoryKey(feature: node.feature, set: node.categorySet, rule: node.rule)] ?? 0
    }
}
