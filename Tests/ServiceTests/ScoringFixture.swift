import JSON
import Models
import Testing

@testable import Service

/// A model whose predictions are seen at a glance, and bodies read for it.
enum ScoringFixture {
    /// 1000 + amount + 100 * colour, with a third input that counts nothing; missing is 0.
    static func model() throws -> ServedModel {
        let text = """
            {"type": "linear_regression", "version": 1, "features": ["amount", "colour", "flag"], "link": "identity",
             "impute": {"values": [0, 0, 0]}, "scale": {"mean": [0, 0, 0], "scale": [1, 1, 1]},
             "coef": [[1, 100, 0]], "intercept": [1000]}
            """
        return ServedModel(
            name: "price", version: 3, model: try Model.load(Array(text.utf8)), outputIndex: 0,
            inputs: [
                ModelInput(name: "amount", kind: .number, isDeclared: true, categories: []),
                ModelInput(name: "colour", kind: .category, isDeclared: true, categories: ["red", "green", "7"]),
                ModelInput(name: "flag", kind: .boolean, isDeclared: true, categories: []),
            ])
    }

    /// A model of one input: twice what it is given.
    static func narrowModel() throws -> ServedModel {
        let text = """
            {"type": "linear_regression", "version": 1, "features": ["x"], "link": "identity",
             "impute": {"values": [0]}, "scale": {"mean": [0], "scale": [1]}, "coef": [[2]], "intercept": [0]}
            """
        return ServedModel(
            name: "twice", version: 1, model: try Model.load(Array(text.utf8)), outputIndex: 0,
            inputs: [ModelInput(name: "x", kind: .number, isDeclared: false, categories: [])])
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
