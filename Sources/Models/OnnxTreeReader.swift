/// Reads the node lists of a tree ensemble operator into a `Forest`.
struct OnnxTreeReader {
    static let nodeAttributes = [
        "nodes_falsenodeids", "nodes_featureids", "nodes_hitrates", "nodes_missing_value_tracks_true", "nodes_modes",
        "nodes_nodeids", "nodes_treeids", "nodes_truenodeids", "nodes_values", "base_values",
    ]

    let op: OnnxOperator
    let limits: ModelLimits
    /// Columns of the input.
    let width: Int
    /// `class` or `target`: how the lists of leaf weights are called.
    let prefix: String
    /// Whether every leaf has a weight for every output.
    private(set) var weighsEveryOutput = true

    private var modes: [String] = []
    private var features: [Int64] = []
    private var thresholds: [Float] = []
    private var trueIDs: [Int64] = []
    private var falseIDs: [Int64] = []
    private var tracks: [Int64] = []
    /// Where the weights of each node lie: a chain of indices into the weight lists.
    private var firstWeight: [Int32] = []
    private var nextWeight: [Int32] = []
    private var weightOutputs: [Int64] = []
    private var weights: [Float] = []

    init(op: OnnxOperator, limits: ModelLimits, width: Int, prefix: String) {
        self.op = op
        self.limits = limits
        self.width = width
        self.prefix = prefix
    }

    /// All trees, with `outputs` sums.
    mutating func read(outputs: Int) throws(ModelError) -> Forest {
        guard (1...limits.outputsMax).contains(outputs) else { throw op.fail(.limitExceeded, "\(outputs) outputs") }
        modes = try op.texts("nodes_modes")
        features = try op.ints("nodes_featureids")
        thresholds = try op.floats("nodes_values")
        trueIDs = try op.ints("nodes_truenodeids")
        falseIDs = try op.ints("nodes_falsenodeids")
        tracks = try op.ints("nodes_missing_value_tracks_true")
        let nodeIDs = try op.ints("nodes_nodeids")
        let treeIDs = try op.ints("nodes_treeids")
        let count = modes.count
        guard count > 0, count <= limits.nodesMax else { throw op.fail(.limitExceeded, "\(count) nodes") }
        guard features.count == count, thresholds.count == count, trueIDs.count == count, falseIDs.count == count,
            nodeIDs.count == count, treeIDs.count == count, tracks.isEmpty || tracks.count == count
        else { throw op.fail(.countMismatch, "the lists of nodes differ in length") }
        let ranges = try treeRanges(treeIDs)
        var indices: [Int64: [Int64: Int32]] = [:]
        for (tree, range) in ranges {
            var byID = [Int64: Int32](minimumCapacity: range.count)
            for index in range {
                guard byID.updateValue(Int32(index), forKey: nodeIDs[index]) == nil else {
                    throw op.fail(.invalidValue, "node \(nodeIDs[index]) of tree \(tree) is there twice")
                }
            }
            indices[tree] = byID
        }
        try readWeights(indices, outputs: outputs, nodeCount: count)
        let groups = ranges.map { group($0.range, outputs: outputs) }
        let leafWidth = groups.contains(where: { $0 == nil }) ? outputs : 1
        var forest = Forest(flavor: .xgboost, outputCount: outputs, leafWidth: leafWidth)
        var visited = [Bool](repeating: false, count: count)
        for (position, (tree, range)) in ranges.enumerated() {
            try append(
                tree, root: range.lowerBound, group: leafWidth == 1 ? groups[position] ?? 0 : 0, indices[tree] ?? [:],
                &visited, to: &forest)
        }
        forest.covers = []
        return forest
    }

    /// The nodes of each tree, which lie together; the first is the root.
    private func treeRanges(_ treeIDs: [Int64]) throws(ModelError) -> [(tree: Int64, range: Range<Int>)] {
        var ranges: [(tree: Int64, range: Range<Int>)] = []
        var seen = Set<Int64>()
        var start = 0
        for index in 1...treeIDs.count where index == treeIDs.count || treeIDs[index] != treeIDs[start] {
            guard seen.insert(treeIDs[start]).inserted else {
                throw op.fail(.unsupported, "the nodes of tree \(treeIDs[start]) do not lie together")
            }
            guard ranges.count < limits.treesMax else {
                throw op.fail(.limitExceeded, "more than \(limits.treesMax) trees")
            }
            ranges.append((treeIDs[start], start..<index))
            start = index
        }
        return ranges
    }

