import Foundation
import JSON
import Testing

@testable import Models

/// A model of `Fixtures/onnx` with the answers of ONNX Runtime (`make_onnx_fixtures.py`).
struct OnnxFixture: CustomStringConvertible, Sendable {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/onnx")

    /// Names of all fixtures, in order.
    static let all: [OnnxFixture] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return files.filter { $0.hasSuffix(".onnx") }.sorted().map { OnnxFixture(name: String($0.dropLast(5))) }
    }()

    let name: String

    var description: String { name }

    func bytes() throws -> [UInt8] {
        [UInt8](try Data(contentsOf: Self.directory.appendingPathComponent(name + ".onnx")))
    }

    func golden() throws -> JSONTree {
        try JSONTree(parsing: [UInt8](Data(contentsOf: Self.directory.appendingPathComponent(name + ".json"))))
    }

    func load() throws -> Model { try Model.load(bytes()) }

    /// The row of a golden entry: texts become codes, the empty text a missing value, an unknown one a code
    /// past the last.
    static func row(_ entry: JSONTree, _ model: Model) -> [Double] {
        (entry["x"]?.array ?? []).enumerated().map { feature, value in
            guard let text = value.string else { return value.double ?? .nan }
            guard let names = model.categories[feature] else { return Double(text) ?? .nan }
            if text.isEmpty { return .nan }
            return Double(names.firstIndex(of: text) ?? names.count)
        }
    }

    static func wanted(_ entry: JSONTree) -> [Double] {
        (entry["y"]?.array ?? []).map { $0.string.flatMap { Double($0) } ?? $0.double ?? .nan }
    }
}

struct OnnxTests {
    /// Fixtures whose results differ from the runtime's in the last bits, and by how much (relative above 1): its kernels
    /// approximate `Exp`, `Softmax`, `Tanh` and the logistic function of doubles, and order long sums, in a way of their
    /// own. All others are met bit for bit.
    static let tolerances: [String: Double] = ["poisson": 3e-7, "logistic_double": 2e-16, "hand_tensors": 2e-7]

    @Test func fixturesAreThere() throws {
        #expect(OnnxFixture.all.count == 45)
    }

    @Test(arguments: OnnxFixture.all)
    func agreesWithTheRuntime(_ fixture: OnnxFixture) throws {
        let model = try fixture.load()
        let golden = try fixture.golden()
        #expect(model.format == .onnx)
        #expect(model.featureNames == golden["names"]?.array?.compactMap(\.string))
        #expect(model.classLabels == golden["labels"]?.array?.compactMap(\.string))
        let rows = golden["rows"]?.array ?? []
        #expect(rows.count >= 20)
        let tolerance = Self.tolerances[fixture.name] ?? 0
        var prediction = model.makePrediction()
        var different = 0
        var worst = 0.0
        for (index, row) in rows.enumerated() {
            let wanted = OnnxFixture.wanted(row)
            model.predict(OnnxFixture.row(row, model), into: &prediction)
            #expect(prediction.values.count == wanted.count)
            for (got, wanted) in zip(prediction.values, wanted) {
                let isSame = model.outputWidth == .float32 ? Float(got) == Float(wanted) : got == wanted
                if isSame || (got.isNaN && wanted.isNaN) { continue }
                different += 1
                let error = abs(got - wanted) / max(1, abs(wanted))
                worst = error <= worst ? worst : error
                #expect(error <= tolerance, "row \(index): \(got), not \(wanted)")
            }
            #expect(prediction.margin.elementsEqual(prediction.values) { $0 == $1 || ($0.isNaN && $1.isNaN) })
        }
        if ProcessInfo.processInfo.environment["MODELS_VERBOSE"] != nil {
            print("onnx", fixture.name, rows.count, different, worst)
        }
    }

    @Test(arguments: OnnxFixture.all)
    func batchEqualsSingle(_ fixture: OnnxFixture) throws {
        let model = try fixture.load()
        let rows = (try fixture.golden()["rows"]?.array ?? []).map { OnnxFixture.row($0, model) }
        var prediction = model.makePrediction()
        var margins = [Double](repeating: -1, count: rows.count * model.outputCount)
        var values = margins
        rows.flatMap { $0 }.withUnsafeBufferPointer { flat in
            margins.withUnsafeMutableBufferPointer { margins in
                values.withUnsafeMutableBufferPointer { values in
                    model.predictBatch(flat, using: &prediction, margins: margins, values: values)
                }
            }
        }
        var singles: [UInt64] = []
        for row in rows {
            model.predict(row, into: &prediction)
            singles += prediction.values.map(\.bitPattern)
        }
        #expect(values.map(\.bitPattern) == singles)
        #expect(margins.map(\.bitPattern) == singles)
    }

    /// A column of texts is a feature whose categories are those of its encoder.
    @Test func categoriesAreThoseOfTheEncoders() throws {
        let contracts = ["Month-to-month", "One year", "Two year"]
        for name in ["columns_one_hot", "columns_ordinal", "columns_text_imputer"] {
            let model = try OnnxFixture(name: name).load()
            let contract = try #require(model.featureNames.firstIndex(of: "Contract"))
            #expect(model.categories[contract] == contracts, "\(name)")
            if let tenure = model.featureNames.firstIndex(of: "tenure") { #expect(model.categories[tenure] == nil) }
        }
        let hand = try OnnxFixture(name: "hand_encoders").load()
        #expect(hand.featureNames == ["x_0", "x_1", "x_2", "word", "n"])
        #expect(hand.categories[3] == ["red", "green", "blue", "grey"])
    }

    @Test func theModelIsDescribed() throws {
        let forest = try OnnxFixture(name: "forest_binary").load()
        #expect(forest.objective == "TreeEnsembleClassifier" && forest.treeCount == 20)
        #expect(forest.predictionCount == 2 && forest.outputCount == 2 && forest.outputWidth == .float32)
        #expect(forest.featureNames == ["f0", "f1", "f2", "f3", "f4", "f5"] && forest.iterationCount == 0)
        var prediction = forest.makePrediction()
        let row = [Double](repeating: 1, count: 6)
        #expect(forest.contributions(row) == nil && forest.leafIndices(row, using: &prediction) == nil)
        #expect(try OnnxFixture(name: "linear_double").load().outputWidth == .float64)
        #expect(try OnnxFixture(name: "poisson").load().objective == "graph")
    }

    /// A code that is none of the categories is a text that no encoder looks for.
    @Test func unknownCodesAreUnknownTexts() throws {
        let model = try OnnxFixture(name: "columns_one_hot").load()
        var prediction = model.makePrediction()
        var wanted: [Double]?
        for code in [3, 4, -1, 0.5, 1e300, -Double.infinity] {
            model.predict([1, 2, 3, code, 0, 0], into: &prediction)
            #expect(wanted == nil || wanted == prediction.values, "\(code)")
            wanted = prediction.values
        }
        model.predict([1, 2, 3, 0, 0, 0], into: &prediction)
        #expect(prediction.values != wanted)
    }
}
