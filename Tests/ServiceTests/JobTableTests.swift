import Foundation
import JSON
import Synchronization
import Telemetry
import Testing

@testable import Service

@Suite struct JobTableTests {
    private let directory = NSTemporaryDirectory() + "jobs-\(UUID().uuidString)"

    private func table(threads: Int = 1) throws -> JobTable {
        try JobTable(directory: directory, threads: threads, databaseURL: nil, clock: WallClock(), observe: { _ in })
    }

    private func submit(_ table: JobTable, _ work: @escaping JobTable.Work) throws -> RecordID {
        try table.submit(kind: .historicalFeatures, principal: "ann", unit: "rows", work: work).id
    }

    /// Waits for a job's end; a test that hangs is stopped by its time limit.
    private func finished(_ table: JobTable, _ id: RecordID) throws -> Job {
        while true {
            let job = try #require(table.job(id))
            if job.state.isFinished { return job }
            Threads.sleep(microseconds: 1_000)
        }
    }

    private let nothing = JobResult(link: "/v1/x", body: .members(["kind": .string("historical_features")]))

    @Test(.timeLimit(.minutes(1))) func aJobRunsAndIsRememberedAcrossARestart() throws {
        defer { Files.removeTree(directory) }
        let first = try table()
        let id = try submit(first) { [nothing] (context) throws(Problem) in
            context.expect(3)
            context.advance(by: 3)
            return nothing
        }
        let job = try finished(first, id)
        #expect(job.state == .done && job.result == nothing && job.error == nil)
        #expect(job.done == 3 && job.total == 3 && job.startedMicros != nil && job.finishedMicros != nil)
        #expect(try table().job(id) == job)
    }

    @Test(.timeLimit(.minutes(1))) func aThrownProblemIsTheJobsError() throws {
        defer { Files.removeTree(directory) }
        let table = try table()
        let problem = Problem(
            422, "invalid_rows", "Rows are wrong.",
            errors: [DocumentProblem(pointer: "/lines/3", code: "invalid_time", message: "no")])
        let job = try finished(table, submit(table) { (_) throws(Problem) in throw problem })
        #expect(job.state == .failed && job.error == JobError(problem) && job.result == nil)
        #expect(Job(job.bytes) == job)
    }

    @Test(.timeLimit(.minutes(1))) func aWaitingJobIsCancelledAtOnceAndARunningOneWhenItNotices() throws {
        defer { Files.removeTree(directory) }
        let table = try table()
        let running = try submit(table) { [nothing] (context) throws(Problem) in
            try context.sleep(milliseconds: 60_000)
            return nothing
        }
        let hasRun = Mutex(false)
        let waiting = try submit(table) { [nothing] (_) throws(Problem) in
            hasRun.withLock { $0 = true }
            return nothing
        }
        #expect(try table.cancel(waiting).state == .cancelled)
        while table.job(running)?.state != .running { Threads.sleep(microseconds: 1_000) }
        #expect(try table.cancel(running).state == .running)
        let job = try finished(table, running)
        #expect(job.state == .cancelled && job.error == nil && job.result == nil)
        #expect(throws: Problem.self) { try table.cancel(running) }
        #expect(throws: Problem.self) { try table.cancel(RecordID(high: 1, low: 2)) }
        #expect(!hasRun.withLock { $0 })
        #expect(try self.table().job(waiting)?.state == .cancelled)
    }

    @Test(.timeLimit(.minutes(1))) func whatTheProcessDidNotFinishIsInterrupted() throws {
        defer { Files.removeTree(directory) }
        let first = try table()
        let id = try submit(first) { [nothing] (context) throws(Problem) in
            try context.sleep(milliseconds: 2_000)
            return nothing
        }
        let waiting = try submit(first) { [nothing] (_) throws(Problem) in nothing }
        while first.job(id)?.state != .running { Threads.sleep(microseconds: 1_000) }
        // A process that was killed leaves exactly these files.
        let second = try table()
        for each in [id, waiting] {
            let job = try #require(second.job(each))
            #expect(job.state == .failed && job.error == .interrupted && job.finishedMicros != nil)
        }
        first.stop()
        #expect(try finished(first, id).error == .interrupted)
    }

    @Test func moreThanTheLimitIsRefused() throws {
        defer { Files.removeTree(directory) }
        let table = try table()
        for _ in 0..<ServiceLimits.jobsActiveMax {
            _ = try submit(table) { [nothing] (context) throws(Problem) in
                try context.sleep(milliseconds: 60_000)
                return nothing
            }
        }
        let refusal = #expect(throws: Problem.self) { try submit(table) { [nothing] _ in nothing } }
        #expect(refusal?.code == "too_many_jobs" && refusal?.status == 503)
        table.stop()
    }

    @Test func aFileThatIsNoStateIsToldAndLeftAlone() throws {
        defer { Files.removeTree(directory) }
        try Files.makeDirectory(directory, mode: 0o700)
        try Files.replace(directory + "/x.json", with: Array("{".utf8), mode: 0o600)
        let told = Mutex(0)
        let table = try JobTable(
            directory: directory, threads: 1, databaseURL: nil, clock: WallClock(),
            observe: { _ in told.withLock { $0 += 1 } })
        #expect(table.jobs().isEmpty && told.withLock { $0 } == 1)
        #expect(Files.exists(directory + "/x.json"))
    }
}
