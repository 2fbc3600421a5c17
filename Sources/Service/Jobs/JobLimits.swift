extension ServiceLimits {
    /// Jobs that wait or run; past it 503 `too_many_jobs`.
    static let jobsActiveMax = 64
    /// Jobs that are remembered; the oldest finished ones go first.
    static let jobsKeptMax = 1_000
    /// How long a finished job is remembered [microseconds]: seven days.
    static let jobKeptMicros: Int64 = 7 * 86_400_000_000
    /// Wrong places that a failed job lists.
    static let jobErrorsMax = 100
    /// Niceness of the threads that run jobs: they take what decisions and ingest leave.
    static let jobNiceness: Int32 = 10
    /// How long a statement of a job may take [seconds]: history may be large.
    static let jobStatementSeconds = 3_600
    /// How long a job waits for what it needs from PostgreSQL to be shipped there [seconds].
    static let jobShipWaitSeconds = 600
}
