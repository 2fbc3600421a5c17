import CTreeKernel

/// The arrays of one layout, still as Swift arrays.
struct TreeKernelArrays {
    let slots: SlotPlan
    let layout: TreeLayout
    let isFloat: Bool
    let treeCount: Int
    let paddedTreeCount: Int
    let outputCount: Int
    private(set) var depth = 1
    private(set) var blockBytes = 0
    private(set) var nodeSlots: [UInt8] = []
    private(set) var nodeRanks: [UInt8] = []
    private(set) var leafMasks: [UInt64] = []
    private(set) var groupNodes: [UInt32] = []
    private(set) var nodes: [tk_node] = []
    private(set) var roots: [UInt32] = []
    private(set) var nodeValues: [UInt32] = []
    private(set) var groups: [UInt32] = []
    private(set) var values: [Double] = []
    private(set) var positionLeaves: [Int32] = []

    /// Lays `forest` out, as `layout` when one is asked for and it fits. Otherwise by measured speed: leaf sets need
    /// wide registers, without them linked nodes are faster.
    init(_ forest: Forest, layout requested: TreeLayout? = nil, instructionSet: TreeInstructionSet = .best) {
        slots = SlotPlan(forest)
        isFloat = forest.flavor == .xgboost
        treeCount = forest.trees.count
        let chunk = Int(TK_CHUNK)
        paddedTreeCount = (forest.trees.count + chunk - 1) / chunk * chunk
        // Vector leaves and linear leaves are added up by the evaluator, which asks for positions only.
        outputCount = forest.leafWidth == 1 ? forest.outputCount : 1
        let depth = forest.trees.map(\.depth).max() ?? 0
        let leaves = forest.trees.map(\.leafCount).max() ?? 1
        let slotCount = slots.count
        func fits(_ layout: TreeLayout) -> Bool { layout.fits(depth: depth, leaves: leaves, slots: slotCount) }
        if let requested, fits(requested) {
            layout = requested
        } else {
            let order: [TreeLayout] =
                instructionSet == .portable || depth <= 6 ? [.heap] : [.leafSet32, .leafSet64, .heap]
            layout = order.first(where: fits) ?? .linked
        }
        groups = forest.trees.map { UInt32($0.group) }
        groups.append(contentsOf: repeatElement(0, count: paddedTreeCount - treeCount))
        switch layout {
        case .heap: layOutHeap(forest, depth: max(1, depth))
        case .leafSet32: layOutLeafSets(forest, width: 32)
        case .leafSet64: layOutLeafSets(forest, width: 64)
        case .linked: layOutLinked(forest)
        }
        fillValues(forest)
    }

    private mutating func layOutHeap(_ forest: Forest, depth: Int) {
        self.depth = depth
        blockBytes = max(64, 1 << depth)
        nodeSlots = [UInt8](repeating: 0, count: paddedTreeCount * blockBytes)
        // No byte is above 255: unused nodes always send the row left.
        nodeRanks = [UInt8](repeating: 255, count: paddedTreeCount * blockBytes)
        positionLeaves = [Int32](repeating: -1, count: paddedTreeCount << depth)
        for (index, tree) in forest.trees.enumerated() {
            var pending = [(node: tree.firstNode, heap: 1, depth: 0)]
            while let (node, heap, level) = pending.popLast() {
                let source = forest.nodes[node]
                if source.isLeaf {
                    let position = (heap << (depth - level)) - (1 << depth)
                    positionLeaves[index << depth + position] = source.left
                    continue
                }
                let (slot, rank) = slots.byteSplit(source)
                nodeSlots[index * blockBytes + heap] = slot
                nodeRanks[index * blockBytes + heap] = rank
                pending.append((Int(source.left), 2 * heap, level + 1))
                pending.append((Int(source.left) + 1, 2 * heap + 1, level + 1))
            }
        }
    }

    private mutating func layOutLeafSets(_ forest: Forest, width: Int) {
        let lanes = width == 32 ? 16 : 8
        blockBytes = width
        nodeSlots = [UInt8](repeating: 0, count: paddedTreeCount * width)
        nodeRanks = [UInt8](repeating: 255, count: paddedTreeCount * width)
        leafMasks = [UInt64](repeating: .max, count: paddedTreeCount * width)
        groupNodes = [UInt32](repeating: 0, count: paddedTreeCount / lanes)
        positionLeaves = [Int32](repeating: -1, count: paddedTreeCount * width)
        for (index, tree) in forest.trees.enumerated() {
            let group = index / lanes
            groupNodes[group] = max(groupNodes[group], UInt32(tree.leafCount - 1))
            var nodeCount = 0
            var leafCount = 0
            // Leaves are numbered from left to right; a node remembers where its left subtree began.
            var pending = [(node: tree.firstNode, slot: -1, start: -1)]
            while let (node, slot, start) = pending.popLast() {
                if slot >= 0 {
                    let leftLeaves = ((UInt64(1) << UInt64(leafCount - start)) - 1) << UInt64(start)
                    leafMasks[(group * width + slot) * lanes + index % lanes] = ~leftLeaves
                    continue
                }
                let source = forest.nodes[node]
                if source.isLeaf {
                    positionLeaves[index * width + leafCount] = source.left
                    leafCount += 1
                    continue
                }
                (nodeSlots[index * width + nodeCount], nodeRanks[index * width + nodeCount]) = slots.byteSplit(source)
                pending.append((Int(source.left) + 1, -1, -1))
                pending.append((node, nodeCount, leafCount))
                pending.append((Int(source.left), -1, -1))
                nodeCount += 1
            }
        }
    }

    private mutating func layOutLinked(_ forest: Forest) {
        nodes.reserveCapacity(forest.nodes.count + 1)
        for (index, source) in forest.nodes.enumerated() {
            if source.isLeaf {
                nodes.append(tk_node(threshold: .nan, slot: 0, left: UInt32(index)))
                nodeValues.append(UInt32(source.left))
            } else {
                let (slot, threshold) = slots.linkedSplit(source)
                nodes.append(tk_node(threshold: threshold, slot: slot, left: UInt32(source.left)))
                nodeValues.append(0)
            }
        }
        // Padding trees are one leaf; their position is never added.
        let padding = UInt32(nodes.count)
        nodes.append(tk_node(threshold: .nan, slot: 0, left: padding))
        nodeValues.append(0)
        roots = forest.trees.map { UInt32($0.firstNode) }
        roots.append(contentsOf: repeatElement(padding, count: paddedTreeCount - treeCount))
        positionLeaves = (0..<forest.leafIDs.count).map { Int32($0) }
    }

    private mutating func fillValues(_ forest: Forest) {
        guard forest.leafWidth == 1, forest.linearLeaves == nil else { return }
        values = positionLeaves.map { $0 < 0 ? 0 : forest.leafValues[Int($0)] }
    }
}
