extension ServiceLimits {
    /// Points of one verification.
    static let verifyPointsMax = 100_000
    /// Points of one verification that does not say how many.
    static let verifyPointsDefault = 1_000
    /// Points that are read from memory before they are computed again.
    static let verifyBatchPoints = 200
    /// Mismatches that an answer lists.
    static let verifyExamplesMax = 20
    /// Served vectors that wait to be computed again; more are not sampled.
    static let paritySampleWaitingMax = 64
    /// How long a mismatch found by sampling is told by `/readyz` [microseconds]: one day.
    static let parityAlarmMicros: Int64 = 86_400_000_000
}
