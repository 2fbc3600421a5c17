extension ServiceLimits {
    /// Rows of one training set; past it the job fails with `too_many_rows`.
    static let trainingRowsMax = 1_000_000
    /// Bytes of one uploaded row, quotes and escapes included.
    static let trainingRowBytesMax = 65_536
    /// Columns of an upload, entity and time included.
    static let trainingColumnsMax = 256
    /// An upload's inflated size over its size as sent, as for every other gzip body.
    static let trainingInflateRatioMax = 200
    /// Bytes that are read, inflated, parsed and written in one step.
    static let trainingPieceBytes = 256 << 10
    /// Rows that go to PostgreSQL in one COPY, and that come back in one FETCH.
    static let trainingBatchRows = 5_000
    /// Views in one training set.
    static let trainingViewsMax = 16
}
