import Contracts
import JSON
import Testing

/// One stream with a single property `v` of `data`.
private func contract(_ type: String, _ options: String = "{}", more: String = "") throws -> CompiledContract {
    let property = #"{"name":"v","logicalType":"\#(type)","logicalTypeOptions":\#(options)\#(more)}"#
    return try Contract.compile(
        JSONTree(
            parsing: #"""
                {"apiVersion":"v3.1.0","kind":"DataContract","id":"x","version":"1","status":"active",
                 "customProperties":[{"property":"decisiond.eventTypes","value":["t"]}],
                 "schema":[{"name":"s","properties":[{"name":"data","logicalType":"object","properties":[\#(property)]}]}]}
                """#))
}

private func check(_ contract: CompiledContract, _ data: String, time: String? = nil) throws -> Violation? {
    let stamp = time.map { #","time":"\#($0)""# } ?? ""
    let text = #"{"specversion":"1.0","id":"1","source":"/s","type":"t"\#(stamp),"data":\#(data)}"#
    return try JSONDocument(Array(text.utf8)).withRoot { root in
        contract.check(try CloudEvent.decode(root, nowMicros: 0).get(), nowMicros: 0)
    }
}

struct ContractCheckTests {
    /// Type, options, value, expected code (nil: accepted).
    static let cases: [(String, String, String, Violation.Code?)] = [
        ("string", "{}", "\"a\"", nil), ("string", "{}", "1", .typeMismatch), ("string", "{}", "null", nil),
        ("string", #"{"minLength":2,"maxLength":3}"#, "\"é😀\"", nil),
        ("string", #"{"minLength":2}"#, "\"é\"", .tooShort),
        ("string", #"{"maxLength":3}"#, "\"abcd\"", .tooLong), ("string", #"{"minLength":1}"#, "\"\"", .tooShort),
        ("string", #"{"maxLength":1}"#, "\"\\n\"", nil),
        ("string", #"{"pattern":"^[A-Z]{2}[0-9]+$"}"#, "\"GB1\"", nil),
        ("string", #"{"pattern":"^a$"}"#, "\"a\\n\"", .patternMismatch),
        ("string", #"{"pattern":"b"}"#, "\"abc\"", nil), ("string", #"{"pattern":"^\\u00e9$"}"#, "\"é\"", nil),
        ("string", #"{"pattern":"^.$"}"#, "\"😀\"", nil),
        ("string", #"{"pattern":"^(a+)+$"}"#, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", .patternLimit),
        ("string", #"{"pattern":"^\\d+$"}"#, "\"١\"", .patternMismatch), ("string", #"{"pattern":"^$"}"#, "\"\"", nil),
        ("string", #"{"format":"uuid"}"#, "\"53581432-6c55-4ba2-a65f-72344a91553a\"", nil),
        ("string", #"{"format":"uuid"}"#, "\"53581432\"", .formatMismatch),
        ("string", #"{"format":"email"}"#, "\"a.b@example.org\"", nil),
        ("string", #"{"format":"email"}"#, "\"a@b\"", .formatMismatch),
        ("string", #"{"format":"email"}"#, "\"a b@example.org\"", .formatMismatch),
        ("string", #"{"format":"uri"}"#, "\"https://x.org/?a=1\"", nil),
        ("string", #"{"format":"uri"}"#, "\"/x\"", .formatMismatch),
        ("string", #"{"format":"hostname"}"#, "\"a-b.example\"", nil),
        ("string", #"{"format":"hostname"}"#, "\"-a.example\"", .formatMismatch),
        ("string", #"{"format":"ipv4"}"#, "\"127.0.0.1\"", nil),
        ("string", #"{"format":"ipv4"}"#, "\"127.0.0.01\"", .formatMismatch),
        ("string", #"{"format":"ipv4"}"#, "\"1.2.3.256\"", .formatMismatch),
        ("string", #"{"format":"ipv6"}"#, "\"::1\"", nil), ("string", #"{"format":"ipv6"}"#, "\"2001:db8::1\"", nil),
        ("string", #"{"format":"ipv6"}"#, "\"::\"", nil), ("string", #"{"format":"ipv6"}"#, "\"::ffff:1.2.3.4\"", nil),
        ("string", #"{"format":"ipv6"}"#, "\"1:2:3:4:5:6:7:8\"", nil),
        ("string", #"{"format":"ipv6"}"#, "\"1::2::3\"", .formatMismatch),
        ("string", #"{"format":"ipv6"}"#, "\":1:2:3:4:5:6:7\"", .formatMismatch),
        ("string", #"{"format":"ipv6"}"#, "\"1:2:3:4:5:6:7\"", .formatMismatch),
        ("string", #"{"format":"byte"}"#, "\"QUI=\"", nil),
        ("string", #"{"format":"byte"}"#, "\"QU\"", .formatMismatch),
        ("integer", "{}", "3", nil), ("integer", "{}", "3.0", nil), ("integer", "{}", "3e2", nil),
        ("integer", "{}", "3.5", .typeMismatch),
        ("integer", "{}", "\"3\"", .typeMismatch), ("integer", "{}", "true", .typeMismatch),
        ("integer", "{}", "9223372036854775808", .integerRange),
        ("integer", "{}", "1e400", .integerRange), ("integer", #"{"format":"u8"}"#, "256", .integerRange),
        ("integer", #"{"format":"u8"}"#, "255", nil),
        ("integer", #"{"minimum":1,"maximum":9}"#, "0", .belowMinimum),
        ("integer", #"{"minimum":1,"maximum":9}"#, "10", .aboveMaximum),
        ("integer", #"{"multipleOf":5}"#, "-15", nil), ("integer", #"{"multipleOf":5}"#, "16", .notMultiple),
        ("integer", #"{"multipleOf":10}"#, "1e3", nil),
        ("number", "{}", "1.5", nil), ("number", "{}", "true", .typeMismatch), ("number", "{}", "\"1\"", .typeMismatch),
        ("number", "{}", "1e400", .notFinite), ("number", "{}", "-1e400", .notFinite), ("number", "{}", "1e-400", nil),
        ("number", #"{"multipleOf":0.01}"#, "165.6", nil), ("number", #"{"multipleOf":0.01}"#, "1530e-2", nil),
        ("number", #"{"multipleOf":0.01}"#, "1.005", .scaleExceeded),
        ("number", #"{"multipleOf":0.01}"#, "1e400", .notFinite),
        ("number", #"{"multipleOf":0.01}"#, "1e300", nil),
        ("number", #"{"multipleOf":0.01}"#, "1.230000000000000000000000000", nil),
        ("number", #"{"multipleOf":0.01}"#, "1e-400", .scaleExceeded),
        ("number", #"{"multipleOf":0.01}"#, "-0.00", nil),
        ("number", #"{"multipleOf":0.05}"#, "0.15", nil), ("number", #"{"multipleOf":0.05}"#, "0.16", .notMultiple),
        ("number", #"{"multipleOf":0.05}"#, "0.155", .notMultiple), ("number", #"{"multipleOf":7}"#, "7e30", nil),
        ("number", #"{"multipleOf":7}"#, "1e30", .notMultiple), ("number", #"{"multipleOf":1}"#, "2.5", .scaleExceeded),
        ("number", #"{"minimum":0.1}"#, "0.1", nil), ("number", #"{"exclusiveMinimum":0.1}"#, "0.1", .belowMinimum),
        ("number", #"{"minimum":0.1}"#, "0.09999999999999999999999", .belowMinimum),
        ("number", #"{"maximum":9007199254740992}"#, "9007199254740993", .aboveMaximum),
        ("number", #"{"exclusiveMaximum":1}"#, "0.99999999999999999999", nil),
        ("number", #"{"exclusiveMaximum":1}"#, "1.0", .aboveMaximum),
        ("number", #"{"minimum":-5,"multipleOf":0.1}"#, "-5.1", .belowMinimum),
        ("number", #"{"minimum":0}"#, "-0.0", nil),
        ("boolean", "{}", "false", nil), ("boolean", "{}", "0", .typeMismatch),
        ("boolean", "{}", "\"true\"", .typeMismatch),
        ("date", "{}", "\"2024-02-29\"", nil), ("date", "{}", "\"2023-02-29\"", .invalidTime),
        ("date", "{}", "20240229", .typeMismatch),
        ("date", #"{"minimum":"2020-01-01"}"#, "\"2019-12-31\"", .belowMinimum),
        ("date", #"{"exclusiveMaximum":"2020-01-01"}"#, "\"2020-01-01\"", .aboveMaximum),
        ("time", "{}", "\"23:59:59.5\"", nil), ("time", "{}", "\"24:00:00\"", .invalidTime),
        ("time", #"{"maximum":"12:00:00"}"#, "\"12:00:01\"", .aboveMaximum),
        ("timestamp", "{}", "\"2024-01-01T00:00:00Z\"", nil),
        ("timestamp", "{}", "\"2024-01-01T00:00:00\"", .invalidTime),
        ("timestamp", #"{"minimum":"2024-01-01T00:00:00Z"}"#, "\"2024-01-01T00:00:00+01:00\"", .belowMinimum),
        ("array", #"{"minItems":1,"maxItems":2}"#, "[]", .tooFew), ("array", #"{"maxItems":2}"#, "[1,2,3]", .tooMany),
        ("array", #"{"uniqueItems":true}"#, "[1,1.0]", .duplicateItem),
        ("array", #"{"uniqueItems":true}"#, "[1,\"1\",{},[]]", nil),
        ("array", "{}", "{}", .typeMismatch), ("object", #"{"minProperties":1}"#, "{}", .tooFew),
        ("object", #"{"maxProperties":1}"#, #"{"a":1,"b":2}"#, .tooMany),
        ("object", "{}", "[]", .typeMismatch),
    ]

    @Test(arguments: cases)
    func values(_ type: String, _ options: String, _ value: String, _ code: Violation.Code?) throws {
        let violation = try check(contract(type, options), #"{"v":\#(value)}"#)
        #expect(violation?.code == code?.rawValue)
        if let violation {
            #expect(violation.class == .contractViolation && violation.pointer.text.hasPrefix("/data/v"))
        }
    }

    @Test func requiredAndNull() throws {
        let required = try contract("string", more: #","required":true"#)
        #expect(try check(required, "{}")?.code == "missing_attribute")
        #expect(try check(required, #"{"v":null}"#)?.code == "null_value")
        #expect(try check(required, "{}")?.pointer.text == "/data/v")
        #expect(try check(required, "[]")?.pointer.text == "/data")
        #expect(try check(contract("string"), "{}") == nil)
    }

    @Test func rowRules() throws {
        let valid = #","quality":[{"metric":"invalidValues","mustBe":0,"arguments":{"validValues":["a",1,null]}}]"#
        let listed = try contract("string", more: valid)
        #expect(try check(listed, #"{"v":"a"}"#) == nil && check(listed, #"{"v":"\u0061"}"#) == nil)
        #expect(try check(listed, #"{"v":"b"}"#)?.code == "invalid_value")
        #expect(try check(contract("number", more: valid), #"{"v":1.0}"#) == nil)
        let aggregate = valid.replacing("\"mustBe\":0", with: "\"mustBeLessThan\":5,\"unit\":\"percent\"")
        #expect(try check(contract("string", more: aggregate), #"{"v":"b"}"#) == nil)
        let warning = valid.replacing("\"mustBe\":0", with: "\"mustBe\":0,\"severity\":\"warning\"")
        #expect(try check(contract("string", more: warning), #"{"v":"b"}"#) == nil)
        let pattern = #","quality":[{"metric":"invalidValues","mustBe":0,"arguments":{"pattern":"^x"}}]"#
        #expect(try check(contract("string", more: pattern), #"{"v":"yx"}"#)?.code == "pattern_mismatch")
        let missing =
            #","quality":[{"metric":"missingValues","mustBe":0,"arguments":{"missingValues":[null,"","N/A"]}}]"#
        #expect(try check(contract("string", more: missing), #"{"v":"N/A"}"#)?.code == "missing_value")
        #expect(try check(contract("string", more: missing), #"{"v":null}"#)?.code == "null_value")
        #expect(try check(contract("string", more: missing), #"{"v":"x"}"#) == nil)
        let null = #","quality":[{"metric":"nullValues","mustBeLessThan":1}]"#
        #expect(try check(contract("string", more: null), #"{"v":null}"#)?.code == "null_value")
    }

    @Test func longListsOfValidValues() throws {
        let values = (0..<500).map { "\"value \($0)\"" }.joined(separator: ",")
        let more = #","quality":[{"metric":"invalidValues","mustBe":0,"arguments":{"validValues":[\#(values)]}}]"#
        let listed = try contract("string", more: more)
        #expect(try check(listed, #"{"v":"value 499"}"#) == nil)
        #expect(try check(listed, #"{"v":"value 500"}"#)?.code == "invalid_value")
    }

    @Test func nestedPointers() throws {
        let items =
            #","items":{"logicalType":"object","properties":[{"name":"q/x","logicalType":"integer","required":true}]}"#
        let list = try contract("array", more: items)
        #expect(try check(list, #"{"v":[{"q/x":1},{"q/x":"s"}]}"#)?.pointer.text == "/data/v/1/q~1x")
        #expect(try check(list, #"{"v":[{"q/x":1},{}]}"#)?.code == "missing_attribute")
        #expect(try check(list, #"{"v":[null]}"#) == nil)
    }

    @Test func futureTime() throws {
        let any = try contract("string")
        #expect(try check(any, "{}", time: "1970-01-01T00:05:00Z") == nil)
        #expect(try check(any, "{}", time: "1970-01-01T00:05:00.000001Z")?.code == "future_time")
        #expect(try check(any, "{}", time: "0001-01-01T00:00:00Z") == nil)
    }

    @Test func referenceTables() throws {
        let customers = try Contract.compile(JSONTree(parsing: Fixtures.customers))
        #expect(customers.contract.kind == .reference && customers.keyField == "customer_id")
        let head = #"{"specversion":"1.0","id":"1","source":"/s","type":"com.example.retail.customer","data":"#
        func row(_ data: String) throws -> (String?, String?) {
            try JSONDocument(Array((head + data + "}").utf8)).withRoot { root in
                let event = try CloudEvent.decode(root, nowMicros: 0).get()
                #expect(customers.covers(event))
                let violation = customers.check(event, nowMicros: 0)
                let key = violation == nil ? customers.withKey(of: event) { String(decoding: $0, as: UTF8.self) } : nil
                return (violation.map { $0.code + " " + $0.pointer.text }, key)
            }
        }
        #expect(try row(#"{"customer_id":"12350","country":"Norway"}"#) == (nil, "12350"))
        #expect(try row(#"{"country":"Norway"}"#) == ("missing_attribute /data/customer_id", nil))
        #expect(try row(#"{"customer_id":12350}"#) == ("type_mismatch /data/customer_id", nil))
        #expect(try row("null") == ("null_value /data", nil))
        let text = Fixtures.customers.replacing("\"primaryKey\": true", with: "\"primaryKey\": false")
        #expect(throws: ContractError.self) { try Contract.compile(JSONTree(parsing: text)) }
    }

    @Test func nestedReferencesWithIntegerKeys() throws {
        let shop = try contract("integer", more: #","relationships":[{"to":"shops.number"}]"#)
        func lookup(_ value: String) throws -> (Violation?, [String]) {
            let text = #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"v":\#(value)}}"#
            return try JSONDocument(Array(text.utf8)).withRoot { root in
                var asked: [String] = []
                let event = try CloudEvent.decode(root, nowMicros: 0).get()
                let violation = shop.checkReferences(event) { check, key in
                    asked.append(check.table + "/" + String(decoding: key, as: UTF8.self))
                    return asked.last == "shops/12"
                }
                return (violation, asked)
            }
        }
        #expect(try lookup("12.0").1 == ["shops/12"] && lookup("12").0 == nil && lookup("null").1 == [])
        let violation = try #require(lookup("13").0)
        #expect(violation.class == .unknownReference && violation.pointer.text == "/data/v")
    }

    /// A value that must not leak: it appears in no part of any violation.
    @Test func violationsNeverHoldValues() throws {
        let canary = "canary7391"
        for (type, options, _, _) in Self.cases {
            for value in ["\"\(canary)\"", "[\"\(canary)\"]", "{\"\(canary)\":1}"] {
                guard let violation = try check(contract(type, options), #"{"v":\#(value)}"#) else { continue }
                #expect(!"\(violation)".contains(canary))
            }
        }
        let texts = [
            #"{"specversion":"\#(canary)","id":"1","source":"/s","type":"t"}"#,
            #"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"\#(canary)"}"#,
            #"{"specversion":"1.0","id":"1","source":"/s","type":"t","\#(canary.uppercased())":1}"#,
            #"{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":{"\#(canary)":1}}"#,
        ]
        for text in texts {
            try JSONDocument(Array(text.utf8)).withRoot { root in
                guard case .failure(let violation) = CloudEvent.decode(root, nowMicros: 0) else { return }
                #expect(!"\(violation)".lowercased().contains(canary))
            }
        }
    }
}
