import Contracts
import JSON
import Testing

struct CloudEventTests {
    private static let base = #""specversion":"1.0","id":"1","source":"/s","type":"t""#

    static func decode<R>(_ text: String, _ body: (Result<CloudEvent, Violation>) throws -> R) throws -> R {
        try JSONDocument(Array(text.utf8)).withRoot { try body(CloudEvent.decode($0, nowMicros: 77)) }
    }

    /// Members after the required four, the code and the pointer.
    static let refused: [(String, Violation.Code, String)] = [
        (#""time":1"#, .typeMismatch, "/time"), (#""time":"""#, .invalidTime, "/time"),
        (#""time":"2010-12-01"# + "\"", .invalidTime, "/time"), (#""subject":"""#, .emptyAttribute, "/subject"),
        (#""subject":5"#, .typeMismatch, "/subject"), (#""subject":"a\u0007""#, .invalidCharacter, "/subject"),
        (#""subject":"a\#u{7F}""#, .invalidCharacter, "/subject"),
        (#""subject":"a\#u{85}""#, .invalidCharacter, "/subject"),
        (#""datacontenttype":3"#, .typeMismatch, "/datacontenttype"),
        (#""dataschema":"""#, .emptyAttribute, "/dataschema"),
        (#""data":1,"data_base64":"AAAA""#, .dataConflict, "/data_base64"),
        (#""data":null,"data_base64":"AAAA""#, .dataConflict, "/data_base64"),
        (#""data_base64":"AAA""#, .invalidBase64, "/data_base64"),
        (#""data_base64":"A=AA""#, .invalidBase64, "/data_base64"),
        (#""data_base64":7"#, .typeMismatch, "/data_base64"), (#""Subject":"a""#, .attributeName, ""),
        (#""my_ext":"a""#, .attributeName, ""), (#""my-ext":null"#, .attributeName, ""), (#""":1"#, .attributeName, ""),
        (#""ext":1.5"#, .attributeType, ""), (#""ext":2147483648"#, .attributeType, ""),
        (#""ext":{}"#, .attributeType, ""),
        (#""ext":[]"#, .attributeType, ""), (#""corrects":5"#, .typeMismatch, "/corrects"),
        (#""corrects":"""#, .emptyAttribute, "/corrects"), (#""corrects":"a\u0007""#, .invalidCharacter, "/corrects"),
    ]

    @Test(arguments: refused)
    func refuses(_ members: String, _ code: Violation.Code, _ pointer: String) throws {
        try Self.decode("{\(Self.base),\(members)}") { result in
            guard case .failure(let violation) = result else { Issue.record("accepted"); return }
            #expect(violation.code == code.rawValue && violation.pointer.text == pointer)
            #expect(violation.class == .invalidCloudEvent)
        }
    }

    /// Members after the required four; whether the event takes back what it corrects.
    static let retractions: [(String, Bool)] = [
        (#""corrects":"0""#, true), (#""corrects":"0","data":null"#, true), (#""corrects":"0","data":{}"#, true),
        (#""corrects":"0","data":{ },"data_base64":null"#, true), (#""corrects":"0","data":{"a":null}"#, false),
        (#""corrects":"0","data":[]"#, false), (#""corrects":"0","data":0"#, false),
        (#""corrects":"0","data_base64":"AAAA""#, false), (#""corrects":null,"data":{}"#, false),
        (#""data":{}"#, false),
    ]

    @Test(arguments: retractions)
    func knowsRetractions(_ members: String, _ isRetraction: Bool) throws {
        try Self.decode("{\(Self.base),\(members)}") { result in
            let event = try result.get()
            #expect(event.isRetraction == isRetraction)
            #expect(event.corrects?.string == (members.contains(#""corrects":"0""#) ? "0" : nil))
        }
    }

    /// Whole events.
    static let broken: [(String, Violation.Code, String, Violation.Class)] = [
        ("[]", .notAnObject, "", .malformedJSON), ("3", .notAnObject, "", .malformedJSON),
        ("{}", .missingAttribute, "/specversion", .invalidCloudEvent),
        (#"{"specversion":1.0,"id":"1","source":"s","type":"t"}"#, .typeMismatch, "/specversion", .invalidCloudEvent),
        (
            #"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, .unsupportedSpecversion, "/specversion",
            .invalidCloudEvent
        ),
        (#"{"specversion":"1.0","source":"s","type":"t"}"#, .missingAttribute, "/id", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":null,"source":"s","type":"t"}"#, .missingAttribute, "/id", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":"","source":"s","type":"t"}"#, .emptyAttribute, "/id", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":9,"source":"s","type":"t"}"#, .typeMismatch, "/id", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":"1","type":"t"}"#, .missingAttribute, "/source", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":"1","source":"a b","type":"t"}"#, .invalidSource, "/source", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":"1","source":"s"}"#, .missingAttribute, "/type", .invalidCloudEvent),
        (#"{"specversion":"1.0","id":"1","source":"s","type":true}"#, .typeMismatch, "/type", .invalidCloudEvent),
    ]

    @Test(arguments: broken)
    func refusesEvents(_ text: String, _ code: Violation.Code, _ pointer: String, _ kind: Violation.Class) throws {
        try Self.decode(text) { result in
            guard case .failure(let violation) = result else { Issue.record("accepted"); return }
            #expect(violation.code == code.rawValue && violation.pointer.text == pointer && violation.class == kind)
        }
    }

    @Test func readsEveryPart() throws {
        let text =
            #"{"\u0069d":"a","specversion":"1.0","source":"urn:x","type":"t","time":"2010-12-01T10:32:00.05+01:00","#
            + #""subject":"é","datacontenttype":"application/json","dataschema":"urn:s","traceparent":"x","sequence":5,"#
            + #""flag":true,"unset":null,"data":{"a":1}}"#
        try Self.decode(text) { result in
            let event = try result.get()
            #expect(event.id.equals("a") && event.source.equals("urn:x") && event.type.equals("t"))
            #expect(event.subject?.string == "é" && event.timeMicros == 1_291_195_920_050_000)
            #expect(
                event.dataContentType?.equals("application/json") == true && event.dataSchema?.equals("urn:s") == true)
            #expect(event.data?["a"]?.int64 == 1 && event.dataBase64 == nil)
            #expect(event.attribute("sequence")?.int64 == 5 && event.attribute("flag")?.bool == true)
            #expect(event.attribute("unset") == nil && event.attribute("none") == nil)
        }
    }

    @Test func withoutTimeAndData() throws {
        try Self.decode("{\(Self.base)}") { result in
            let event = try result.get()
            #expect(event.time == nil && event.timeMicros == 77 && event.data == nil && event.subject == nil)
        }
        try Self.decode("{\(Self.base),\"data\":null,\"time\":null,\"data_base64\":null}") { result in
            let event = try result.get()
            #expect(event.data?.isNull == true && event.time == nil && event.dataBase64 == nil)
        }
        try Self.decode("{\(Self.base),\"data_base64\":\"QUI=\"}") { result in
            let event = try result.get()
            #expect(event.dataBase64?.equals("QUI=") == true)
        }
    }
}
