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

    /// The row of a golden entry: texts become codes, an unknown text a code past the last.
    static func row(_ entry: JSONTree, _ model: Model) -> [Double] {
        (entry["x"]?.array ?? []).enumerated().map { feature, value in
            guard let text = value.string else { return value.double ?? .nan }
            guard let names = model.categories[feature] else { return Double(text) ?? .nan }
            return Double(names.firstIndex(of: text) ?? names.count)
        }
    }

    static func wanted(_ entry: JSONTree) -> [Double] {
        (entry["y"]?.array ?? []).map { $0.string.flatMap { Double($0) } ?? $0.double ?? .nan }
    }
}

struct OnnxTests {
    /// Fixtures whose results differ from the runtime's in the last bits, and by how much (relative above 1): matrix
    /// products and vector exponentials of the runtime's kernels run in an order of their own.
    static let tolerances: [String: Double] = [:]

    @Test func fixturesAreThere() throws {
        #expect(OnnxFixture.all.count == 43)
    }

    @Test(arguments: OnnxFixture.all)
    func agreesWithTheRuntime(_ fixture: OnnxFixture) throws {
        let model = try fixture.load()
        let golden = try fixture.golden()
        #expect(model.format == .onnx)
        #expect(model.featureNames == golden["names"]?.array?.compactMap(\.string))
        if let labels = golden["labels"]?.array { #expect(model.classLabels == labels.compactMap(\.string)) }
        let rows = golden["rows"]?.array ?? []
        #expect(rows.count >= 20)
        let tolerance = Self.tolerances[fixture.name] ?? 0
        var prediction = model.makePrediction()
        var different = 0
        var worst = 0.0
        for row in rows {
            let wanted = OnnxFixture.wanted(row)
            model.predict(OnnxFixture.row(row, model), into: &prediction)
            #expect(prediction.values.count == wanted.count)
            for (got, wanted) in zip(prediction.values, wanted) {
                let isSame = model.outputWidth == .float32 ? Float(got) == Float(wanted) : got == wanted
                if isSame || (got.isNaN && wanted.isNaN) { continue }
                different += 1
                let error = abs(got - wanted) / max(1, abs(wanted))
                worst = error <= worst ? worst : error
                #expect(error <= tolerance, "\(row): \(got)")
            }
            #expect(prediction.margin.elementsEqual(prediction.values) { $0 == $1 || ($0.isNaN && $1.isNaN) })
        }
        if ProcessInfo.processInfo.environment["MODELS_VERBOSE"] != nil {
            print("onnx", fixture.name, rows.count, different, worst)
        }
    }
}
