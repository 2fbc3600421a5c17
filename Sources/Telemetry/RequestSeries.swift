/// The counters of one route's requests. Counting an answer of 200 looks nothing up.
public final class RequestSeries: Sendable {
    private let answered: Metrics.Series
    private let seconds: Metrics.Series
    private let bytesIn: Metrics.Series
    private let bytesOut: Metrics.Series
    private let other: @Sendable (_ status: Int) -> Metrics.Series

    init(
        answered: Metrics.Series, seconds: Metrics.Series, bytesIn: Metrics.Series, bytesOut: Metrics.Series,
        other: @escaping @Sendable (_ status: Int) -> Metrics.Series
    ) {
        self.answered = answered
        self.seconds = seconds
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.other = other
    }

    /// Counts one answer.
    public func record(status: Int, bytesIn: Int, bytesOut: Int, nanoseconds: Int64) {
        (status == 200 ? answered : other(status)).add(1)
        seconds.record(nanoseconds: nanoseconds)
        self.bytesIn.add(Int64(bytesIn))
        self.bytesOut.add(Int64(bytesOut))
    }
}
