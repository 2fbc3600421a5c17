import Decisions
import JSON
import Models

/// A model as published: which artifact, how its inputs are coded, which output is the score.
struct ModelDefinition: Sendable {
    /// SHA-256 of the artifact, lower-case hexadecimal.
    let artifact: String
    /// Category lists by input name.
    let categories: [String: [String]]
    /// Which of the model's outputs is the score; nil for the last, which is the positive class of a binary model.
    let output: Int?
    /// Whether only the iterations up to the best one count (XGBoost early stopping).
    let usesBestIteration: Bool

    /// Reads the `spec` of a `kind: Model` definition.
    static func parse(_ definition: Definition, at pointer: String, _ problems: ProblemList) -> ModelDefinition? {
        let before = problems.problems.count
        let reader = TreeReader(definition.spec, at: pointer + definition.specPointer, problems)
        let artifact = reader.object("artifact", required: true) { artifact -> String in
            let hash = artifact.string("sha256", required: true) ?? ""
            let isHash =
                hash.utf8.count == 64
                && hash.utf8.allSatisfy {
                    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
                }
            if !isHash { problems.add(artifact.path("sha256"), "invalid_hash", "64 lower-case hexadecimal digits") }
            return hash
        }
        var categories: [String: [String]] = [:]
        for member in reader.map("categories") {
            guard let items = member.value.array, !items.isEmpty else {
                problems.add(
                    reader.path("categories") + "/\(member.key)", "type_mismatch", "a list of texts is expected")
                continue
            }
            let names = items.compactMap(\.string)
            categories[member.key] = names
            if names.count != items.count {
                problems.add(
                    reader.path("categories") + "/\(member.key)", "type_mismatch", "a list of texts is expected")
            } else if Set(names).count != names.count {
                problems.add(reader.path("categories") + "/\(member.key)", "duplicate_value", "each text once")
            }
        }
        let output = reader.integer("output", in: 0...Int64(1_000))
        let iterations = reader.string("iterations") ?? "all"
        if iterations != "all" && iterations != "best" {
            problems.add(reader.path("iterations"), "value_not_allowed", "all, or best")
        }
        reader.finish()
        guard problems.problems.count == before, let artifact else { return nil }
        return ModelDefinition(
            artifact: artifact, categories: categories, output: output.map(Int.init),
            usesBestIteration: iterations == "best")
    }

    /// One input per feature of the artifact.
    func inputs(of model: Model) -> [ModelInput] {
        model.featureNames.enumerated().map { index, name in
            let table = categories[name] ?? model.categories[index]
            return ModelInput(
                name: name, kind: table == nil ? .number : .category, isDeclared: false, categories: table ?? [])
        }
    }

    /// What decisions need to know of it.
    func interface(_ model: Model, version: Int) -> ModelInterface {
        ModelInterface(version: version, features: model.featureNames, categories: categories)
    }
}
