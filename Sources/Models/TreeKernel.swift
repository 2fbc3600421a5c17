import CTreeKernel

/// Memory aligned to cache lines that lives as long as its owner.
struct AlignedBuffer {
    let base: UnsafeMutableRawPointer

    /// Zeroed memory of at least `byteCount` bytes.
    init(byteCount: Int) {
        let size = max(64, (byteCount + 63) & ~63)
        base = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    /// A copy of `elements`.
    init<T: BitwiseCopyable>(_ elements: [T]) {
        self.init(byteCount: elements.count * MemoryLayout<T>.stride)
        elements.withUnsafeBytes { source in
            if let start = source.baseAddress { base.copyMemory(from: start, byteCount: source.count) }
        }
    }
}

/// Instruction sets the kernels are compiled for.
enum TreeInstructionSet: UInt8, CaseIterable {
    case portable = 0
    case avx512 = 1

    /// The best one of this processor.
    static let best = TreeInstructionSet(rawValue: tk_best_isa()) ?? .portable
}

/// Ways to find a tree's leaf; all give the same leaf. `CTreeKernel.h` describes them.
enum TreeLayout: UInt8, CaseIterable {
    case heap = 0
    case leafSet32 = 1
    case leafSet64 = 2
    case linked = 3

    /// Whether trees of this shape fit.
    func fits(depth: Int, leaves: Int, slots: Int) -> Bool {
        switch self {
        case .heap: depth <= 8 && slots <= Int(TK_BYTE_SLOTS_MAX)
        case .leafSet32: leaves <= 32 && slots <= Int(TK_BYTE_SLOTS_MAX)
        case .leafSet64: leaves <= 64 && slots <= Int(TK_BYTE_SLOTS_MAX)
        case .linked: true
        }
    }
}

/// A forest laid out for the kernels.
///
/// SAFETY: the C structure and all memory it points to are written in `init` only and freed in `deinit`; every method
/// only reads them, so sharing between threads is safe although pointers are not `Sendable`.
final class TreeKernel: @unchecked Sendable {
    let layout: TreeLayout
    let instructionSet: TreeInstructionSet
    /// Leaf ordinal (over all trees) at each value position; -1 where no leaf is.
    let positionLeaves: [Int32]
    /// Bytes a caller provides to `encode` and the batch functions.
    let scratchByteCount: Int
    let treeCount: Int
    /// Trees rounded up to a whole step of the kernels.
    let paddedTreeCount: Int
    private var forest: tk_forest
    private let buffers: [AlignedBuffer]

    init(_ arrays: TreeKernelArrays, instructionSet: TreeInstructionSet) {
        var forest = tk_forest()
        var buffers: [AlignedBuffer] = []
        func keep<T: BitwiseCopyable>(_ elements: [T]) -> UnsafePointer<T> {
            let buffer = AlignedBuffer(elements)
            buffers.append(buffer)
            return UnsafePointer(buffer.base.assumingMemoryBound(to: T.self))
        }
        forest.thresholds = keep(arrays.slots.thresholds)
        forest.wide_thresholds = keep(arrays.slots.wideThresholds)
        forest.features = keep(arrays.slots.features)
        forest.slots = keep(arrays.slots.slots)
        forest.categories = keep(arrays.slots.categories)
        forest.category_words = keep(arrays.slots.categoryWords)
        forest.node_slots = keep(arrays.nodeSlots)
        forest.node_ranks = keep(arrays.nodeRanks)
        if arrays.layout == .leafSet32 {
            forest.leaf_masks = UnsafeRawPointer(keep(arrays.leafMasks.map { UInt32(truncatingIfNeeded: $0) }))
        } else {
            forest.leaf_masks = UnsafeRawPointer(keep(arrays.leafMasks))
        }
        forest.group_nodes = keep(arrays.groupNodes)
        forest.nodes = keep(arrays.nodes)
        forest.roots = keep(arrays.roots)
        forest.node_values = keep(arrays.nodeValues)
        if arrays.isFloat {
            forest.values32 = keep(arrays.values.map { Float($0) })
        } else {
            forest.values64 = keep(arrays.values)
        }
        if arrays.outputCount > 1 { forest.groups = keep(arrays.groups) }
        forest.feature_count = UInt32(arrays.slots.features.count)
        forest.category_count = UInt32(arrays.slots.categories.count)
        forest.slot_count = UInt32(arrays.slots.slots.count)
        let slotCount = arrays.slots.slots.count + arrays.slots.categories.count
        forest.table_count = slotCount <= 64 ? 1 : slotCount <= 128 ? 2 : 4
        forest.tree_count = UInt32(arrays.treeCount)
        forest.output_count = UInt32(arrays.outputCount)
        forest.depth = UInt32(arrays.depth)
        forest.block_bytes = UInt32(arrays.blockBytes)
        forest.layout = arrays.layout.rawValue
        forest.isa = instructionSet.rawValue
        forest.rounds_inputs = arrays.isFloat ? 1 : 0
        self.forest = forest
        self.buffers = buffers
        self.instructionSet = instructionSet
        layout = arrays.layout
        positionLeaves = arrays.positionLeaves
        treeCount = arrays.treeCount
        paddedTreeCount = arrays.paddedTreeCount
        scratchByteCount = max(tk_encoded_bytes(&forest), tk_batch_scratch_bytes(&forest))
    }

    deinit {
        for buffer in buffers { buffer.base.deallocate() }
    }

    /// Adds the leaves of all trees to `outputs`, which holds the start values.
    func add(_ row: UnsafePointer<Double>, scratch: UnsafeMutableRawPointer, outputs: UnsafeMutablePointer<Float>) {
        withForest {
            tk_encode($0, row, scratch)
            tk_add32($0, scratch, outputs)
        }
    }

    func add(_ row: UnsafePointer<Double>, scratch: UnsafeMutableRawPointer, outputs: UnsafeMutablePointer<Double>) {
        withForest {
            tk_encode($0, row, scratch)
            tk_add64($0, scratch, outputs)
        }
    }

    /// The same for `count` rows of `stride` values.
    func add(
        rows: UnsafePointer<Double>, count: Int, stride: Int, scratch: UnsafeMutableRawPointer,
        outputs: UnsafeMutablePointer<Float>
    ) {
        withForest { tk_add_rows32($0, rows, count, stride, scratch, outputs) }
    }

    func add(
        rows: UnsafePointer<Double>, count: Int, stride: Int, scratch: UnsafeMutableRawPointer,
        outputs: UnsafeMutablePointer<Double>
    ) {
        withForest { tk_add_rows64($0, rows, count, stride, scratch, outputs) }
    }

    /// Value positions of all trees; `positions` holds `paddedTreeCount` elements.
    func positions(
        _ row: UnsafePointer<Double>, scratch: UnsafeMutableRawPointer, into positions: UnsafeMutablePointer<UInt32>
    ) {
        withForest {
            tk_encode($0, row, scratch)
            tk_positions($0, scratch, positions)
        }
    }

    private func withForest(_ body: (UnsafePointer<tk_forest>) -> Void) {
        withUnsafePointer(to: forest, body)
    }
}
