import Contracts
import JSON
import Testing

/// The real event file against the retail contract: every line lands in the class that its label says.
struct RetailContractTests {
    /// 2012, after every event of the file and long before 2099.
    static let now: Int64 = 1_325_376_000_000_000

    private static let codes: [String: String] = [
        "bad_specversion": "unsupported_specversion", "bad_time_format": "invalid_time",
        "bad_time_value": "invalid_time", "time_no_zone": "invalid_time", "empty_id": "empty_attribute",
        "future_time": "future_time", "malformed_control_char": "control_character",
        "malformed_invalid_utf8": "invalid_utf8", "malformed_nan": "syntax", "malformed_not_object": "not_an_object",
        "malformed_number": "invalid_number", "malformed_trailing_comma": "syntax",
        "malformed_two_objects": "trailing_content", "missing_amount": "missing_attribute",
        "missing_data": "missing_attribute", "missing_id": "missing_attribute", "missing_product": "missing_attribute",
        "missing_source": "missing_attribute", "missing_specversion": "missing_attribute",
        "missing_subject": "missing_attribute", "missing_time": "missing_attribute",
        "missing_type": "missing_attribute",
        "null_amount": "null_value", "overflow_amount": "not_finite", "type_amount_bool": "type_mismatch",
        "type_amount_string": "type_mismatch", "type_data_string": "type_mismatch",
        "type_quantity_string": "type_mismatch", "type_specversion_number": "type_mismatch",
        "type_subject_number": "type_mismatch", "type_time_number": "type_mismatch",
        "unknown_customer": "unknown_reference",
    ]

    private static let classes: [String: Violation.Class] = [
        "json": .malformedJSON, "cloudevents": .invalidCloudEvent, "contract": .contractViolation,
    ]

    private func rows(_ bytes: [UInt8]) -> [[String]] {
        bytes.split(separator: 10).dropFirst().map { line in
            line.split(separator: 44, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func everyLine() throws {
        guard let events = try SharedData.gunzip("data/events/events.ndjson.gz"),
            let labels = try SharedData.gunzip("data/events/labels.csv.gz"),
            let customers = try SharedData.read("data/events/customers.csv")
        else { return }
        let contract = try Fixtures.retail()
        let known = Set(rows(customers).map { $0[0] })
        let parser = JSONParser()
        var seen: Set<String> = []
        var outcomes: [String: Int] = [:]
        for (line, row) in zip(events.split(separator: 10, omittingEmptySubsequences: false), rows(labels)) {
            if line.isEmpty {
                outcomes["skip", default: 0] += 1
                continue
            }
            let (violation, identity) = line.withUnsafeBytes { bytes in
                Self.check(bytes, parser, contract) { known.contains($0) }
            }
            let outcome: String
            switch violation?.class {
            case .unknownReference: outcome = "quarantine"
            case nil: outcome = seen.insert(identity).inserted ? "accept" : "duplicate"
            default: outcome = "reject"
            }
            outcomes[outcome, default: 0] += 1
            #expect(outcome == row[2], "line \(row[0]) \(row[1]): \(violation?.code ?? "")")
            let expected = outcome == "quarantine" ? .unknownReference : Self.classes[row[3]]
            #expect(violation?.class == expected, "line \(row[0]) \(row[1])")
            if let code = Self.codes[row[1]] { #expect(violation?.code == code, "line \(row[0]) \(row[1])") }
            if row[1] == "null_amount" { #expect(violation?.pointer.text == "/data/amount") }
            if row[1] == "missing_subject" { #expect(violation?.pointer.text == "/subject") }
        }
        #expect(outcomes == ["accept": 48_945, "duplicate": 940, "quarantine": 250, "reject": 1_663, "skip": 10])
    }

    static func check(
        _ bytes: UnsafeRawBufferPointer, _ parser: JSONParser, _ contract: CompiledContract,
        isKnown: (String) -> Bool
    ) -> (Violation?, String) {
        let value: JSONValue
        do throws(JSONError) { value = try parser.parse(bytes) } catch { return (Violation(error), "") }
        switch CloudEvent.decode(value, nowMicros: now) {
        case .failure(let violation): return (violation, "")
        case .success(let event):
            #expect(contract.covers(event))
            let identity = (event.source.string ?? "") + "\n" + (event.id.string ?? "")
            if let violation = contract.check(event, nowMicros: now) { return (violation, identity) }
            let reference = contract.checkReferences(event) { check, key in
                check.table == "customers" && check.property == "customer_id"
                    && isKnown(String(decoding: key, as: UTF8.self))
            }
            return (reference, identity)
        }
    }
}
