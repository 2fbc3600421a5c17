import Contracts
import JSON

/// A contract with every kind of check.
private let contract: CompiledContract = {
    let text = """
        {"apiVersion":"v3.1.0","kind":"DataContract","id":"o","name":"o","version":"1.0.0","status":"active",
         "customProperties":[{"property":"decisiond.eventTypes","value":["o"]}],
         "schema":[{"id":"o","name":"o","logicalType":"object","properties":[
          {"id":"id","name":"id","logicalType":"string","required":true},
          {"id":"source","name":"source","logicalType":"string","required":true},
          {"id":"type","name":"type","logicalType":"string","required":true},
          {"id":"subject","name":"subject","logicalType":"string","required":true,
           "logicalTypeOptions":{"pattern":"^[a-z0-9]+$","maxLength":20}},
          {"id":"time","name":"time","logicalType":"timestamp","required":true},
          {"id":"data","name":"data","logicalType":"object","required":true,"properties":[
           {"id":"n","name":"n","logicalType":"integer","required":true,"logicalTypeOptions":{"minimum":-5,"maximum":99}},
           {"id":"d","name":"d","logicalType":"number","logicalTypeOptions":{"multipleOf":0.01}},
           {"id":"b","name":"b","logicalType":"boolean"},{"id":"day","name":"day","logicalType":"date"},
           {"id":"l","name":"l","logicalType":"array","items":{"id":"i","name":"i","logicalType":"string"}}]}]}]}
        """
    do {
        return try Contract.compile(try JSONTree(parsing: text))
    } catch {
        preconditionFailure("\(error)")
    }
}()

/// libFuzzer's entry: any bytes on the way in, as the ingest pipeline handles them: JSON, CloudEvent, contract.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEvent(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // The parser reads past the end within its own padding only: the copy has none to spare.
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    let parser = JSONParser(limits: JSONLimits(bytesMax: 1 << 20, depthMax: 64))
    input.withUnsafeBytes { bytes in
        guard let root = try? parser.parse(bytes) else { return }
        let tree = root.tree()
        guard let again = try? JSONTree(parsing: tree.bytes) else {
            preconditionFailure("what was parsed is written as JSON")
        }
        precondition(again.canonicalBytes == tree.canonicalBytes, "and means the same")
        guard root.kind == .object else { return }
        switch CloudEvent.decode(root, nowMicros: 1_700_000_000_000_000) {
        case .failure(let violation): precondition(!violation.code.isEmpty && !violation.message.isEmpty)
        case .success(let event):
            if let violation = contract.check(event, nowMicros: 1_700_000_000_000_000) {
                precondition(!violation.code.isEmpty)
            }
        }
    }
    return 0
}
