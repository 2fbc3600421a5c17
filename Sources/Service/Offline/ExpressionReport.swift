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
        var names: [TypedName] = []
        var slots: [Value] = []
        if let context {
            guard case .object(let members) = try JSONTree(parsing: context) else {
                throw Refusal(description: "the context must be a JSON object")
            }
            for member in members {
                guard let value = Value(member.value, as: .any) else {
                    throw Refusal(description: "\(member.key): a number has more than 34 digits")
                }
                names.append(TypedName(name: member.key, type: value.type, isNullable: true))
                slots.append(value)
            }
        }
        let zones = ZoneFiles(directory: "/usr/share/zoneinfo").offsets
        let expression: Expression
        do {
            expression = try Expression(source, in: Environment(names, zones: zones))
        } catch {
            throw Refusal(description: ExpressionReport.refusal(error, source))
        }
        var reasons: [NullReason] = []
        let value = expression.evaluate(slots, now: nowMicros, reasons: &reasons)
        var writer = JSONWriter()
        DecisionEncoding.write(value, to: &writer)
        lines =
            [String(decoding: writer.finish(), as: UTF8.self), "type: \(value.type.name)"]
            + reasons.map { "null: \($0.code.rawValue) at \(ExpressionReport.place($0.offset, source)): \($0.message)" }
    }

    /// Microseconds since the Unix epoch of a time in RFC 3339; nil for any other text.
    public static func micros(_ text: String) -> Int64? {
        guard case .dateTime(let time)? = Value(temporal: text) else { return nil }
        return time.utcSeconds * 1_000_000 + Int64(time.nanosecond / 1_000)
    }

    private static func refusal(_ error: FEELError, _ source: String) -> String {
        "\(place(error.offset, source)): \(error.code.rawValue): \(error.message)"
    }

    /// Line and column, from 1, of a byte offset.
    private static func place(_ offset: Int, _ source: String) -> String {
        let before = source.utf8.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { before.index(after: $0) } ?? before.startIndex
        return "\(line):\(before.distance(from: start, to: before.endIndex) + 1)"
    }
}
