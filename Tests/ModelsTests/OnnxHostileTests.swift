import Foundation
import Testing

@testable import Models

/// Writes protocol buffers by hand, to make ONNX files that no exporter makes.
struct OnnxBuilder {
    var bytes: [UInt8] = []

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func int(_ field: UInt64, _ value: Int64) {
        varint(field << 3)
        varint(UInt64(bitPattern: value))
    }

    mutating func bytes(_ field: UInt64, _ content: [UInt8]) {
        varint(field << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }

    mutating func text(_ field: UInt64, _ text: String) { bytes(field, Array(text.utf8)) }

    mutating func message(_ field: UInt64, _ fill: (inout OnnxBuilder) -> Void) {
        var inner = OnnxBuilder()
        fill(&inner)
        bytes(field, inner.bytes)
    }

    /// `TensorProto` with float elements.
    mutating func tensor(_ field: UInt64, _ name: String, _ dims: [Int64], _ floats: [Float]) {
        message(field) { tensor in
            for size in dims { tensor.int(1, size) }
            tensor.int(2, 1)
            tensor.bytes(4, floats.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) })
            tensor.text(8, name)
        }
    }

    /// `ValueInfoProto` of a tensor; a dimension of 0 is not fixed.
    mutating func value(_ field: UInt64, _ name: String, type: Int64 = 1, _ dims: [Int64]) {
        message(field) { info in
            info.text(1, name)
            info.message(2) { type_ in
                type_.message(1) { tensor in
                    tensor.int(1, type)
                    tensor.message(2) { shape in
                        for size in dims { shape.message(1) { if size != 0 { $0.int(1, size) } } }
                    }
                }
            }
        }
    }

    mutating func node(
        _ op: String, _ inputs: [String], _ outputs: [String], domain: String = "",
        _ attributes: (inout OnnxBuilder) -> Void = { _ in }
    ) {
        message(1) { node in
            for input in inputs { node.text(1, input) }
            for output in outputs { node.text(2, output) }
            node.text(4, op)
            attributes(&node)
            node.text(7, domain)
        }
    }

    /// An attribute of type int, or of the type given.
    mutating func attribute(_ name: String, _ value: Int64 = 0, type: Int64 = 2) {
        message(5) { attribute in
            attribute.text(1, name)
            attribute.int(3, value)
            attribute.int(20, type)
        }
    }

    /// `ModelProto` with one input `x` of two columns and one output `y`.
    static func model(
        opset: Int64 = 17, ml: Int64 = 3, input: Bool = true, _ fill: (inout OnnxBuilder) -> Void
    ) -> [UInt8] {
        var model = OnnxBuilder()
        model.int(1, 8)
        for (domain, version) in [("", opset), ("ai.onnx.ml", ml)] {
            model.message(8) {
                $0.text(1, domain)
                $0.int(2, version)
            }
        }
        model.message(7) { graph in
            fill(&graph)
            if input { graph.value(11, "x", [0, 2]) }
            graph.value(12, "y", [0, 2])
        }
        return model.bytes
    }
}

struct OnnxHostileTests {
    private func refusal(_ bytes: [UInt8], _ limits: ModelLimits = .standard) -> ModelError? {
        do throws(ModelError) {
            _ = try Model.load(bytes, limits: limits)
            return nil
        } catch {
            return error
        }
    }

    @Test func builtModelsLoad() throws {
        let bytes = OnnxBuilder.model { graph in
            graph.tensor(5, "c", [2], [1, 2])
            graph.node("Add", ["x", "c"], ["y"])
        }
        let model = try Model.load(bytes)
        var prediction = model.makePrediction()
        model.predict([3, 4], into: &prediction)
        #expect(prediction.values == [4, 6])
        #expect(model.objective == "graph" && model.featureNames == ["f0", "f1"] && model.classLabels == nil)
    }

