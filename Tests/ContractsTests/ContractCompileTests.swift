import Contracts
import JSON
import Testing

/// The retail contract with one edit.
private func edited(_ pointer: String, _ json: String?) throws -> JSONTree {
    let tokens = try #require(JSONPointer(parsing: pointer)).tokens
    return replace(
        in: try JSONTree(parsing: Fixtures.retailEvents), tokens[...], try json.map { try JSONTree(parsing: $0) })
}

private func replace(in tree: JSONTree, _ path: ArraySlice<String>, _ value: JSONTree?) -> JSONTree {
    guard let first = path.first else { return value ?? .null }
    let rest = path.dropFirst()
    switch tree {
    case .object(var members):
        if let index = members.firstIndex(where: { $0.key == first }) {
            if rest.isEmpty, value == nil {
                members.remove(at: index)
            } else {
                members[index].value = replace(in: members[index].value, rest, value)
            }
        } else if let value, rest.isEmpty {
            members.append(.init(key: first, value: value))
        }
        return .object(members)
    case .array(var elements):
        if first == "-" {
            elements.append(value ?? .null)
        } else if let index = Int(first), elements.indices.contains(index) {
            elements[index] = replace(in: elements[index], rest, value)
        }
        return .array(elements)
    default: return tree
    }
}

private func issues(_ tree: JSONTree) -> [ContractIssue] {
    do throws(ContractError) {
        _ = try Contract.compile(tree)
        return []
    } catch {
        return error.issues
    }
}

