import JSON
import Models
import Testing

@testable import Service

/// A model whose predictions are seen at a glance, and bodies read for it.
enum ScoringFixture {
    /// 1000 + amount + 100 * colour, with a third input that counts nothing; missing is 0.
    static func model() throws -> ServedModel {
        try served(
            name: "price", version: 3,
            """
            {"type": "linear_regression", "version": 1, "features": ["amount", "colour", "flag"], "link": "identity",
             "impute": {"values": [0, 0, 0]}, "scale": {"mean": [0, 0, 0], "scale": [1, 1, 1]},
             "coef": [[1, 100, 0]], "intercept": [1000]}
            """,
            features: """
                [{"name": "amount", "type": "number"}, {"name": "flag", "type": "boolean"},
                 {"name": "colour", "type": "category", "categories": ["red", "green", "7"]}]
                """)
    }

    /// A model of one input: twice what it is given.
    static func narrowModel() throws -> ServedModel {
        try served(
            name: "twice", version: 1,
            """
            {"type": "linear_regression", "version": 1, "features": ["x"], "link": "identity",
             "impute": {"values": [0]}, "scale": {"mean": [0], "scale": [1]}, "coef": [[2]], "intercept": [0]}
            """, features: "[]")
    }

    private static func served(name: String, version: Int, _ artifact: String, features: String) throws -> ServedModel {
        let problems = ProblemList()
        let hash = String(repeating: "0a", count: 32)
        let spec = try Fixture.tree(#"{"artifact":{"sha256":"\#(hash)"},"features":\#(features)}"#)
        let definition = try #require(
            ModelDefinition.parse(Fixture.definition("Model", spec), at: "", problems), "\(problems.brief)")
        return try #require(
            definition.served(name: name, version: version, Model.load(Array(artifact.utf8)), problems),
            "\(problems.brief)")
    }

    /// Reads JSON text.
    static func with<R>(_ json: String, allowsNaN: Bool = false, _ body: (JSONValue) throws -> R) throws -> R {
        let document = try JSONDocument(Array(json.utf8), limits: JSONLimits(allowsNaN: allowsNaN))
        defer { withExtendedLifetime(document) {} }
        return try body(document.root)
    }

    /// Scores of rows.
    static func scores(_ table: RowTable, _ model: ServedModel) throws -> RowScores {
        let coded = try model.code(table)
        var (scores, prediction) = (RowScores(), model.model.makePrediction())
        if coded.rowCount > 0 {
            model.score(coded, rows: 0..<coded.rowCount, using: &prediction, into: &scores)
        }
        return scores
    }

    /// What a refusal says.
    static func refusal(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let problem as Problem {
            return problem.detail
        } catch {
            return "\(error)"
        }
    }
}
