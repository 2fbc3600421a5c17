import Decisions
import FEEL
import JSON

/// One FEEL expression tried over a JSON object: what it gives, and how that came about. For editors of rules and for the
/// command line.
struct ExpressionTrial: Sendable {
    /// A name of the context that the expression reads, with its value.
    struct Reading: Sendable {
        let name: String
        let value: Value
    }

    /// The expression as given.
    let source: String
    /// What it gives.
    let value: Value
    /// The type that was known before evaluating.
    let staticType: FEELType
    /// What it read of the context, in the context's order.
    let readings: [Reading]
    /// Why nulls arose, innermost first.
    let reasons: [NullReason]

    /// Line and column, from 1, in characters' UTF-8 bytes.
    struct Place: Sendable {
        let line: Int
        let column: Int
    }

    /// Compiles and evaluates.
    ///
    /// - Parameters:
    ///   - context: the names in scope with their values.
    ///   - nowMicros: what `now()` and `today()` mean.
    /// - Throws: why the expression is none, under this profile.
    init(
        _ source: String, context: [(name: String, value: Value)], nowMicros: Int64, profile: Profile = .dmn,
        zones: ZoneOffsets
    ) throws(FEELError) {
        let names = context.map { TypedName(name: $0.name, type: $0.value.type, isNullable: true) }
        let expression = try Expression(source, in: Environment(names, zones: zones), profile: profile)
        var reasons: [NullReason] = []
        value = expression.evaluate(context.map(\.value), now: nowMicros, reasons: &reasons)
        self.source = source
        self.reasons = reasons
        staticType = expression.resultType
        readings = expression.usedSlots.map { Reading(name: context[$0].name, value: context[$0].value) }
    }

    /// The members of a JSON object as names and values; nil and the name where a number has too many digits.
    static func context(_ tree: JSONTree) -> Result<[(name: String, value: Value)], ContextRefusal> {
        guard case .object(let members) = tree else { return .failure(ContextRefusal(name: nil)) }
        var context: [(name: String, value: Value)] = []
        for member in members {
            guard let value = Value(member.value, as: .any) else {
                return .failure(ContextRefusal(name: member.key))
            }
            context.append((member.key, value))
        }
        return .success(context)
    }

    /// Why a context is none: it is no object (nil), or a member's number has more than 34 digits.
    struct ContextRefusal: Error, Sendable {
        let name: String?
    }

    /// Where a byte of the source stands.
    static func place(_ offset: Int, in source: String) -> Place {
        let before = source.utf8.prefix(max(0, offset))
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { before.index(after: $0) } ?? before.startIndex
        return Place(line: line, column: before.distance(from: start, to: before.endIndex) + 1)
    }
}
