import Foundation
import Testing

@testable import FEEL

/// Sources of a few hundred bytes that ask for more stack, memory or time than there is: the answer is null with the
/// limit as its reason, within seconds, on a thread with the smallest stack that the service uses.
@Suite(.timeLimit(.minutes(5))) struct ResourceLimitTests {
    static var stackBytes: Int {
        #if DEBUG
            // Frames without optimization are six times as big, and a sanitizer's have room between their variables.
            let isSanitized = ProcessInfo.processInfo.environment["DECISIOND_SANITIZER"] != nil
            return (isSanitized ? 24 : 6) * 512 * 1024
        #else
            return 512 * 1024
        #endif
    }

    /// Runs on a thread with a small stack; a stack overflow would end the whole test process.
    private func onSmallStack<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result {
        nonisolated(unsafe) var result: Result?
        let finished = DispatchSemaphore(value: 0)
        let thread = Thread {
            result = body()
            finished.signal()
        }
        thread.stackSize = Self.stackBytes
        thread.start()
        finished.wait()
        guard let result else { preconditionFailure("the body has a result") }
        return result
    }

    private func evaluate(_ source: String) -> (value: Value, reasons: [NullReason]) {
        onSmallStack {
            guard let expression = try? Expression(source, in: Environment([])) else {
                return (.null, [NullReason(code: .limit, message: "refused", offset: 0)])
            }
            var reasons: [NullReason] = []
            let value = expression.evaluate([], reasons: &reasons)
            _ = value.text
            _ = value.type
            return (expression.evaluate([]).isNull == value.isNull ? value : .string("differs"), reasons)
        }
    }

    /// `a0: [1, 1], a1: [a0, a0], ...`: two to the power of 60 leaves in 700 bytes.
    private static let doubled = "a0: [1, 1]" + (1...60).map { ", a\($0): [a\($0 - 1), a\($0 - 1)]" }.joined()
    private static let doubledToo = "b0: [1, 1]" + (1...60).map { ", b\($0): [b\($0 - 1), b\($0 - 1)]" }.joined()
    private static let doubledContexts =
        "a0: {x: 1, y: 1}" + (1...40).map { ", a\($0): {x: a\($0 - 1), y: a\($0 - 1)}" }.joined()
    /// 2 MiB of text in `s15`.
    private static let longText =
        "s0: \"" + String(repeating: "a", count: 64) + "\""
        + (1...15).map { ", s\($0): s\($0 - 1) + s\($0 - 1)" }.joined()

    @Test(arguments: [
        "{f: function(f, x) f(f, x + 1), r: f(f, 1)}.r",
        "{f: function(f, x) if x > 0 then (if x > 0 then f(f, x + 1) else 1) else 2, r: f(f, 1)}.r",
        "{f: function(f, x) [f(f, [x])], r: f(f, 1)}.r", "{f: function(f, x) {a: f(f, {a: x})}, r: f(f, 1)}.r",
        "{f: function(f, x) sort([2, 1], function(a, b) f(f, x)), r: f(f, 1)}.r",
        "{f: function(f, x) [1][f(f, x)], r: f(f, 1)}.r",
        "{f: function(f, x) for i in [x] return f(f, i), r: f(f, 1)}.r",
        "{f: function(f, x) some i in [x] satisfies f(f, i), r: f(f, 1)}.r",
        "{f: function(f, x, n) if n = 0 then x else f(f, [[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]], n - 1), r: f(f, 1, 200)}.r",
        "for i in 1..100000 return if i = 1 then [] else [partial[-1]]",
        "for i in 1..100000 return if i = 1 then {} else {a: partial[-1]}",
        "for i in 1..100000 return if i = 1 then (function() 1) else (function() partial[-1])",
        "count(for i in 1..100000 return for j in 1..100000 return 1)",
        "{l: for i in 1..200000 return [], m: for i in 1..200000 return l, r: flatten(m)}.r",
        "{l: for i in 1..200000 return {a: 1}, r: for i in 1..200000 return l.a}.r",
        "{l: for i in 1..200000 return {a: 1}, m: for i in 1..2000 return l, r: m.a}.r",
        "{l: for i in 1..200000 return i, m: for i in 1..200000 return i, r: for i in 1..200000 return l = m}.r",
        "{l: for i in 1..200000 return i, r: for i in 1..200000 return i in l}.r",
        "for i in 1..200000 return append(partial, i)",
        "sort(for i in 1..200000 return i, function(a, b) a > b)",
        "distinct values(for i in 1..5000 return [[[[i]]]])",
        "context(for i in 1..200000 return {key: string(i), value: i})",
        "for i in 1..1000000 return " + (1...2000).map { "\($0)" }.joined(separator: "+"),
        "for i in 1..1000000 return [" + (1...2000).map { "\($0)" }.joined(separator: ",") + "]",
        "[1, 2, 3][" + String(repeating: "1 = 1 and ", count: 2000) + "true]",
    ])
    func isLimited(source: String) {
        let (value, reasons) = evaluate(source)
        if value.isNull {
            #expect(reasons.contains { $0.code == .limit }, "\(source.prefix(80)): \(reasons)")
        } else {
            #expect(value.isBounded, "\(source.prefix(80))")
        }
    }

    @Test(arguments: [
        "string(a60)", "a60 = b60", "a60 in [b60]", "list contains([a60], b60)", "index of([a60, a60], b60)",
        "distinct values([a60, b60])", "flatten(a60)", "a60", "union([a60], [b60])", "[a60, b60][item = b60]",
        "a60 instance of " + String(repeating: "list<", count: 61) + "number" + String(repeating: ">", count: 61),
    ])
    func sharedPartsAreCounted(tail: String) {
        let (value, reasons) = evaluate("{\(Self.doubled), \(Self.doubledToo), r: \(tail)}.r")
        #expect(value.isNull && reasons.contains { $0.code == .limit }, "\(tail): \(reasons)")
    }

    @Test(arguments: ["a40", "a40 = a40", "a40.x.y.x", "string(a40)", "[a40].x", "{b: a40, c: a40}"])
    func sharedTypesAreBounded(tail: String) {
        let (value, reasons) = evaluate("{\(Self.doubledContexts), r: \(tail)}.r")
        #expect(value.isNull ? reasons.contains { $0.code == .limit } : value.isBounded, "\(tail): \(reasons)")
    }

    @Test(
        arguments: [
            ("contains(s15, s14 + \"b\")", false), ("contains(s15, s14)", true), ("s15 + s15 + s15", nil),
            ("for i in 1..100000 return s15 + string(i)", nil), ("matches(s15, \"(a|aa)+b\")", nil),
            ("for i in 1..100000 return s15 = s14 + s14", nil), ("for i in 1..100000 return upper case(s15)", nil),
            ("string([s15, s15, s15])", nil), ("string join(for i in 1..1000 return s15, \"\")", nil),
            ("replace(s10, \"a\", s10)", nil), ("for i in 1..100000 return s15 < s14 + s14", nil),
            ("matches(s5, s15)", nil), ("number(s15)", nil), ("string length(s15) = 2097152", true),
        ] as [(String, Bool?)])
    func longTexts(tail: String, expected: Bool?) {
        let (value, reasons) = evaluate("{\(Self.longText), r: \(tail)}.r")
        #expect(value.boolean == expected, "\(tail): \(reasons)")
        if expected == nil { #expect(value.isNull && !reasons.isEmpty, "\(tail)") }
    }

    /// As deep as each is accepted, and deeper.
    @Test(arguments: [
        ("(", "1", ")"), ("[", "1", "]"), ("{a: ", "1", "}"), ("not(", "true", ")"), ("- ", "1", ""),
        ("if true then ", "1", " else 2"), ("for x in [1] return ", "1", ""), ("count([", "1", "])"),
        ("some x in [1] satisfies ", "true", ""), ("(function(x) ", "x", ")(1)"), ("1 in (", "1", ")"),
        ("1 in (1, ", "1", ")"), ("[1, 2][", "true", "]"), ("1 + (", "1", ")"), ("true and (", "true", ")"),
        ("1 instance of list<", "number", ">"), ("[1..", "2", "]"), ("(< ", "2", ")"),
        ("matches(\"\", \"" + String(repeating: "(", count: 60), "a", String(repeating: ")*", count: 60) + "\")"),
    ])
    func nesting(open: String, middle: String, close: String) {
        for depth in [1, 10, 20, 30, 31, 32, 60, 62, 63, 64, 65, 200, 5000] {
            let source =
                String(repeating: open, count: depth) + middle + String(repeating: close, count: depth)
            _ = evaluate(source)
            onSmallStack {
                _ = try? UnaryTests(source, inputType: .any, in: Environment([])).matches(.number(1), [])
                _ = try? Expression(source, in: Environment([]), profile: .strict)
            }
        }
    }

    @Test func longSourcesCompileSoon() {
        let patterns = (0..<1500).map { "matches(\"\(String(repeating: "a", count: 24))\($0)\", \"(a*)*c\")" }
        _ = evaluate("[" + patterns.joined(separator: ",") + "]")
        _ = evaluate("{" + (0..<4096).map { "a\($0): {}" }.joined(separator: ",") + "}")
        _ = evaluate(String(repeating: "a b c d e f g ", count: 4000))
        let uses = Array(repeating: "a40", count: 4000).joined(separator: ",")
        _ = evaluate("{" + Self.doubledContexts + ", r: [" + uses + "]}")
    }
}
