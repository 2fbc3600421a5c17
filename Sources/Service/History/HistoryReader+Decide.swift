import Decisions
import FEEL
import Features
import Postgres

extension HistoryReader {
    /// The features that a decision uses, of which memory does not hold all.
    ///
    /// - Parameter connection: nil when PostgreSQL does not answer.
    /// - Throws: `history_unavailable` when `as_of` needs PostgreSQL. Features of a spilled entity that cannot be fetched in
    ///   time are null with `feature_unavailable`, and the decision goes on.
    func assemble(
        _ entry: DecisionEntry, _ inputs: [Value], _ options: DecideOptions, _ connection: PostgresConnection?,
        into vector: inout FeatureVector
    ) throws(Problem) -> AssembledFeatures {
        // The views are read one after the other while events go on: what all of them have by now, and nothing later. A
        // `known_at` in the past is the same for all of them anyway.
        var assembled = AssembledFeatures(values: [], seq: appliedSeq)
        let knownAt = options.knownAt == .latest ? .seq(assembled.seq) : options.knownAt
        let deadline = Self.deadline(before: options.deadlineNanoseconds)
        for (use, view) in entry.views.enumerated() {
            guard let key = entry.decision.entityKey(ofUse: use, inputs) else {
                assembled.values.append(view.withoutEntity(asOf: options.asOfMicros))
                continue
            }
            try read(
                view, key, asOf: options.asOfMicros, knownAt: knownAt, connection, until: deadline,
                into: &vector)
            assembled.values.append(
                view.serve(
                    vector.values, asOf: options.asOfMicros, lastEventTime: vector.lastEventTimes.first ?? nil))
        }
        return assembled
    }

    /// Part of the time left that may go into asking PostgreSQL: the rest is for the decision itself.
    private static let databaseShare: UInt64 = 2

    private static func deadline(before nanoseconds: UInt64) -> PostgresDeadline {
        let now = Threads.monotonicNanoseconds()
        let left = nanoseconds > now ? nanoseconds - now : 0
        return PostgresDeadline(nanoseconds: Int64(now + left / databaseShare))
    }
}
