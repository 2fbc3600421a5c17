import FEEL
import JSON
import Testing

@testable import Access

@Suite struct MaskTests {
    static let values: [(Mask, String, String)] = [
        (.redact, #""Anna Schmidt-7, 12.5%""#, #""Xxxx Xxxxxxx-n, nn.n%""#),
        (.redact, #""Zoë Ünal٣字🙂""#, #""Xxx Xxxxnxx""#),
        (.redact, #""""#, #""""#), (.redact, "12", "null"), (.redact, "true", "null"), (.redact, "null", "null"),
        (.redact, #"{"name":"Anna"}"#, "null"), (.redact, #"["Ab",1,["c"],null]"#, #"["Xx",null,["x"],null]"#),
        (.showLast4, #""4111-1111-1111-1234""#, #""nnnn-nnnn-nnnn-1234""#), (.showLast4, #""DE12345""#, #""XXnnnnn""#),
        (.showLast4, #""12345678""#, #""nnnn5678""#), (.showLast4, #""1234567""#, #""nnnnnnn""#),
        (.showLast4, #""123""#, #""nnn""#), (.showLast4, "12345678", "null"),
        (.showFirst4, #""4111-1111-1111-1234""#, #""4111-nnnn-nnnn-nnnn""#), (.showFirst4, #""4111""#, #""nnnn""#),
        (.null, #""x""#, "null"), (.null, "3", "null"), (.null, #"{"a":1}"#, "null"), (.null, "[1,2]", "[null,null]"),
        (.dateShowYear, #""1985-07-14""#, #""1985-01-01""#),
        (.dateShowYear, #""1985-07-14T10:11:12.5+02:00""#, #""1985-01-01T00:00:00Z""#),
        (.dateShowYear, #""1985-07-14 10:11""#, #""1985-01-01T00:00:00Z""#), (.dateShowYear, #""14.07.1985""#, "null"),
        (.dateShowYear, #""1985-07-14x""#, "null"), (.dateShowYear, #""19850714""#, "null"),
        (.dateShowYear, "1985", "null"),
        (.hash, "null", "null"),
    ]

    @Test(arguments: MaskTests.values) func masked(mask: Mask, value: String, expected: String) throws {
        let result = mask.apply(try JSONTree(parsing: value), key: maskKey)
        #expect(text { result.write(to: &$0) } == expected)
    }

    @Test func hash() throws {
        func hash(_ json: String, _ key: MaskKey = maskKey) throws -> String {
            try #require(Mask.hash.apply(try JSONTree(parsing: json), key: key).string)
        }
        let anna = try hash(#""anna@example.com""#)
        // hmac.new(bytes([7])*32, b'"anna@example.com"', hashlib.sha256).hexdigest()
        #expect(anna == "f00d9d11d722d49fab0a70bac80b9f20ca29d5c0bc90fcaab29e1e5c5013e6da")
        #expect(Mask.hash.apply("anna@example.com", key: maskKey) == anna)
        #expect(try hash(#""anna@example.com""#, MaskKey(Array(repeating: 8, count: 32))) != anna)
        #expect(try hash("1") == hash("1.0"))
        #expect(try hash("1") != hash(#""1""#))
        #expect(try hash(#"{"a":1,"b":2}"#) == hash(#"{"b":2,"a":1}"#))
    }

    @Test func strictestWins() {
        for a in Mask.allCases {
            for b in Mask.allCases {
                #expect(a.stricter(b) == b.stricter(a))
                #expect(a.stricter(.null) == .null)
            }
        }
        #expect(Set(Mask.allCases.map(\.strictness)).count == Mask.allCases.count)
        #expect(Mask.redact.stricter(.hash) == .redact && Mask.showFirst4.stricter(.showLast4) == .showFirst4)
    }

    // MARK: Plans

    static let plans = #"""
        {"id":"card","effect":"mask","mask":"MASK_SHOW_LAST_4","fields":["card"],"unless_roles":["steward"],"resource":{"type":"doc"}},
        {"id":"people","effect":"mask","mask":"MASK_HASH","classification":"personal","roles":["analyst","steward"],
         "unless_roles":["steward"],"resource":{"type":"doc"}},
        {"id":"address","effect":"mask","mask":"MASK","fields":["address"],"unless_roles":["steward"],"resource":{"type":"*"}},
        {"id":"strict","effect":"mask","mask":"MASK_NULL","fields":["card"],"roles":["intern"],"resource":{"type":"doc"}},
        {"id":"cond","effect":"mask","mask":"MASK","fields":["note"],"resource":{"type":"doc"},"when":"subject.attributes.n < 1"},
        {"id":"one","effect":"mask","mask":"MASK","fields":["limited"],"resource":{"type":"doc","ids":["2"]}},
        {"id":"over","effect":"mask","mask":"MASK_NULL","fields":["old"],"resource":{"type":"doc"},"valid_to":"1960-01-01"},
        {"id":"rp","effect":"permit","roles":["clerk"],"actions":["read_personal"],"resource":{"type":"doc"}},
        {"id":"um","effect":"permit","roles":["boss"],"actions":["unmask"],"resource":{"type":"doc"}},
        {"id":"star","effect":"permit","roles":["wild"],"actions":["*"],"resource":{"type":"*"}}
        """#

    func plan(
        _ roles: [String], type: String = "doc", id: String = "1", attributes: Context = Context([("n", .number(5))])
    ) throws -> MaskPlan {
        let subject = AccessSubject(type: "user", id: "u", roles: roles, attributes: attributes)
        return try rules(Self.plans).maskPlan(
            for: subject, resource: AccessResource(type: type, id: id), nowMicros: 0, attributes: NoAttributes())
    }

    static let verdicts: [([String], String, String?, Mask?)] = [
        ([], "name", "personal", .null), ([], "name", "Confidential", .null), ([], "name", "public", nil),
        ([], "name", nil, nil),
        (["clerk"], "name", "personal", nil), (["wild"], "name", "personal", .null),
        (["boss"], "name", "personal", nil),
        (["analyst"], "name", "personal", .hash), (["analyst"], "name", "confidential", .null),
        (["analyst", "clerk"], "name", "personal", .hash), (["steward"], "name", "personal", nil),
        (["steward"], "name", "confidential", .null),
        ([], "card", nil, .showLast4), ([], "card", "personal", .showLast4), (["steward"], "card", nil, nil),
        (["intern"], "card", nil, .null), (["intern", "steward"], "card", nil, .null),
        (["boss", "intern"], "card", nil, nil),
        (["analyst"], "card", "personal", .hash), (["clerk"], "card", "personal", .showLast4),
        ([], "cards", nil, nil), ([], "card.number", nil, .showLast4), ([], "address", nil, .redact),
        ([], "address.city.name", nil, .redact), ([], "address2.city", nil, nil),
        (["clerk"], "address.city", nil, .redact),
        ([], "note", nil, nil), ([], "limited", nil, nil), ([], "old", nil, nil), ([], "old", "personal", .null),
    ]

    @Test(arguments: MaskTests.verdicts)
    func verdict(roles: [String], path: String, classification: String?, expected: Mask?) throws {
        let verdict = try plan(roles).verdict(path: path, classification: classification)
        #expect(verdict?.mask == expected, "\(String(describing: verdict))")
    }

    @Test func conditionNullMasksAndListingsMaskWhatAnyItemWould() throws {
        #expect(try plan([], attributes: Context()).verdict(path: "note", classification: nil)?.mask == .redact)
        #expect(
            try plan([], attributes: Context([("n", .number(0))])).verdict(path: "note", classification: nil)?.mask
                == .redact)
        #expect(try plan([], id: "2").verdict(path: "limited", classification: nil)?.mask == .redact)
        #expect(try plan([], id: "*").verdict(path: "limited", classification: nil)?.mask == .redact)
        #expect(try plan([], type: "other").verdict(path: "card", classification: nil) == nil)
        #expect(try plan([], type: "other").verdict(path: "address", classification: nil)?.mask == .redact)
    }

    @Test func showsEverything() throws {
        #expect(try plan(["boss"]).showsEverything)
        #expect(!(try plan(["clerk"]).showsEverything))
        let bare = try rules(#"{"id":"rp","effect":"permit","actions":["read_personal"],"resource":{"type":"doc"}}"#)
        let subject = AccessSubject(type: "user", id: "u")
        func made(_ set: PolicySet) -> MaskPlan {
            set.maskPlan(
                for: subject, resource: AccessResource(type: "doc", id: "1"), nowMicros: 0, attributes: NoAttributes())
        }
        #expect(made(bare).showsEverything)
        let empty = try PolicySet()
        #expect(!made(empty).showsEverything)
        let admin = AccessSubject(Principal(id: "root", roles: ["admin"]))
        #expect(
            empty.maskPlan(
                for: admin, resource: AccessResource(type: "doc", id: "1"), nowMicros: 0, attributes: NoAttributes()
            ).showsEverything)
    }

    // MARK: The canary

    static let document = #"""
        {"id":"o-1","customer":{"name":"CANARY7f3a","emails":["CANARY7f3a@example.com"],"born":"1985-07-14","tier":"gold",
        "CANARY":{"deep":[{"x":"CANARY7f3a"}]}},"card":"CANARY7f3a","lines":[{"sku":"a","note":"CANARY7f3a"}],"total":12.50}
        """#
    static let classes = [
        "customer.name": "personal", "customer.emails": "personal", "customer.born": "personal",
        "customer.CANARY": "confidential",
        "lines.note": "personal", "card": "restricted",
    ]

    @Test func aCanaryIsNowhereInTheAnswer() throws {
        for mask in Mask.allCases {
            let set = try rules(
                #"{"id":"m","effect":"mask","mask":"\#(mask.rawValue)","classification":["personal"],"fields":["card"],"resource":{"type":"doc"}}"#
            )
            let plan = set.maskPlan(
                for: AccessSubject(type: "user", id: "u"), resource: AccessResource(type: "doc", id: "1"), nowMicros: 0,
                attributes: NoAttributes())
            let masked = plan.apply(
                to: try JSONTree(parsing: Self.document), classifications: Self.classes, key: maskKey)
            let shown = text { masked.value.write(to: &$0) }
            #expect(!shown.contains("CANARY7f3a"), "\(mask) \(shown)")
            #expect(
                masked.maskedFields
                    == ["card", "customer.CANARY", "customer.born", "customer.emails", "customer.name", "lines.note"])
            #expect(shown.contains(#""tier":"gold""#) && shown.contains(#""sku":"a""#) && shown.contains("12.5"))
            let decision = set.evaluate(ask(), nowMicros: 0)
            let entry = AccessLogEntry(
                principal: .anonymous, keyID: nil, action: "read", resource: AccessResource(type: "doc", id: "1"),
                decision: decision, maskedFields: masked.maskedFields, timeMicros: 0)
            #expect(!text { entry.write(to: &$0) }.contains("CANARY7f3a"))
        }
    }

    @Test func aClassifiedObjectCoversWhatIsBelowIt() throws {
        let set = try rules(
            #"{"id":"m","effect":"mask","mask":"MASK_HASH","fields":["customer.tier"],"resource":{"type":"doc"}}"#)
        let plan = set.maskPlan(
            for: AccessSubject(type: "user", id: "u"), resource: AccessResource(type: "doc", id: "1"), nowMicros: 0,
            attributes: NoAttributes())
        let masked = plan.apply(
            to: try JSONTree(parsing: Self.document), classifications: ["customer": "personal"], key: maskKey)
        #expect(masked.value["customer"] == .null)
        #expect(masked.maskedFields == ["customer"])
        let part = plan.apply(
            to: .string("x"), classifications: ["a.b": "personal"], key: maskKey, path: "a.b")
        #expect(part.value == .null)
    }

    @Test func whatIsTooDeepIsNotShown() throws {
        let depth = AccessLimits.valueDepth + 2
        let json = String(repeating: "[", count: depth) + #""CANARY""# + String(repeating: "]", count: depth)
        let tree = JSONTree.members(["a": try JSONTree(parsing: json)])
        let plan = try plan([])
        #expect(
            !text { plan.apply(to: tree, classifications: [:], key: maskKey).value.write(to: &$0) }.contains("CANARY"))
        let masked = Mask.redact.apply(try JSONTree(parsing: json), key: maskKey)
        #expect(!text { masked.write(to: &$0) }.contains("CANARY"))
    }
}
