/// The row layouts of one table, by number. A layout that no block has any more is given back after a while, so that
/// memory follows what is live and not every shape that ever came by.
struct LayoutTable {
    private var layouts: [RowLayout] = []
    /// Blocks that have each layout.
    private var uses: [UInt32] = []
    private var numbers: [RowShape: Int] = [:]
    /// Numbers without a layout.
    private var free: [Int] = []
    /// Layouts that no block has.
    private var unusedCount = 0
    /// Which fields are signed.
    private let isSigned: [Bool]

    /// - Parameter isSigned: per field of a row, whether it is signed.
    init(isSigned: [Bool]) {
        self.isSigned = isSigned
    }

    /// Layouts held.
    var count: Int { layouts.count - free.count }

    /// Approximate heap bytes.
    var bytesUsed: Int {
        // Per layout its fields, its widths, two array heads, and its place in the dictionary.
        let each = isSigned.count * (MemoryLayout<RowField>.stride + 1) + 64 + 2 * MemoryLayout<RowShape>.stride
        return count * each + layouts.capacity * MemoryLayout<RowLayout>.stride + uses.capacity * 4 + free.capacity * 8
    }

    @inline(__always)
    subscript(number: UInt32) -> RowLayout { layouts[Int(number)] }

    /// The number of a layout that holds rows of the wanted shape, made when there is none. It stays valid until the next
    /// call, and from then on while a block has it.
    mutating func number(of wanted: RowShape) -> UInt32 {
        if let number = numbers[wanted] { return UInt32(number) }
        // Half of all at least goes, so that a sweep costs no more than making what it frees did.
        if unusedCount > max(FeatureLimits.layoutsUnusedMax, count / 2) { sweep() }
        return place(count < FeatureLimits.layoutsMax ? wanted : wanted.coarse)
    }

    /// The number of the layout of exactly this shape. Nothing is given back: a saved table comes back as many, then the
    /// blocks that have them.
    mutating func place(_ shape: RowShape) -> UInt32 {
        if let number = numbers[shape] { return UInt32(number) }
        let layout = RowLayout(shape, isSigned: isSigned)
        unusedCount += 1
        if let number = free.popLast() {
            layouts[number] = layout
            numbers[shape] = number
            return UInt32(number)
        }
        layouts.append(layout)
        uses.append(0)
        numbers[shape] = layouts.count - 1
        return UInt32(layouts.count - 1)
    }

    /// One more block has the layout.
    mutating func retain(_ number: UInt32) {
        if uses[Int(number)] == 0 { unusedCount -= 1 }
        uses[Int(number)] += 1
    }

    /// One block less has the layout.
    mutating func release(_ number: UInt32) {
        uses[Int(number)] -= 1
        if uses[Int(number)] == 0 { unusedCount += 1 }
    }

    /// Gives back the layouts that no block has, where they are a quarter of all.
    mutating func compact() {
        if unusedCount * 4 > count { sweep() }
    }

    private mutating func sweep() {
        for (shape, number) in numbers where uses[number] == 0 {
            numbers[shape] = nil
            layouts[number] = .none
            free.append(number)
        }
        unusedCount = 0
        if free.count == layouts.count { self = LayoutTable(isSigned: isSigned) }
    }

    /// The shapes of the layouts that blocks have, and per number its place among them.
    var inUse: (shapes: [RowShape], places: [UInt32]) {
        var shapes: [RowShape] = []
        var places = [UInt32](repeating: .max, count: layouts.count)
        for number in layouts.indices where uses[number] > 0 {
            places[number] = UInt32(shapes.count)
            shapes.append(layouts[number].shape)
        }
        return (shapes, places)
    }
}
