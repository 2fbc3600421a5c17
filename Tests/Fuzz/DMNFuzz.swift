import DMN
import FEEL

/// libFuzzer's entry: bytes as a `.dmn` file and as a test file. What is read is written, read again the same, compiled
/// both ways and evaluated; nothing traps, and errors name a place inside the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDMN(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    _ = try? TCKSuite(xml: bytes)
    let model: DMNModel
    do throws(DMNError) {
        model = try DMNModel(xml: bytes)
    } catch {
        precondition(!error.issues.isEmpty, "a refusal says why")
        for issue in error.issues { precondition(issue.location.map { $0.line >= 1 && $0.column >= 1 } ?? true) }
        return 0
    }
    let text = model.xml()
    if let again = try? DMNModel(xml: Array(text.utf8)) {
        precondition(again.elements.count == model.elements.count, "nothing is lost by writing")
    }
    _ = try? CompiledModel.compile(model)
    guard
        let compiled = try? CompiledModel.compile(model, options: .init(profile: .dmn, isTolerant: true))
    else { return 0 }
    let now: Int64 = 1_700_000_000_000_000
    for inputs in [Value.null, .number(5), .string("a"), .list([.number(1), .string("b")])] {
        let values = compiled.inputs.map { _ in inputs }
        for decision in compiled.decisions.indices {
            let trace: TraceDetail = inputs.isNull ? .nearMisses(cells: 2) : .none
            let result = compiled.evaluate(decision: decision, inputs: values, now: now, trace: trace)
            let again = compiled.evaluate(decision: decision, inputs: values, now: now)
            precondition(result.value.text == again.value.text, "evaluating twice gives the same")
        }
    }
    for service in compiled.services { _ = compiled.evaluate(service: service.name, inputs: [:], now: now) }
    for function in compiled.functions { _ = compiled.evaluate(function: function.name, arguments: [:], now: now) }
    return 0
}
