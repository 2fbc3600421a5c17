import Synchronization

/// The bytes that training sets, uploads and what is made of them may take on the disk, together.
final class DiskBudget: Sendable {
    /// The limit.
    let bytesMax: Int
    private let used: Atomic<Int>

    /// - Parameter used: bytes that are there already.
    init(bytesMax: Int, used: Int) {
        self.bytesMax = bytesMax
        self.used = Atomic(used)
    }

    /// Bytes that may still be taken.
    var available: Int { max(0, bytesMax - used.load(ordering: .relaxed)) }

    /// Takes bytes; 503 `training_bytes_max` when they are not there.
    func reserve(_ count: Int) throws(Problem) {
        if used.wrappingAdd(count, ordering: .relaxed).newValue <= bytesMax { return }
        release(count)
        throw Problem(
            503, "training_bytes_max", "Training sets have the disk space that they may have. Delete some.",
            retryAfter: 60)
    }

    /// Gives bytes back.
    func release(_ count: Int) {
        used.wrappingSubtract(count, ordering: .relaxed)
    }
}

/// Bytes of the budget that one piece of work holds; given back when it ends, unless they were kept.
struct DiskReservation: ~Copyable {
    private let budget: DiskBudget
    private var count = 0

    init(_ budget: DiskBudget) {
        self.budget = budget
    }

    deinit {
        if count > 0 { budget.release(count) }
    }

    /// Takes more.
    mutating func add(_ bytes: Int) throws(Problem) {
        try budget.reserve(bytes)
        count += bytes
    }

    /// Leaves this many taken when the work ends: a file that stays.
    mutating func keep(_ bytes: Int) {
        count -= bytes
    }
}
