import Testing

@testable import Models

struct ReasonCodesTests {
    static let names = ["age", "income", "late_30d", "late_90d", "region", "tenure"]

    static func codes(_ entries: [String: ReasonCodes.Entry]) throws -> ReasonCodes {
        try ReasonCodes(entries, featureNames: names)
    }

    static func standard() throws -> ReasonCodes {
        try codes([
            "age": .init(code: "R1", text: "Age"),
            "income": .init(code: "R2", text: "Income", adverseText: "Income is low"),
            "late_30d": .init(code: "R3", text: "Late in 30 days", adverseText: "Paid late lately"),
            "late_90d": .init(code: "R3", text: "Late in 90 days"),
            "tenure": .init(code: "R4", text: "Tenure"),
        ])
    }

    typealias Case = (contributions: [Double], adverse: AdverseDirection, limit: Int, codes: [String], sums: [Double])

    static let cases: [Case] = [
        ([0.1, 0.5, 0.2, 0.25, 9, -1], .higherIsAdverse, 4, ["R2", "R3", "R1"], [0.5, 0.45, 0.1]),
        ([0.1, 0.5, 0.2, 0.25, 9, -1], .higherIsAdverse, 2, ["R2", "R3"], [0.5, 0.45]),
        ([0.1, 0.5, 0.2, 0.25, 9, -1], .higherIsAdverse, 0, [], []),
        ([0.1, 0.5, 0.2, 0.25, 9, -1], .lowerIsAdverse, 4, ["R4"], [-1]),
        // Equal ones in the order of features; zeros and NaN never.
        ([1, 1, 0.5, 0.5, 0, 1], .higherIsAdverse, 9, ["R1", "R2", "R3", "R4"], [1, 1, 1, 1]),
        ([0, -0.0, 0, 0, 0, 0], .higherIsAdverse, 9, [], []),
        ([.nan, 1, .nan, 5, 0, 0], .higherIsAdverse, 9, ["R2"], [1]),
        // A member in favour counts against its group.
        ([0, 0.1, 1, -2, 0, 0], .higherIsAdverse, 9, ["R2"], [0.1]),
        ([0, -0.1, 1, -2, 0, 0], .lowerIsAdverse, 9, ["R3", "R2"], [-1, -0.1]),
    ]

    @Test(arguments: cases)
    func picksTheStrongest(
        _ contributions: [Double], _ adverse: AdverseDirection, _ limit: Int, _ codes: [String], _ sums: [Double]
    ) throws {
        let reasons = try Self.standard().strongest(contributions, adverse: adverse, limit: limit)
        #expect(reasons.map(\.code) == codes)
        #expect(reasons.map(\.contribution) == sums)
    }

    @Test func textsAreThoseOfTheStrongestMember() throws {
        let codes = try Self.standard()
        func reason(_ contributions: [Double]) throws -> ReasonCode {
            try #require(codes.strongest(contributions, adverse: .higherIsAdverse, limit: 1).first)
        }
        #expect(try reason([0, 1, 0, 0, 0, 0]).text == "Income is low")
        #expect(try reason([1, 0, 0, 0, 0, 0]).text == "Age")
        #expect(
            try reason([0, 0, 2, 1, 0, 0])
                == ReasonCode(code: "R3", text: "Paid late lately", features: [2, 3], contribution: 3))
        #expect(try reason([0, 0, 1, 2, 0, 0]).text == "Late in 90 days")
        #expect(try reason([0, 0, 0, 2, 0, 0]).features == [3])
    }

    @Test func unmappedFeaturesAreListedWhenAsked() throws {
        let reasons = try Self.standard().strongest(
            [0.1, 0.5, 0.2, 0.25, 9, -1], adverse: .higherIsAdverse, limit: 2, includesUnmapped: true)
        #expect(reasons.map(\.code) == ["region", "R2"])
        #expect(reasons[0] == ReasonCode(code: "region", text: "region", features: [4], contribution: 9))
    }

    @Test func groupsJoinCodes() throws {
        let codes = try Self.codes([
            "late_30d": .init(code: "L30", text: "a", group: "late"),
            "late_90d": .init(code: "L90", text: "b", group: "late"),
            "age": .init(code: "late", text: "c"),
        ])
        let reasons = codes.strongest([1, 0, 1, 2, 0, 0], adverse: .higherIsAdverse, limit: 9)
        #expect(reasons.map(\.code) == ["L90", "late"])
        #expect(reasons.map(\.contribution) == [3, 1])
    }

    @Test func mistakesAreRefused() {
        #expect(throws: ReasonCodeError.unknownFeature("agee")) {
            try Self.codes(["agee": .init(code: "R1", text: "")])
        }
        #expect(throws: ReasonCodeError.emptyCode(feature: "age")) {
            try Self.codes(["age": .init(code: "", text: "")])
        }
        #expect(throws: ReasonCodeError.groupsDiffer(code: "R1")) {
            try Self.codes(["age": .init(code: "R1", text: ""), "income": .init(code: "R1", text: "", group: "g")])
        }
    }
}
