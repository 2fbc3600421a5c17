/// Prepares the next segment on a thread of its own, so that reserving blocks does not hold up a group commit.
final class SparePreparer<Store: JournalStorage>: Sendable {
    private enum Step {
        case idle
        case requested(UInt64)
        case working
        case ready(JournalCore<Store>.Spare)
        /// It could not be made. The journal thread makes its own when it needs one, and meets the error there.
        case gaveUp(isTold: Bool)
        case stopping
    }

    private let gate = Gate(Step.idle)
    private let thread = Gate<JournalThread?>(nil)
    private let storage: Store
    private let options: JournalOptions

    init(storage: Store, options: JournalOptions) {
        self.storage = storage
        self.options = options
    }

    /// Asks for a segment. False while one is under way, is ready, or could not be made a moment ago.
    func request(number: UInt64) -> Bool {
        let isAsked = gate.withLock { step -> Bool in
            guard case .idle = step else { return false }
            step = .requested(number)
            return true
        }
        guard isAsked else { return false }
        thread.withLock { thread in
            if thread == nil { thread = JournalThread(name: "journal-spare") { self.run() } }
        }
        gate.signal()
        return true
    }

    /// What came of a request.
    enum Answer {
        case nothingYet
        case ready(JournalCore<Store>.Spare)
        case gaveUp
    }

    /// What came of the last request; each answer is given once.
    func takeAnswer() -> Answer {
        gate.withLock { step in
            switch step {
            case .ready(let spare):
                step = .idle
                return .ready(spare)
            case .gaveUp(isTold: false):
                step = .gaveUp(isTold: true)
                return .gaveUp
            case .idle, .requested, .working, .gaveUp, .stopping:
                return .nothingYet
            }
        }
    }

    /// Ends the thread; returns a segment that nobody took.
    func stop() -> JournalCore<Store>.Spare? {
        let left = gate.withLock { step -> JournalCore<Store>.Spare? in
            defer { step = .stopping }
            if case .ready(let spare) = step { return spare }
            return nil
        }
        gate.signal()
        thread.withLock { $0 }?.join()
        return left
    }

    private func run() {
        while let number = nextRequest() {
            do throws(StorageError) {
                let spare = try JournalCore.makeSpare(storage, options, number: number)
                let isTooLate = gate.withLock { step -> Bool in
                    if case .stopping = step { return true }
                    step = .ready(spare)
                    return false
                }
                if isTooLate {
                    storage.close(spare.file)
                    try storage.remove(spare.name)
                }
            } catch {
                gate.withLock { step in
                    if case .working = step { step = .gaveUp(isTold: false) }
                }
            }
        }
    }

    /// Waits for a request; nil at the end. A failed attempt is forgotten after a pause, so that it is not repeated at
    /// once.
    private func nextRequest() -> UInt64? {
        while true {
            let deadline = monotonicNanoseconds() + JournalLimits.spareRetryNanoseconds
            let step = gate.wait(
                until: deadline,
                isReady: { step in
                    switch step {
                    case .requested, .stopping: true
                    case .idle, .working, .ready, .gaveUp: false
                    }
                },
                then: { step -> Step in
                    let before = step
                    if case .requested = before { step = .working }
                    if case .gaveUp(isTold: true) = before { step = .idle }
                    return before
                })
            switch step {
            case .requested(let number): return number
            case .stopping: return nil
            case .idle, .working, .ready, .gaveUp: continue
            }
        }
    }
}
