import Foundation
import JSON
import Testing

@testable import Models

@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct HostileTests {
    static let manifest = (try? SharedData.json("data/models/hostile/manifest.json")) ?? .null

    /// The code each file must be refused with: by name, not by accident.
    static let codes: [String: ModelError.Code] = [
        "truncated_mid.json": .invalidJSON, "truncated_last_byte.json": .invalidJSON, "empty.json": .empty,
        "not_json.json": .unrecognizedFormat, "root_array.json": .unrecognizedFormat,
        "invalid_utf8.json": .invalidJSON, "deep_nesting.json": .invalidJSON, "nan_threshold.json": .notFinite,
        "null_threshold.json": .wrongType, "overflow_leaf.json": .notFinite,
        "strings_in_children.json": .wrongType, "short_array.json": .countMismatch,
        "cycle_to_root.json": .nodeReachedTwice, "self_loop.json": .nodeReachedTwice,
        "shared_child.json": .nodeReachedTwice, "child_out_of_range.json": .indexOutOfRange,
        "child_negative.json": .indexOutOfRange, "split_index_out_of_range.json": .indexOutOfRange,
        "split_index_negative.json": .indexOutOfRange, "huge_num_nodes.json": .limitExceeded,
        "huge_num_feature.json": .invalidValue, "tree_info_out_of_range.json": .indexOutOfRange,
        "num_trees_mismatch.json": .countMismatch, "unknown_objective.json": .unknownObjective,
        "bad_base_score.json": .invalidValue, "category_segment_out_of_range.json": .indexOutOfRange,
        "truncated.ubj": .invalidUBJSON, "array_length_bomb.ubj": .invalidUBJSON,
        "negative_length.ubj": .invalidUBJSON, "null_array_bomb.ubj": .invalidUBJSON,
        "string_length_bomb.ubj": .invalidUBJSON, "unknown_marker.ubj": .invalidUBJSON,
        "truncated.txt": .invalidText, "cycle.txt": .nodeReachedTwice, "child_out_of_range.txt": .indexOutOfRange,
        "leaf_out_of_range.txt": .indexOutOfRange, "nan_threshold.txt": .notFinite,
        "huge_num_leaves.txt": .limitExceeded, "leaf_value_text.txt": .invalidValue,
    ]

    @Test func everyHostileFileIsRefusedByName() throws {
        let entries = Self.manifest["reject"]?.array ?? []
        #expect(entries.count == 39)
        for entry in entries {
            let file = entry["file"]?.string ?? ""
            let bytes = try SharedData.bytes("data/models/hostile/" + file)
            let error = Self.refusal(of: bytes)
            #expect(error?.code == Self.codes[file], "\(file): \(error.map(String.init(describing:)) ?? "accepted")")
        }
    }

    private static func refusal(of bytes: [UInt8]) -> ModelError? {
        do throws(ModelError) {
            _ = try Model.load(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func everyControlLoads() throws {
        let entries = Self.manifest["controls"]?.array ?? []
        #expect(entries.count == 10)
        for entry in entries {
            let file = entry["file"]?.string ?? ""
            let model = try Model.load(SharedData.bytes("data/models/hostile/" + file))
            var prediction = model.makePrediction()
            model.predict([Double](repeating: 1, count: model.featureCount), into: &prediction)
            #expect(prediction.values.allSatisfy { $0.isFinite }, "\(file)")
        }
    }

    /// Single bytes of small valid models are changed at random: refused or loaded, and what loads predicts.
    @Test(arguments: [
        "ok_base.json", "ok_base.ubj", "ok_base.txt", "ok_categorical.json", "ok_categorical.txt", "ok_dart.json",
    ])
    func randomByteChangesNeverTrap(_ file: String) throws {
        let original = try SharedData.bytes("data/models/hostile/" + file)
        var random = SplitMix(state: 0x5EED)
        var refused = 0
        let rounds = 1_500
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] = random.next() % 2 == 0 ? UInt8.random(in: 0...255, using: &random) : bytes[index] ^ 1
            }
            if random.next() % 16 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
            guard let model = try? Model.load(bytes) else {
                refused += 1
                continue
            }
            var prediction = model.makePrediction()
            for value in [0, .nan, -1, 1e300, .infinity, -.infinity] {
                model.predict([Double](repeating: value, count: model.featureCount), into: &prediction)
                _ = model.leafIndices([Double](repeating: value, count: model.featureCount), using: &prediction)
            }
        }
        #expect(refused > 0 && refused < rounds)
    }

    @Test func limitsHoldBeforeAllocation() throws {
        let bytes = try SharedData.bytes("data/models/hostile/ok_base.json")
        var limits = ModelLimits()
        limits.fileBytesMax = 100
        #expect(throws: ModelError.self) { try Model.load(bytes, limits: limits) }
        limits = ModelLimits()
        limits.nodesMax = 5
        #expect(throws: ModelError.self) { try Model.load(bytes, limits: limits) }
        limits = ModelLimits()
        limits.featuresMax = 2
        #expect(throws: ModelError.self) { try Model.load(bytes, limits: limits) }
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
