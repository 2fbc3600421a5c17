import Testing

@testable import FEEL

@Suite struct StrictProfileTests {
    static let environment = Environment([
        TypedName(name: "amount", type: .number, isNullable: true),
        TypedName(name: "limit", type: .number, isNullable: false),
        TypedName(name: "country", type: .string, isNullable: true),
        TypedName(name: "customer", type: .context(["age": .number]), isNullable: true),
        TypedName(name: "tags", type: .list(.string), isNullable: false),
        TypedName(name: "active", type: .boolean, isNullable: false),
    ])

    @Test(arguments: [
        "limit > 3", "amount != null and amount > 3", "if amount != null then amount + 1 > 2 else false",
        "amount = null or amount > 3", "country = \"DE\"", "country in (\"DE\", \"FR\")",
        "customer != null and customer.age > 18", "is defined(amount) and amount < limit", "active and limit > 1",
        "some t in tags satisfies t = \"vip\"", "count(tags) > 2", "not(amount = null) and amount > 1",
        "get or else(amount, 0) > 3", "customer.age != null and customer.age between 1 and 2", "not(active)",
        "amount != null and limit > 0 and amount / limit < 2", "date(\"2024-12-01\") < today()",
        "country != null and matches(country, \"^[A-Z]{2}$\")", "limit > sqrt(4)",
    ])
    func accepted(source: String) {
        #expect(throws: Never.self) {
            try Expression(source, in: StrictProfileTests.environment, profile: .strict)
        }
    }

    @Test(arguments: [
        ("amuont > 3", FEELError.Code.unknownName), ("customer != null and customer.agee > 3", .unknownName),
        ("amount > 3", .nullableUnguarded), ("amount + 1 = 2", .nullableUnguarded),
        ("amount != null or amount > 3", .nullableUnguarded), ("customer.age > 3", .nullableUnguarded),
        ("amount between 1 and 2", .nullableUnguarded), ("upper case(country) = \"X\"", .nullableUnguarded),
        ("limit = \"x\"", .typeMismatch), ("limit > \"x\"", .typeMismatch), ("limit + country > 1", .nullableUnguarded),
        ("limit + \"a\" = 1", .typeMismatch), ("limit and active", .typeMismatch),
        ("if limit then 1 else 2", .typeMismatch),
        ("active > true", .typeMismatch), ("upper case(limit) = \"A\"", .typeMismatch),
        ("limit = sum()", .wrongArguments), ("date(\"2024-13-01\") = today()", .wrongArguments),
        ("country != null and matches(country, \"(\")", .wrongArguments),
        ("country != null and matches(country, \"a\", \"z\")", .wrongArguments),
        ("@\"2024-13-01\" = today()", .syntax), ("limit > sqrt(-1)", .wrongArguments),
        ("for t in tags return t", .notInProfile), ("(function(x) x)(1) = 1", .notInProfile),
        ("some x in 1..100000 satisfies x = limit", .notInProfile), ("nosuch(1) = 1", .notInProfile),
    ])
    func refused(source: String, code: FEELError.Code) {
        do throws(FEELError) {
            _ = try Expression(source, in: StrictProfileTests.environment, profile: .strict)
            Issue.record("accepted: \(source)")
        } catch {
            #expect(error.code == code, "\(source): \(error.message)")
            #expect(error.offset <= source.utf8.count)
        }
    }
}