    private mutating func readWeights(
        _ indices: [Int64: [Int64: Int32]], outputs: Int, nodeCount: Int
    ) throws(ModelError) {
        weightOutputs = try op.ints(prefix + "_ids")
        weights = try op.finiteFloats(prefix + "_weights")
        let nodeIDs = try op.ints(prefix + "_nodeids")
        let treeIDs = try op.ints(prefix + "_treeids")
        guard weightOutputs.count == weights.count, nodeIDs.count == weights.count, treeIDs.count == weights.count
        else {
            throw op.fail(.countMismatch, "the lists of leaf weights differ in length")
        }
        firstWeight = [Int32](repeating: -1, count: nodeCount)
        nextWeight = [Int32](repeating: -1, count: weights.count)
        for index in weights.indices.reversed() {
            guard weightOutputs[index] >= 0, weightOutputs[index] < Int64(outputs) else {
                throw op.fail(.indexOutOfRange, "\(prefix) \(weightOutputs[index]) of \(outputs)")
            }
            guard let node = indices[treeIDs[index]]?[nodeIDs[index]], modes[Int(node)] == "LEAF" else {
                throw op.fail(.indexOutOfRange, "a weight of node \(nodeIDs[index]) of tree \(treeIDs[index])")
            }
            nextWeight[index] = firstWeight[Int(node)]
            firstWeight[Int(node)] = Int32(index)
        }
    }

    /// The output that all leaves of a tree weigh, or nil when they weigh several or none.
    private func group(_ range: Range<Int>, outputs: Int) -> Int? {
        var group: Int64?
        for node in range where modes[node] == "LEAF" {
            let first = Int(firstWeight[node])
            guard first >= 0, nextWeight[first] < 0, group == nil || group == weightOutputs[first] else { return nil }
            group = weightOutputs[first]
        }
        return group.map { Int($0) }
    }

    private mutating func append(
        _ tree: Int64, root: Int, group: Int, _ indices: [Int64: Int32], _ visited: inout [Bool],
        to forest: inout Forest
    ) throws(ModelError) {
        let location = "\(op.location), tree \(tree)"
        var isComplete = weighsEveryOutput
        try forest.appendTree(root: root, group: group, limits: limits, location: location) {
            (index, forest) throws(ModelError) in
            guard !visited[index] else { throw ModelError(.nodeReachedTwice, "node \(index)", at: location) }
            visited[index] = true
            if modes[index] == "LEAF" {
                let count = try appendLeaf(index, to: &forest, location)
                isComplete = isComplete && count == forest.outputCount
                return .leaf(id: UInt32(index), cover: 0)
            }
            guard let left = indices[trueIDs[index]], let right = indices[falseIDs[index]] else {
                throw ModelError(.indexOutOfRange, "a child of node \(index) is not there", at: location)
            }
            return try split(index, whenTrue: Int(left), whenFalse: Int(right), location)
        }
        weighsEveryOutput = isComplete
    }

    /// Appends the values of a leaf: sums of its weights, as the runtime adds them. Returns how many outputs it weighs.
    private func appendLeaf(_ node: Int, to forest: inout Forest, _ location: String) throws(ModelError) -> Int {
        guard forest.leafValues.count + forest.leafWidth <= limits.leafValuesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.leafValuesMax) leaf values", at: location)
        }
        var values = [Float](repeating: 0, count: forest.leafWidth)
        var outputs = Set<Int64>()
        var index = Int(firstWeight[node])
        while index >= 0 {
            values[forest.leafWidth == 1 ? 0 : Int(weightOutputs[index])] += weights[index]
            outputs.insert(weightOutputs[index])
            index = Int(nextWeight[index])
        }
        forest.leafValues += values.map { Double($0) }
        return outputs.count
    }

    /// The canonical form goes left below its threshold. `<= t` is the same as below the next float; comparisons the
    /// other way round swap the children; a missing value fails every comparison, unless the node tracks it.
    private func split(
        _ index: Int, whenTrue: Int, whenFalse: Int, _ location: String
    ) throws(ModelError) -> SourceNode {
        guard features[index] >= 0, features[index] < Int64(width) else {
            throw ModelError(.indexOutOfRange, "feature \(features[index]) of \(width)", at: location)
        }
        let threshold = thresholds[index]
        guard !threshold.isNaN else { throw ModelError(.notFinite, "a threshold is not a number", at: location) }
        let tracksTrue = !tracks.isEmpty && tracks[index] == 1
        var isTrueLeft: Bool
        var bound: Float
        switch modes[index] {
        case "BRANCH_LEQ": (isTrueLeft, bound) = (true, threshold.nextUp)
        case "BRANCH_LT": (isTrueLeft, bound) = (true, threshold)
        case "BRANCH_GTE": (isTrueLeft, bound) = (false, threshold)
        case "BRANCH_GT": (isTrueLeft, bound) = (false, threshold.nextUp)
        default:
            throw ModelError(.unsupported, "node mode '\(modes[index].prefix(64))' is not supported", at: location)
        }
        if threshold == .infinity, modes[index] == "BRANCH_LEQ" || modes[index] == "BRANCH_GT" {
            // Every number is at most infinity, infinity too, which no threshold is above.
            (isTrueLeft, bound) = (!isTrueLeft, -.infinity)
        }
        let node = ForestNode(
            feature: Int32(features[index]), categorySet: -1, threshold: Double(bound), left: 0,
            rule: tracksTrue == isTrueLeft ? .left : .right)
        return .split(
            node, left: isTrueLeft ? whenTrue : whenFalse, right: isTrueLeft ? whenFalse : whenTrue, cover: 0)
    }
}
