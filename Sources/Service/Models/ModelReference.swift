import JSON
import Models

extension ReferenceDistribution {
    /// Reads `{kind: numeric, edges, points, cells, missing}` or `{kind: categorical, categories, counts, other, missing}`.
    init?(_ reader: TreeReader) {
        let missing = reader.integer("missing", in: 0...DriftLimits.rowsMax) ?? 0
        do throws(DriftError) {
            switch reader.string("kind", required: true) {
            case "numeric":
                let edges = Self.numbers("edges", reader) { $0.double }
                let points = Self.numbers("points", reader) { $0.double }
                let cells = Self.numbers("cells", reader) { $0.int64 }
                self = .numeric(try NumericReference(edges: edges, points: points, cells: cells, missing: missing))
            case "categorical":
                let categories = reader.strings("categories", required: true) ?? []
                let counts = Self.numbers("counts", reader) { $0.int64 }
                let other = reader.integer("other", in: 0...DriftLimits.rowsMax) ?? 0
                self = .categorical(
                    try CategoricalReference(categories: categories, counts: counts, other: other, missing: missing))
            default:
                reader.problems.add(reader.path("kind"), "value_not_allowed", "numeric, or categorical")
                return nil
            }
        } catch {
            reader.problems.add(reader.pointer, error.code.rawValue, error.message)
            return nil
        }
    }

    private static func numbers<T>(_ key: String, _ reader: TreeReader, _ read: (JSONTree) -> T?) -> [T] {
        let items = reader.array(key, required: true) ?? []
        let numbers = items.compactMap(read)
        if numbers.count != items.count {
            reader.problems.add(reader.path(key), "type_mismatch", "a list of numbers is expected here")
        }
        return numbers
    }

    /// What `init(_:)` reads.
    var tree: JSONTree {
        func integers(_ counts: [Int64]) -> JSONTree { .array(counts.map(JSONTree.integer)) }
        func doubles(_ numbers: [Double]) -> JSONTree {
            .array(numbers.map { JSONNumber(shortest: $0).map(JSONTree.number) ?? .null })
        }
        switch self {
        case .numeric(let numeric):
            return .members([
                "kind": .string("numeric"), "edges": doubles(numeric.edges), "points": doubles(numeric.points),
                "cells": integers(numeric.cells), "missing": .integer(numeric.missing),
            ])
        case .categorical(let categorical):
            return .members([
                "kind": .string("categorical"), "categories": .array(categorical.categories.map(JSONTree.string)),
                "counts": integers(categorical.counts), "other": .integer(categorical.other),
                "missing": .integer(categorical.missing),
            ])
        }
    }
}

/// Distributions of the data that a model was made from: `card.reference`.
struct ModelReference: Sendable {
    /// By input.
    let features: [String: ReferenceDistribution]
    let score: ReferenceDistribution?

    init(features: [String: ReferenceDistribution], score: ReferenceDistribution?) {
        self.features = features
        self.score = score
    }

    /// Reads `{features: {name: distribution}, score: distribution}`.
    init(_ reader: TreeReader) {
        var features: [String: ReferenceDistribution] = [:]
        for member in reader.map("features", required: true) {
            let place = TreeReader(
                member.value, at: reader.path("features") + "/" + member.key.pointerToken, reader.problems)
            features[member.key] = ReferenceDistribution(place)
            place.finish()
        }
        self.features = features
        score = reader.object("score") { ReferenceDistribution($0) } ?? nil
    }

    /// What `init(_:)` reads.
    var tree: JSONTree {
        var members = [
            JSONTree.Member(
                key: "features",
                value: .object(
                    features.sorted { $0.key < $1.key }.map { JSONTree.Member(key: $0.key, value: $0.value.tree) }))
        ]
        if let score { members.append(JSONTree.Member(key: "score", value: score.tree)) }
        return .object(members)
    }
}

extension ModelReference {
    /// Makes distributions from rows of the training data: of every input that is a column, and of the score that the model
    /// gives the rows.
    init(csv: [UInt8], of served: ServedModel) throws(Problem) {
        let table: RowTable
        let coded: ServedModel.Coded
        do {
            let read = csv.withUnsafeBytes { bytes in
                Result { () throws(Problem) in try InvocationCSV(model: served).rows(bytes) }
            }
            table = try read.get()
            coded = try served.code(table)
        } catch let problem as Problem {
            throw ScoreRequest.refusal("/reference", problem.code, problem.detail)
        } catch let refusal as RowRefusal {
            let place = [refusal.row.map { "row \($0)" }, refusal.column].compactMap { $0 }.joined(separator: ", ")
            throw ScoreRequest.refusal("/reference", refusal.code, "\(place): \(refusal.message)")
        } catch {
            throw ScoreRequest.refusal("/reference", "invalid_rows", "the rows cannot be read")
        }
        do throws(DriftError) {
            features = try Self.features(served, coded, Set(table.columns ?? []))
            score = .numeric(try NumericReference(samples: Self.scores(served, coded)))
        } catch {
            throw ScoreRequest.refusal("/reference", error.code.rawValue, error.message)
        }
    }

    private static func features(
        _ served: ServedModel, _ coded: ServedModel.Coded, _ columns: Set<String>
    ) throws(DriftError) -> [String: ReferenceDistribution] {
        var features: [String: ReferenceDistribution] = [:]
        let width = served.inputs.count
        for (index, input) in served.inputs.enumerated() where columns.contains(input.name) {
            let rows = stride(from: index, to: coded.rowCount * width, by: width)
            if input.categories.isEmpty {
                let samples = rows.map { coded.marks[$0] == .value ? coded.numbers[$0] : .nan }
                features[input.name] = .numeric(try NumericReference(samples: samples))
            } else {
                let samples = rows.map { coded.marks[$0] == .value ? input.text(of: coded.numbers[$0]) : nil }
                features[input.name] = .categorical(try CategoricalReference(samples: samples))
            }
        }
        return features
    }

    private static func scores(_ served: ServedModel, _ coded: ServedModel.Coded) -> [Double] {
        var (scores, prediction) = (RowScores(), served.model.makePrediction())
        served.score(coded, rows: 0..<coded.rowCount, using: &prediction, into: &scores)
        return stride(from: served.outputIndex, to: scores.values.count, by: served.model.predictionCount).map {
            scores.values[$0]
        }
    }
}
