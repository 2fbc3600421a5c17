import Glibc
import Synchronization

/// Threads of our own: foreign callbacks and blocking calls live on them, never on the event loops.
enum Threads {
    /// Nanoseconds of the monotonic clock.
    static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Starts a named thread that is never joined.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let name: String
            let body: @Sendable () -> Void
            init(_ name: String, _ body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        let box = Unmanaged.passRetained(Box(name, body)).toOpaque()
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                Threads.nameThisThread(box.name)
                box.body()
                return nil
            }, box)
        precondition(result == 0, "a thread cannot be started: the system is out of them")
        pthread_detach(thread)
    }

    /// The name that ps and gdb show, at most 15 bytes; a kernel that does not take it changes nothing.
    private static func nameThisThread(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    /// Makes the calling thread yield to the others: on Linux niceness is a thread's own. A kernel that refuses changes
    /// nothing but the fairness.
    static func lowerPriority(by niceness: Int32) {
        _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness)
    }

    /// Sleeps the calling thread.
    static func sleep(microseconds: UInt64) {
        var time = timespec(tv_sec: Int(microseconds / 1_000_000), tv_nsec: Int(microseconds % 1_000_000) * 1000)
        nanosleep(&time, nil)
    }
}

/// A fixed set of threads that take jobs in order from a bounded queue.
final class WorkerPool: Sendable {
    /// What a worker runs.
    typealias Job = @Sendable () -> Void

    private struct Queue: Sendable {
        var jobs: [Job] = []
        var head = 0
        var isStopped = false
        var running = 0
    }

    private let queue = Mutex(Queue())
    private let wake: Semaphore
    private let jobsMax: Int

    /// - Parameters:
    ///   - name: of the threads.
    ///   - threads: how many.
    ///   - jobsMax: jobs that may wait; past it `submit` says no.
    init(name: String, threads: Int, jobsMax: Int) {
        self.jobsMax = jobsMax
        wake = Semaphore()
        for number in 0..<threads { Threads.start("\(name)-\(number)") { self.run() } }
    }

    /// Queues a job; false when too many wait or the pool was stopped.
    func submit(_ job: @escaping Job) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isStopped, queue.jobs.count - queue.head < jobsMax else { return false }
            queue.jobs.append(job)
            return true
        }
        if isTaken { wake.post() }
        return isTaken
    }

    /// Takes no more jobs; those queued still run.
    func stop() {
        queue.withLock { $0.isStopped = true }
    }

    /// Jobs waiting or running.
    var load: Int { queue.withLock { $0.jobs.count - $0.head + $0.running } }

    private func run() {
        while true {
            wake.wait()
            let job = queue.withLock { queue -> Job? in
                guard queue.head < queue.jobs.count else { return nil }
                let job = queue.jobs[queue.head]
                queue.head += 1
                if queue.head > 64 && queue.head * 2 > queue.jobs.count {
                    queue.jobs.removeFirst(queue.head)
                    queue.head = 0
                }
                queue.running += 1
                return job
            }
            guard let job else { continue }
            job()
            queue.withLock { $0.running -= 1 }
        }
    }
}

/// A counting semaphore of the C library.
///
/// SAFETY: `@unchecked Sendable` because sem_t is made for use from any thread and its address never changes.
final class Semaphore: @unchecked Sendable {
    private let memory = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        sem_init(memory, 0, 0)
    }

    deinit {
        sem_destroy(memory)
        memory.deallocate()
    }

    /// Wakes one waiter.
    func post() {
        sem_post(memory)
    }

    /// Waits for a post.
    func wait() {
        while sem_wait(memory) != 0 && errno == EINTR {}
    }

    /// Waits for a post at most this long; false when none came.
    func wait(milliseconds: Int) -> Bool {
        var until = timespec()
        clock_gettime(CLOCK_REALTIME, &until)
        until.tv_sec += milliseconds / 1000
        until.tv_nsec += (milliseconds % 1000) * 1_000_000
        if until.tv_nsec >= 1_000_000_000 {
            until.tv_sec += 1
            until.tv_nsec -= 1_000_000_000
        }
        while sem_timedwait(memory, &until) != 0 {
            if errno == ETIMEDOUT { return false }
        }
        return true
    }
}
