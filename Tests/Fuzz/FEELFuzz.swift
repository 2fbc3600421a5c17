import FEEL

/// Names of every type that a source may use.
private let environment: Environment = {
    let order: FEELType = .context(["sku": .string, "price": .number, "home town": .string])
    return Environment(
        [
            TypedName(name: "amount", type: .number, isNullable: true),
            TypedName(name: "country", type: .string, isNullable: true),
            TypedName(name: "is vip", type: .boolean, isNullable: false),
            TypedName(name: "since", type: .dateTime, isNullable: false),
            TypedName(name: "customer", type: order, isNullable: true),
            TypedName(name: "orders", type: .list(order), isNullable: false),
            TypedName(name: "anything", type: .any, isNullable: true),
        ], types: ["tOrder": order])
}()

private let slots: [Value] = {
    let order = Value.context(
        Context([("sku", .string("x")), ("price", .number(5)), ("home town", .string("Lyon"))]))
    return [
        .number(1234), .string("FR"), .boolean(true), .dateTime(DateTime(unixMicroseconds: 1_700_000_000_000_000)),
        order, .list([order, .null, order]), .null,
    ]
}()

/// libFuzzer's entry: a source text as an expression and as a cell under every profile, evaluated twice: nothing traps,
/// equal evaluations give equal values, and a null tells its reason.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFEEL(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let source = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    for profile in [Profile.dmn, .closed, .strict] {
        do throws(FEELError) {
            let expression = try Expression(source, in: environment, profile: profile)
            var reasons: [NullReason] = []
            let value = expression.evaluate(slots, now: 1_700_000_000_000_000, reasons: &reasons)
            let again = expression.evaluate(slots, now: 1_700_000_000_000_000)
            precondition(value.text == again.text, "evaluating twice gives the same")
            precondition(!value.isNull || !reasons.isEmpty, "a null tells why")
            precondition(value.conforms(to: .any), "and is a value")
            for reason in reasons { precondition(reason.offset >= 0 && reason.offset <= source.utf8.count) }
            if let truth = expression.truth(slots, now: 1_700_000_000_000_000) {
                precondition(value.boolean == truth, "and the same truth")
            }
        } catch {
            precondition(error.offset >= 0 && error.offset <= source.utf8.count, "an error lies in the source")
        }
    }
    if let tests = try? UnaryTests(source, inputType: .any, in: environment) {
        for input in [Value.null, .number(5), .string("FR"), slots[5]] { _ = tests.matches(input, slots) }
    }
    return 0
}