    /// Every kind of graph that is not supported, and the code and the name it is refused with.
    static let refused: [(name: String, code: ModelError.Code, bytes: [UInt8], says: String)] = [
        ("operator", .unsupported, OnnxBuilder.model { $0.node("Conv", ["x"], ["y"]) }, "Conv"),
        (
            "ml operator", .unsupported,
            OnnxBuilder.model { $0.node("SVMRegressor", ["x"], ["y"], domain: "ai.onnx.ml") }, "SVMRegressor"
        ),
        (
            "domain", .unsupported, OnnxBuilder.model { $0.node("Add", ["x", "x"], ["y"], domain: "com.microsoft") },
            "com.microsoft"
        ),
        (
            "attribute", .unsupported,
            OnnxBuilder.model { $0.node("Add", ["x", "x"], ["y"]) { $0.attribute("axis") } }, "axis"
        ),
        (
            "attribute type", .wrongType,
            OnnxBuilder.model { $0.node("Concat", ["x", "x"], ["y"]) { $0.attribute("axis", type: 3) } }, "axis"
        ),
        (
            "subgraph", .wrongType,
            OnnxBuilder.model { $0.node("Concat", ["x"], ["y"]) { $0.attribute("axis", type: 5) } }, "axis"
        ),
        ("opset", .unsupported, OnnxBuilder.model(opset: 99) { $0.node("Identity", ["x"], ["y"]) }, "version 99"),
        ("ml opset", .unsupported, OnnxBuilder.model(ml: 77) { $0.node("Identity", ["x"], ["y"]) }, "version 77"),
        (
            "cycle", .missingField,
            OnnxBuilder.model { graph in
                graph.node("Add", ["x", "b"], ["a"])
                graph.node("Add", ["a", "x"], ["b"])
                graph.node("Identity", ["b"], ["y"])
            }, "'b' is not made"
        ),
        ("self loop", .missingField, OnnxBuilder.model { $0.node("Add", ["x", "y"], ["y"]) }, "'y'"),
        ("missing input", .missingField, OnnxBuilder.model { $0.node("Add", ["x", "z"], ["y"]) }, "'z'"),
        (
            "no input", .limitExceeded, OnnxBuilder.model(input: false) { $0.node("Identity", ["x"], ["y"]) },
            "0 features"
        ),
        ("no producer", .missingField, OnnxBuilder.model { $0.node("Identity", ["x"], ["z"]) }, "nothing makes"),
        (
            "twice", .invalidValue,
            OnnxBuilder.model { graph in
                graph.node("Identity", ["x"], ["y"])
                graph.node("Abs", ["x"], ["y"])
            }, "used twice"
        ),
        (
            "huge dims", .limitExceeded,
            OnnxBuilder.model { graph in
                graph.tensor(5, "c", [1 << 40, 1 << 40], [1])
                graph.node("Add", ["x", "c"], ["y"])
            }, "dimension"
        ),
        (
            "overflowing dims", .limitExceeded,
            OnnxBuilder.model { graph in
                graph.tensor(5, "c", [1 << 24, 1 << 24, 1 << 24], [1])
                graph.node("Add", ["x", "c"], ["y"])
            }, "elements"
        ),
        (
            "wrong count", .countMismatch,
            OnnxBuilder.model { graph in
                graph.tensor(5, "c", [3], [1])
                graph.node("Add", ["x", "c"], ["y"])
            }, "'c'"
        ),
        (
            "shapes", .countMismatch,
            OnnxBuilder.model { graph in
                graph.tensor(5, "c", [3], [1, 2, 3])
                graph.node("Add", ["x", "c"], ["y"])
            }, "fit together"
        ),
        (
            "dynamic shape", .unsupported,
            OnnxBuilder.model { graph in
                graph.node("Cast", ["x"], ["i"]) { $0.attribute("to", 7) }
                graph.node("Reshape", ["x", "i"], ["y"])
            }, "run time"
        ),
        (
            "free columns", .unsupported,
            OnnxBuilder.model(input: false) { graph in
                graph.value(11, "x", [0, 0])
                graph.node("Identity", ["x"], ["y"])
            }, "columns"
        ),
        (
            "fixed batch", .unsupported,
            OnnxBuilder.model(input: false) { graph in
                graph.value(11, "x", [5, 2])
                graph.node("Identity", ["x"], ["y"])
            }, "[N, columns]"
        ),
        (
            "half floats", .unsupported,
            OnnxBuilder.model(input: false) { graph in
                graph.value(11, "x", type: 10, [0, 2])
                graph.node("Identity", ["x"], ["y"])
            }, "'x'"
        ),
        (
            "many columns", .limitExceeded,
            OnnxBuilder.model(input: false) { graph in
                graph.value(11, "x", [0, 1 << 60])
                graph.node("Identity", ["x"], ["y"])
            }, "features"
        ),
        (
            "text output", .unsupported,
            OnnxBuilder.model(input: false) { graph in
                graph.value(11, "x", type: 8, [0, 2])
                graph.node("Identity", ["x"], ["y"])
            }, "string"
        ),
        (
            "axis", .indexOutOfRange,
            OnnxBuilder.model {
                $0.node("Concat", ["x", "x"], ["y"]) { $0.attribute("axis", .min) }
            }, "axis"
        ),
        (
            "functions", .unsupported, OnnxBuilder.model { $0.node("Identity", ["x"], ["y"]) } + [0xCA, 0x01, 0x00],
            "functions"
        ),
    ]

