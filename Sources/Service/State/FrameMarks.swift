import Journal
import Synchronization

/// Where every so many frames of the journal lie: a frame is found by its seq from the mark before it.
final class FrameMarks: Sendable {
    private struct State: Sendable {
        var seqs: [UInt64] = []
        var positions: [JournalPosition] = []
    }

    /// Frames from one mark to the next within a segment.
    static let spacing: UInt64 = 256

    private let state = Mutex(State())

    /// Sees a frame. Journal thread only, in seq order.
    func see(seq: UInt64, at position: JournalPosition) {
        guard seq % Self.spacing == 0 else { return }
        state.withLock { state in
            state.seqs.append(seq)
            state.positions.append(position)
        }
    }

    /// The last mark at or before a frame; nil when there is none.
    func mark(before seq: UInt64) -> JournalPosition? {
        state.withLock { state in
            let place = Self.place(of: seq, state.seqs)
            return place == 0 ? nil : state.positions[place - 1]
        }
    }

    /// Forgets the marks below a seq, whose segments are gone.
    func forget(below seq: UInt64) {
        state.withLock { state in
            let count = Self.place(of: seq, state.seqs)
            // The last mark below it may be in the segment that holds it.
            guard count > 1 else { return }
            state.seqs.removeFirst(count - 1)
            state.positions.removeFirst(count - 1)
        }
    }

    /// Number of marks at or before a seq.
    private static func place(of seq: UInt64, _ seqs: [UInt64]) -> Int {
        var (low, high) = (0, seqs.count)
        while low < high {
            let middle = (low + high) / 2
            if seqs[middle] <= seq { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
