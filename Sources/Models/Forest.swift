/// How a node treats a value that may be missing.
enum MissingRule: UInt8 {
    /// NaN goes left.
    case left
    /// NaN goes right.
    case right
    /// NaN counts as 0.0 (LightGBM, missing type None).
    case zero
    /// NaN and values in the zero band go left (LightGBM, missing type Zero).
    case zeroOrMissingLeft
    /// NaN and values in the zero band go right.
    case zeroOrMissingRight
}

/// One node of the canonical form: left when value < threshold, so LightGBM's `<=` thresholds are stored one step up.
struct ForestNode {
    /// -1 at a leaf.
    var feature: Int32
    /// Index of the category set, or -1 at a numeric split.
    var categorySet: Int32
    var threshold: Double
    /// First child, an index into all nodes; the right child follows it. At a leaf: the leaf's ordinal over all trees.
    var left: Int32
    var rule: MissingRule

    var isLeaf: Bool { feature < 0 }
}

/// The codes of one categorical split.
struct CategorySet: Hashable {
    var words: [UInt64]

    func contains(_ code: Int) -> Bool {
        code >> 6 < words.count && (words[code >> 6] >> UInt64(code & 63)) & 1 == 1
    }
}

/// One tree inside the forest's arrays.
struct ForestTree {
    var firstNode: Int
    var nodeCount: Int
    var firstLeaf: Int
    var leafCount: Int
    var depth: Int
    /// The output its leaf is added to; 0 for vector leaves.
    var group: Int
}

/// Linear functions at the leaves (LightGBM `linear_tree`), by leaf ordinal.
struct LinearLeaves {
    var constants: [Double] = []
    /// Terms of leaf i are `offsets[i] ..< offsets[i + 1]`.
    var offsets: [Int32] = [0]
    var features: [Int32] = []
    var coefficients: [Double] = []
}

/// All trees of a model after checking: every index is in range and every node is reached once.
struct Forest {
    /// Differences between the libraries that survive into evaluation.
    enum Flavor {
        /// float32 inputs, thresholds and sums; a listed category goes right; negative codes are outside.
        case xgboost
        /// float64; a listed category goes left; codes above -1 truncate to 0; missing categories go right.
        case lightgbm
    }

    var flavor: Flavor
    var outputCount: Int
    /// Values per leaf: 1, or `outputCount` for vector leaves.
    var leafWidth: Int
    var nodes: [ForestNode] = []
    var trees: [ForestTree] = []
    /// The file's own id of each leaf: XGBoost node id, LightGBM leaf index.
    var leafIDs: [UInt32] = []
    var leafValues: [Double] = []
    /// Training weight per node, for contributions; empty when the file does not tell.
    var covers: [Double] = []
    var categorySets: [CategorySet] = []
    var linearLeaves: LinearLeaves?

    private var categoryWords = 0
    private var setIndices: [CategorySet: Int32] = [:]

    init(flavor: Flavor, outputCount: Int, leafWidth: Int) {
        self.flavor = flavor
        self.outputCount = outputCount
        self.leafWidth = leafWidth
    }

    /// The index of a category set, equal sets sharing one.
    mutating func categorySetIndex(
        _ set: CategorySet, limits: ModelLimits, location: String
    ) throws(ModelError) -> Int32 {
        if let index = setIndices[set] { return index }
        categoryWords += set.words.count
        guard categoryWords <= limits.categoryWordsMax else {
            throw ModelError(
                .limitExceeded, "category sets need more than \(limits.categoryWordsMax) words", at: location)
        }
        let index = Int32(categorySets.count)
        setIndices[set] = index
        categorySets.append(set)
        return index
    }
}

/// A node as a reader finds it in the file.
enum SourceNode {
    /// A leaf; its values have been appended by the reader.
    case leaf(id: UInt32, cover: Double)
    /// A split with the file's own references to its children.
    case split(ForestNode, left: Int, right: Int, cover: Double)
}

extension Forest {
    /// Appends one tree breadth-first from `root`. `read` is called once per reached node, in that order; it checks the
    /// reference and that it was not reached before, and appends the values of a leaf.
    mutating func appendTree(
        root: Int, group: Int, limits: ModelLimits, location: String,
        read: (_ reference: Int, _ forest: inout Forest) throws(ModelError) -> SourceNode
    ) throws(ModelError) {
        guard trees.count < limits.treesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.treesMax) trees", at: location)
        }
        let firstNode = nodes.count
        let firstLeaf = leafIDs.count
        var depth = 0
        var level = [root]
        while true {
            var next: [Int] = []
            let levelEnd = nodes.count + level.count
            guard levelEnd <= limits.nodesMax else {
                throw ModelError(.limitExceeded, "more than \(limits.nodesMax) nodes", at: location)
            }
            for reference in level {
                switch try read(reference, &self) {
                case .leaf(let id, let cover):
                    let leaf = Int32(leafIDs.count)
                    nodes.append(ForestNode(feature: -1, categorySet: -1, threshold: 0, left: leaf, rule: .left))
                    leafIDs.append(id)
                    covers.append(cover)
                case .split(var node, let left, let right, let cover):
                    node.left = Int32(levelEnd + next.count)
                    nodes.append(node)
                    covers.append(cover)
                    next.append(left)
                    next.append(right)
                }
            }
            if next.isEmpty { break }
            level = next
            depth += 1
        }
        guard leafValues.count <= limits.leafValuesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.leafValuesMax) leaf values", at: location)
        }
        trees.append(
            ForestTree(
                firstNode: firstNode, nodeCount: nodes.count - firstNode, firstLeaf: firstLeaf,
                leafCount: leafIDs.count - firstLeaf, depth: depth, group: group))
    }
}