    @Test(arguments: refused.indices)
    func isRefusedByName(_ index: Int) {
        let entry = Self.refused[index]
        let error = refusal(entry.bytes)
        #expect(error?.code == entry.code, "\(entry.name): \(error.map(\.description) ?? "accepted")")
        #expect(error?.description.contains(entry.says) == true, "\(entry.name): \(error?.description ?? "")")
    }

    @Test func iterationsCannotBeChosen() throws {
        let bytes = try OnnxFixture(name: "boosting_binary").bytes()
        #expect(throws: ModelError.self) { try Model.load(bytes, iterations: .range(0..<1)) }
        #expect(try Model.load(bytes, iterations: .best).treeCount == 25)
    }

    /// Sizes that double with every operator stop at the limit.
    @Test func growthIsBounded() {
        let bytes = OnnxBuilder.model { graph in
            var name = "x"
            for index in 0..<60 {
                graph.node("Concat", [name, name], ["v\(index)"]) { $0.attribute("axis", 1) }
                name = "v\(index)"
            }
            graph.node("Identity", [name], ["y"])
        }
        #expect(refusal(bytes)?.code == .limitExceeded)
    }

    @Test func limitsHold() throws {
        let bytes = try OnnxFixture(name: "boosting_classes").bytes()
        let changes: [(inout ModelLimits) -> Void] = [
            { $0.fileBytesMax = 100 }, { $0.featuresMax = 3 }, { $0.treesMax = 3 }, { $0.nodesMax = 20 },
            { $0.onnxValuesMax = 500 }, { $0.onnxElementsMax = 8 }, { $0.onnxNodesMax = 1 }, { $0.outputsMax = 2 },
        ]
        for (index, change) in changes.enumerated() {
            var limits = ModelLimits()
            change(&limits)
            #expect(refusal(bytes, limits) != nil, "change \(index)")
        }
    }

    /// Cut off anywhere, a file is refused; what is cut off behind the graph may be nothing that matters.
    @Test(arguments: ["logistic_binary", "hand_both", "columns_text_imputer"])
    func everyTruncationIsRefused(_ name: String) throws {
        let bytes = try OnnxFixture(name: name).bytes()
        var accepted = 0
        for count in 0..<bytes.count where refusal(Array(bytes[..<count])) == nil { accepted += 1 }
        // The versions of the operators come last and may be left out where none is needed.
        #expect(accepted <= 2, "\(accepted) of \(bytes.count)")
    }

    /// Bytes are changed at random: refused or loaded, and what loads predicts.
    @Test(arguments: [
        "logistic_double", "hand_modes", "hand_encoders", "hand_tensors", "columns_text_imputer", "hist_classes",
    ])
    func randomByteChangesNeverTrap(_ name: String) throws {
        let original = try OnnxFixture(name: name).bytes()
        var random = SplitMix(state: 0x0E77)
        var refused = 0
        let rounds = 1_500
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 1..<bytes.count, using: &random)
                bytes[index] = random.next() % 2 == 0 ? UInt8.random(in: 0...255, using: &random) : bytes[index] ^ 1
            }
            guard let model = try? Model.load(bytes) else {
                refused += 1
                continue
            }
            var prediction = model.makePrediction()
            for value in [0, .nan, -1, 1e300, .infinity, -.infinity, 2.5] {
                model.predict([Double](repeating: value, count: model.featureCount), into: &prediction)
            }
        }
        #expect(refused > 0 && refused < rounds)
    }

    /// Every single bit of a small file.
    @Test func everyBitFlipIsSurvived() throws {
        let original = try OnnxFixture(name: "hand_both").bytes()
        for index in original.indices {
            for bit in 0..<8 {
                var bytes = original
                bytes[index] ^= 1 << bit
                guard let model = try? Model.load(bytes) else { continue }
                var prediction = model.makePrediction()
                model.predict([Double](repeating: 1, count: model.featureCount), into: &prediction)
            }
        }
    }
}