struct ContractCompileTests {
    /// Where, what to put there (nil removes), the code and the pointer of the first issue.
    static let refused: [(String, String?, ContractIssue.Code, String)] = [
        ("/version", nil, .missingKey, ""), ("/apiVersion", "\"v9\"", .invalidValue, "/apiVersion"),
        ("/kind", "\"Other\"", .invalidValue, "/kind"), ("/version", "1.0", .wrongType, "/version"),
        ("/colour", "\"red\"", .unknownKey, "/colour"), ("/schema", "{}", .wrongType, "/schema"),
        ("/schema/0/colour", "1", .unknownKey, "/schema/0/colour"),
        ("/schema/0/name", nil, .missingKey, "/schema/0"), ("/schema/0/id", "\"a b\"", .invalidValue, "/schema/0/id"),
        ("/schema/0/properties/0/name", nil, .missingKey, "/schema/0/properties/0"),
        ("/schema/0/properties/0/logicalType", "\"text\"", .invalidValue, "/schema/0/properties/0/logicalType"),
        ("/schema/0/properties/0/logicalType", nil, .missingKey, "/schema/0/properties/0"),
        ("/schema/0/properties/0/required", "\"yes\"", .wrongType, "/schema/0/properties/0/required"),
        ("/schema/0/properties/1/name", "\"id\"", .duplicateName, "/schema/0/properties/1/name"),
        ("/schema/0/properties/1/name", "\"Source\"", .invalidValue, "/schema/0/properties/1/name"),
        ("/schema/0/properties/4/logicalType", "\"string\"", .invalidValue, "/schema/0/properties/4/logicalType"),
        (
            "/schema/0/properties/3/relationships/0/to", "\"nowhere\"", .unsupported,
            "/schema/0/properties/3/relationships/0/to"
        ),
        (
            "/schema/0/properties/3/relationships/0/from", "\"a.b\"", .unknownKey,
            "/schema/0/properties/3/relationships/0/from"
        ),
        (
            "/schema/0/relationships", #"[{"from":"retail_events.none","to":"a.b"}]"#, .invalidValue,
            "/schema/0/relationships"
        ),
        (
            "/schema/0/relationships", #"[{"from":["a.b","a.c"],"to":["x.y","x.z"]}]"#, .unsupported,
            "/schema/0/relationships/0"
        ),
        ("/schema/0/quality/0/mustBe", "1", .operatorCount, "/schema/0/quality/0"),
        ("/schema/0/quality/0/mustBeGreaterThan", nil, .operatorCount, "/schema/0/quality/0"),
        ("/schema/0/quality/0/mustBeGreaterThan", "\"1\"", .wrongType, "/schema/0/quality/0/mustBeGreaterThan"),
        ("/schema/0/quality/0/metric", "\"rows\"", .invalidValue, "/schema/0/quality/0/metric"),
        ("/schema/0/quality/0/metric", nil, .missingKey, "/schema/0/quality/0"),
        ("/schema/0/quality/0/colour", "1", .unknownKey, "/schema/0/quality/0/colour"),
        ("/schema/0/quality/0/dimension", "\"beauty\"", .invalidValue, "/schema/0/quality/0/dimension"),
        ("/schema/0/quality/-", #"{"metric":"nullValues","mustBe":0}"#, .unsupported, "/schema/0/quality/1"),
        (
            "/schema/0/quality/-", #"{"metric":"rowCount","mustBeBetween":[2,1]}"#, .invalidValue,
            "/schema/0/quality/1/mustBeBetween"
        ),
        (
            "/schema/0/quality/-", #"{"metric":"invalidValues","mustBe":0}"#, .missingKey,
            "/schema/0/quality/1/arguments"
        ),
        ("/schema/0/quality/-", #"{"type":"sql","mustBe":0}"#, .missingKey, "/schema/0/quality/1"),
        ("/schema/0/quality/-", #"{"type":"custom","engine":"x"}"#, .missingKey, "/schema/0/quality/1"),
        ("/slaProperties/0/unit", "\"m\"", .invalidValue, "/slaProperties/0/unit"),
        ("/slaProperties/0/value", "\"one\"", .invalidValue, "/slaProperties/0/value"),
        ("/slaProperties/0/value", "-1", .invalidValue, "/slaProperties/0/value"),
        ("/slaProperties/0/colour", "1", .unknownKey, "/slaProperties/0/colour"),
        ("/customProperties/0/value", "\"table\"", .invalidValue, "/customProperties/0/value"),
        ("/customProperties/0/value", "\"catalogue\"", .invalidValue, "/customProperties/0/value"),
        ("/customProperties/0/property", "\"decisiond.lateness\"", .invalidValue, "/customProperties/0/value"),
        ("/customProperties/1/value", "[]", .wrongType, "/customProperties/1/value"),
        ("/customProperties/1/value", "[\"a\",\"a\"]", .duplicateName, "/customProperties/1/value"),
        ("/customProperties/1/property", "\"decisiond.types\"", .unknownKey, "/customProperties/1/property"),
        ("/customProperties/1/property", "\"other.types\"", .missingKey, "/customProperties"),
        ("/schema/-", #"{"name":"second"}"#, .invalidValue, "/schema"),
        ("/schema/-", #"{"name":"retail_events"}"#, .duplicateName, "/schema/1/name"),
        ("/team", "3", .wrongType, "/team"),
        ("/servers", #"[{"server":"a","type":"dbf"}]"#, .invalidValue, "/servers/0/type"),
    ]

    @Test(arguments: refused)
    func refuses(_ pointer: String, _ json: String?, _ code: ContractIssue.Code, _ place: String) throws {
        let first = issues(try edited(pointer, json)).first
        #expect(first?.code == code && first?.pointer.text == place, "\(String(describing: first))")
    }

    /// Options of `data.amount` (a number, 5) or of another type.
    static let options: [(String, String, ContractIssue.Code)] = [
        ("number", #"{"minLength":1}"#, .unknownKey), ("number", #"{"multipleOf":0}"#, .invalidValue),
        ("number", #"{"multipleOf":-1}"#, .invalidValue), ("number", #"{"minimum":"1"}"#, .wrongType),
        ("number", #"{"minimum":2,"maximum":1}"#, .invalidValue), ("number", #"{"format":"f16"}"#, .unsupported),
        ("number", #"{"minimum":1,"exclusiveMinimum":1}"#, .invalidValue),
        ("integer", #"{"format":"i128"}"#, .unsupported),
        ("string", #"{"pattern":"("}"#, .invalidPattern), ("string", #"{"format":"zip"}"#, .unsupported),
        ("string", #"{"minLength":-1}"#, .wrongType), ("string", #"{"minLength":3,"maxLength":2}"#, .invalidValue),
        ("date", #"{"format":"dd/MM/yyyy"}"#, .unsupported), ("date", #"{"minimum":"1/1/2020"}"#, .invalidValue),
        ("timestamp", #"{"timezone":false}"#, .unsupported), ("array", #"{"uniqueItems":1}"#, .wrongType),
        ("object", #"{"required":["x"]}"#, .invalidValue), ("boolean", #"{"minimum":1}"#, .unknownKey),
        ("string", "3", .wrongType),
    ]

    @Test(arguments: options)
    func refusesOptions(_ type: String, _ options: String, _ code: ContractIssue.Code) throws {
        let json = #"{"name":"amount","logicalType":"\#(type)","logicalTypeOptions":\#(options)}"#
        let found = issues(try edited("/schema/0/properties/5/properties/5", json))
        #expect(found.map(\.code) == [code])
        #expect(found.first?.pointer.text.hasPrefix("/schema/0/properties/5/properties/5/logicalTypeOptions") == true)
    }

    @Test func listsEveryIssueUpToTheLimit() throws {
        let bad = (0..<200).map { #"{"name":"p\#($0)","colour":1}"# }.joined(separator: ",")
        #expect(issues(try edited("/schema/0/properties", "[\(bad)]")).count == ContractsLimits.issuesMax)
        var deep = #"{"name":"x","logicalType":"object"}"#
        for _ in 0..<40 { deep = #"{"name":"x","logicalType":"object","properties":[\#(deep)]}"# }
        #expect(issues(try edited("/schema/0/properties", "[\(deep)]")).first?.code == .limit)
    }

    @Test func readsTheRetailContract() throws {
        let compiled = try Fixtures.retail()
        let contract = compiled.contract
        #expect(contract.kind == .stream && contract.name == "retail_events" && contract.owner == "data-steward")
        #expect(contract.eventTypes == ["com.example.retail.purchase", "com.example.retail.refund"])
        #expect(contract.classifications.map(\.path) == [["data", "description"]])
        #expect(compiled.references.map(\.path) == [["subject"]] && compiled.keyField == nil)
        let data = try #require(contract.schema[0].properties.first { $0.name == "data" })
        #expect(data.properties.map(\.decimalScale) == [nil, nil, nil, nil, nil, 2, nil, nil])
        #expect(contract.serviceLevels.map(\.property) == [.freshness, .retention])
        #expect(contract.serviceLevels.map(\.seconds) == [86_400, 94_608_000])
        let rule = try #require(contract.qualityRules.first?.rule)
        #expect(rule.comparison?.holds(JSONNumber(1)) == true && rule.comparison?.holds(JSONNumber(0)) == false)
        #expect(!rule.forbidsEveryRow && rule.severity == "warning" && rule.name == "volume")
    }

    @Test func comparisons() {
        let cases: [(QualityRule.Comparison, [Int64], [Int64])] = [
            (.mustBe(.integer(3)), [3], [2, 4]), (.mustNotBe(.integer(3)), [2, 4], [3]),
            (.greaterThan(JSONNumber(3)), [4], [3, 2]), (.atLeast(JSONNumber(3)), [3, 4], [2]),
            (.lessThan(JSONNumber(3)), [2], [3, 4]), (.atMost(JSONNumber(3)), [2, 3], [4]),
            (.between(JSONNumber(2), JSONNumber(4)), [2, 3, 4], [1, 5]),
            (.notBetween(JSONNumber(2), JSONNumber(4)), [1, 5], [2, 3, 4]),
        ]
        for (comparison, holds, fails) in cases {
            #expect(holds.allSatisfy { comparison.holds(JSONNumber($0)) })
            #expect(!fails.contains { comparison.holds(JSONNumber($0)) })
        }
    }
}
