import Testing

@testable import FEEL

@Suite struct UnaryTestsTests {
    private static let environment = Environment([TypedName(name: "limit", type: .number, isNullable: false)])

    @Test(arguments: [
        ("-", "1", true), ("-", "null", true), ("1", "1", true), ("1, 2", "2", true), ("1, 2", "3", false),
        ("< 5", "4", true),
        (">= 5", "4", false), ("[1..3]", "3", true), ("[1..3)", "3", false), ("(1..3]", "1", false),
        ("not(1, 2)", "3", true),
        ("not(1, 2)", "1", false), ("\"A\", \"B\"", "\"B\"", true), ("\"A\"", "null", false), ("null", "null", true),
        ("null", "1", false), ("< 5", "null", nil), ("[1..3]", "null", nil), ("not(< 5)", "null", nil),
        ("? > 3", "4", true),
        ("? * 2 = limit", "5", true), ("string length(?) > 2", "\"abc\"", true), ("limit", "10", true),
        ("< limit", "9", true),
        ("true", "true", true), ("true", "false", false), ("[1, 2, 3]", "2", true),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "9", true),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "11", false), ("@\"2024-01-01\"", "@\"2024-01-01\"", true),
        ("< \"b\"", "\"a\"", true),
        ("(< 3), > 8", "9", true), ("contains(?, \"x\")", "\"axe\"", true), ("-1", "-1", true), ("< 5", "\"a\"", nil),
    ])
    func cells(source: String, input: String, expected: Bool?) throws {
        let value = try Expression(input, in: Environment([])).evaluate([])
        let tests = try UnaryTests(source, inputType: .any, in: UnaryTestsTests.environment)
        #expect(tests.matches(value, [.number(10)]) == expected, "\(source) of \(input)")
    }

    @Test func refused() {
        for source in ["", "1,", "not(1", "- 1 -", "[1..", "? ?", "1 2"] {
            #expect(throws: FEELError.self, "\(source)") {
                try UnaryTests(source, inputType: .number, in: Environment([]))
            }
        }
    }
}
