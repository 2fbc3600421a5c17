import Decisions
import FEEL
import JSON

/// One FEEL expression evaluated over a JSON context, for people who try rules.
public struct ExpressionReport: Sendable {
    /// The value as JSON, then its type, then a line for every reason of a null.
    public let lines: [String]

    /// Why an expression could not be evaluated at all.
    public struct Refusal: Error, CustomStringConvertible {
        /// What is wrong and where.
        public let description: String
    }

    /// Evaluates an expression.
    /// - Parameters:
    ///   - context: a JSON object whose members are the names in scope; nil for none.
    ///   - nowMicros: the time that `now()` and `today()` mean.
    public init(_ source: String, context: [UInt8]?, nowMicros: Int64) throws {
        var names: [(name: String, value: Value)] = []
        if let context {
            switch ExpressionTrial.context(try JSONTree(parsing: context)) {
            case .success(let found): names = found
            case .failure(let refusal):
                throw Refusal(
                    description: refusal.name.map { "\($0): a number has more than 34 digits" }
                        ?? "the context must be a JSON object")
            }
        }
        let trial: ExpressionTrial
        do {
            trial = try ExpressionTrial(
                source, context: names, nowMicros: nowMicros,
                zones: ZoneFiles.system.offsets)
        } catch {
            throw Refusal(
                description: "\(Self.place(error.offset, source)): \(error.code.rawValue): \(error.message)")
        }
        var writer = JSONWriter()
        DecisionEncoding.write(trial.value, to: &writer)
        lines =
            [String(decoding: writer.finish(), as: UTF8.self), "type: \(trial.value.type.name)"]
            + trial.reasons.map { "null: \($0.code.rawValue) at \(Self.place($0.offset, source)): \($0.message)" }
    }

    /// Microseconds since the Unix epoch of a time in RFC 3339; nil for any other text.
    public static func micros(_ text: String) -> Int64? {
        guard case .dateTime(let time)? = Value(temporal: text) else { return nil }
        return time.utcSeconds * 1_000_000 + Int64(time.nanosecond / 1_000)
    }

    private static func place(_ offset: Int, _ source: String) -> String {
        let place = ExpressionTrial.place(offset, in: source)
        return "\(place.line):\(place.column)"
    }
}
