import JSON
import Testing

@testable import Models

@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct AdditivityTests {
    /// Against the margins that scikit-learn gave, all rows.
    @Test(arguments: GoldenSet.all.filter { $0.name.hasPrefix("skl") })
    func contributionsAddUpToRecordedMargins(_ set: GoldenSet) throws {
        let model = try set.load(set.files[0])
        let rows = try #require(SharedData.json("data/models/" + set.golden)["rows"]?.array)
        #expect(rows.count >= 324)
        var prediction = model.makePrediction()
        for row in rows {
            let x = (row["x"]?.array ?? []).map { $0.double ?? .nan }
            let margin = (row["margin"]?.array ?? []).map { $0.double ?? .nan }
            let contributions = try #require(model.contributions(x))
            #expect(contributions.count == model.outputCount * (model.featureCount + 1))
            for output in margin.indices {
                let start = output * (model.featureCount + 1)
                let sum = contributions[start...(start + model.featureCount)].reduce(0, +)
                #expect(abs(sum - margin[output]) <= 1e-9 * max(1, abs(margin[output])))
                model.predict(x, into: &prediction)
                if model.format == .coefficients { #expect(sum == prediction.margin[output]) }
            }
        }
    }

    @Test func scorecardReasonsAreInPoints() throws {
        let model = try Model.load(SharedData.bytes("data/models/sklearn/skl_retail_scorecard.json"))
        let codes = try ReasonCodes([:], featureNames: model.featureNames)
        var prediction = model.makePrediction()
        for row in try PredictionTests.inputs("golden/skl_retail_scorecard.json") {
            let parts = try #require(model.partialPoints(row))
            #expect(parts.allSatisfy { $0.pointsBelowMax >= 0 && $0.pointsAboveMin >= 0 })
            let points = try #require(model.pointContributions(row, adverse: .lowerIsAdverse))
            let margins = try #require(model.contributions(row))
            model.predict(row, into: &prediction)
            let best = parts.reduce(488.6) { $0 + $1.maxPoints }
            #expect(abs(best + points.reduce(0, +) - prediction.points) < 1e-9)
            for (point, margin) in zip(points, margins) { #expect(abs(point / 28.85390081777927 - margin) < 1e-12) }
            let reasons = codes.strongest(points, adverse: .lowerIsAdverse, limit: 4, includesUnmapped: true)
            let strongest = parts.map(\.pointsBelowMax).filter { $0 > 0 }.sorted(by: >).prefix(4)
            #expect(reasons.map { -$0.contribution } == Array(strongest))
            let above = try #require(model.pointContributions(row, adverse: .higherIsAdverse))
            #expect(above == parts.map(\.pointsAboveMin))
        }
    }

    @Test func residualTellsADifference() throws {
        let model = try Model.load(SharedData.bytes("data/models/sklearn/skl_logistic.json"))
        var contributions = [Double](repeating: 0, count: 21)
        contributions[20] = 3
        #expect(model.additivityResidual(contributions, margin: [3]) == 0)
        #expect(model.additivityResidual(contributions, margin: [6]) == 1)
        contributions[0] = .nan
        #expect(model.additivityResidual(contributions, margin: [3]).isNaN)
        #expect(model.partialPoints([Double](repeating: 0, count: 20)) == nil)
        #expect(model.pointContributions([Double](repeating: 0, count: 20), adverse: .lowerIsAdverse) == nil)
    }
}
