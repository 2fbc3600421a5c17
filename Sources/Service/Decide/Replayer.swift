import Decisions
import FEEL
import Features
import JSON
import Synchronization

/// What the caller of a replay asks for: changes to the stored inputs and features, and how much to tell.
struct ReplayRequest: Sendable {
    /// By input name.
    var inputs: [(name: String, value: JSONTree)] = []
    /// By view and feature.
    var features: [(view: String, feature: String, value: JSONTree)] = []
    /// Cells in which a rule may have failed to be told; nil to tell none.
    var nearMissCells: Int64?
    /// Whether what moved the models' scores is told.
    var explains = false

    /// Reads `{"inputs": {...}, "features": {"view": {"feature": value}}, "near_misses": 1, "explain": true}`; an empty
    /// body changes nothing.
    init(_ body: UnsafeRawBufferPointer) throws(Problem) {
        guard !body.isEmpty else { return }
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: [UInt8](body))
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        inputs = reader.map("inputs").map { ($0.key, $0.value) }
        for view in reader.map("features") {
            guard let values = view.value.object else {
                problems.add("/features/\(view.key)", "type_mismatch", "an object of features is expected")
                continue
            }
            for feature in values { features.append((view.key, feature.key, feature.value)) }
        }
        nearMissCells = reader.integer("near_misses", in: 1...Int64(DecisionLimits.nearMissCellsMax))
        explains = reader.bool("explain")
        reader.finish()
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
    }
}

/// A replayed record beside the stored one.
struct Replayed: Sendable {
    let isIdentical: Bool
    let recorded: JSONTree
    /// With the rules that nearly matched as a further member, `near_misses`, where they were asked for.
    let replayed: JSONTree
    /// What moved the scores, where it was asked for: of every model that answered.
    let explanations: [(served: ServedModel, explanation: ModelExplanation)]
}

/// Evaluates stored records again, under the versions that they name.
final class Replayer: Sendable {
    private struct VersionKey: Hashable {
        let decision: String
        let version: Int
        let models: [String: Int]
        let views: [String: Int]
    }

    private struct Compiled: Sendable {
        let decision: CompiledDecision
        let models: [String: ModelState]
        /// The models that load, with their inputs and reasons.
        let served: [String: ServedModel]
    }

    private let history: DefinitionHistory
    private let artifacts: ArtifactStore
    private let zones: ZoneFiles
    private let cache = Mutex<[VersionKey: Compiled]>([:])
    /// Compiled versions kept; past it the cache starts anew.
    private static let cacheMax = 64

    init(history: DefinitionHistory, artifacts: ArtifactStore, zones: ZoneFiles) {
        self.zones = zones
        self.history = history
        self.artifacts = artifacts
    }

    /// Replays one record.
    func replay(_ bytes: [UInt8], _ request: ReplayRequest) throws(Problem) -> Replayed {
        if let stored = try? JSONTree(parsing: bytes) { try check(request, against: stored) }
        guard let tree = try? JSONTree(parsing: bytes),
            let document = try? JSONDocument(changed(tree, request, bytes)),
            let record = RecordedDecision(document.root)
        else { throw Problem(500, "record_unreadable", "The stored record does not parse.") }
        let compiled = try compile(record)
        if !request.inputs.isEmpty { try checkInputs(document.root, compiled.decision) }
        guard let inputs = record.inputValues(compiled.decision) else {
            throw Problem(422, "inputs_do_not_fit", "The record's inputs do not fit the decision's types.")
        }
        var steps = RecordedSteps(record.steps)
        var scratch = DecisionScratch()
        let result = compiled.decision.evaluate(
            inputs: inputs, features: record.featureValues(compiled.decision),
            models: { compiled.models[$0] ?? .withdrawn }, steps: &steps, now: record.asOfMicros,
            scratch: &scratch)
        let evidence = record.inputBytes.withUnsafeBytes { inputs in
            record.featureBytes.withUnsafeBytes { DecisionEncoding.evidence(inputs: inputs, features: $0) }
        }
        var writer = JSONWriter(capacity: 1024)
        DecisionEncoding.result(compiled.decision, result, evidence: evidence, to: &writer)
        let fresh = writer.finish()
        var replayed = tree.setting(["result"], try Self.tree(fresh))
        if let cells = request.nearMissCells {
            var writer = JSONWriter()
            let rules = compiled.decision.nearMisses(now: record.asOfMicros, cells: Int(cells), scratch: scratch)
            DecisionEncoding.nearMisses(rules, to: &writer)
            replayed = replayed.setting(["near_misses"], try Self.tree(writer.finish()))
        }
        let explained = request.explains ? scratch.scoredRows : []
        return Replayed(
            isIdentical: fresh == record.resultBytes, recorded: tree, replayed: replayed,
            explanations: explained.compactMap { row in
                compiled.served[row.model.name].map { ($0, ModelExplanation($0, row: row.numbers)) }
            })
    }

    /// What was written, to be masked for its reader.
    private static func tree(_ written: [UInt8]) throws(Problem) -> JSONTree {
        guard let tree = try? JSONTree(parsing: written) else {
            throw Problem(500, "replay_unreadable", "The replayed result does not parse.")
        }
        return tree
    }

    /// An override must change something that the record holds.
    private func check(_ request: ReplayRequest, against record: JSONTree) throws(Problem) {
        var problems: [DocumentProblem] = []
        for input in request.inputs where record["inputs"]?[input.name] == nil {
            problems.append(
                DocumentProblem(
                    pointer: "/inputs/\(input.name)", code: "unknown_input", message: "the record has no such input"))
        }
        for change in request.features {
            switch change.value {
            case .null, .string, .bool: break
            case .number(let number) where number.double.isFinite: break
            default:
                problems.append(
                    DocumentProblem(
                        pointer: "/features/\(change.view)/\(change.feature)", code: "type_mismatch",
                        message: "a number, a text, true, false or null"))
            }
            let held = record["features"]?[change.view]?["values"]?[change.feature]
            switch (change.value, held) {
            case (.string, .number), (.bool, .number), (.bool, .string), (.string, .bool), (.number, .bool):
                problems.append(
                    DocumentProblem(
                        pointer: "/features/\(change.view)/\(change.feature)", code: "type_mismatch",
                        message: "the record holds another kind of value here"))
            default: break
            }
        }
        for change in request.features where record["features"]?[change.view]?["values"]?[change.feature] == nil {
            problems.append(
                DocumentProblem(
                    pointer: "/features/\(change.view)/\(change.feature)", code: "unknown_feature",
                    message: "the record has no such feature"))
        }
        if !problems.isEmpty { throw Problem.invalid(problems) }
    }

    /// Overridden inputs must be what the decision would take.
    private func checkInputs(_ record: JSONValue, _ decision: CompiledDecision) throws(Problem) {
        let problems = ProblemList()
        guard let inputs = record["inputs"], decision.readInputs(inputs, problems) != nil else {
            throw Problem.invalid(problems.problems)
        }
    }

    /// The record with the changes put in; without any, the bytes as stored.
    private func changed(_ tree: JSONTree, _ request: ReplayRequest, _ bytes: [UInt8]) -> [UInt8] {
        guard !request.inputs.isEmpty || !request.features.isEmpty else { return bytes }
        var tree = tree
        for input in request.inputs { tree = tree.setting(["inputs", input.name][...], input.value) }
        for feature in request.features {
            tree = tree.setting(["features", feature.view, "values", feature.feature][...], feature.value)
        }
        return tree.bytes
    }

    private func compile(_ record: RecordedDecision) throws(Problem) -> Compiled {
        let key = VersionKey(
            decision: record.decision, version: record.version, models: record.models, views: record.views)
        if let known = cache.withLock({ $0[key] }) { return known }
        guard
            let entry = history.entry(
                DefinitionKey(kind: .decision, name: record.decision), version: record.version),
            let spec = DecisionSpec.parse(entry.definition.spec, at: "", ProblemList())
        else { throw Problem(410, "version_unknown", "This machine does not know the decision's version any more.") }
        var states: [String: ModelState] = [:]
        var interfaces: [String: ModelInterface] = [:]
        var served: [String: ServedModel] = [:]
        for name in spec.modelNames { load(name, record.models[name], &states, &interfaces, &served) }
        let problems = ProblemList()
        let decision = DecisionCompiler.compile(
            name: record.decision, version: record.version, spec: spec, at: "", problems,
            zones: zones.offsets, views: { self.view($0, record.views[$0]) }, models: { interfaces[$0] })
        guard let decision else {
            throw Problem(
                410, "version_unknown", "A version that the record names is not known any more.",
                errors: problems.problems)
        }
        let compiled = Compiled(decision: decision, models: states, served: served)
        cache.withLock { cache in
            if cache.count >= Self.cacheMax { cache.removeAll() }
            cache[key] = compiled
        }
        return compiled
    }

    private func view(_ name: String, _ version: Int?) -> ViewInterface? {
        let key = DefinitionKey(kind: .featureView, name: name)
        guard let version, let entry = history.entry(key, version: version),
            let contract = entry.definition.spec["contract"]?.string
        else { return nil }
        let contracts = history.entries(DefinitionKey(kind: .dataContract, name: contract))
        let schema = contracts.last { $0.fromSeq <= entry.fromSeq } ?? contracts.first
        let parsed = FeatureViewDefinition.parse(
            entry.definition, at: "", ProblemList(), zones: zones.offsets,
            contracts: { _ in schema.map { StreamSchema(events: $0.definition.document) } })
        return parsed?.interface
    }

    private func load(
        _ name: String, _ version: Int?, _ states: inout [String: ModelState],
        _ interfaces: inout [String: ModelInterface], _ found: inout [String: ServedModel]
    ) {
        let key = DefinitionKey(kind: .model, name: name)
        let entry = version.flatMap { history.entry(key, version: $0) } ?? history.entries(key).last
        guard let entry, let definition = ModelDefinition.parse(entry.definition, at: "", ProblemList()) else { return }
        let number = entry.definition.version
        switch artifacts.model(sha256: definition.artifact, usesBestIteration: definition.usesBestIteration) {
        case .loaded(let model):
            guard let served = definition.served(name: name, version: number, model, ProblemList()) else { return }
            interfaces[name] = served.interface
            // Rows are few here and may have to be explained.
            states[name] = .ready(served.loaded(keepsRows: true))
            found[name] = served
        case .missing:
            interfaces[name] = ModelInterface(version: number, features: nil, categories: [:])
            states[name] = .missing(version: number)
        case .corrupt:
            interfaces[name] = ModelInterface(version: number, features: nil, categories: [:])
            states[name] = .corrupt(version: number)
        }
    }
}

extension JSONTree {
    /// The tree with one member changed; a path that does not exist is added.
    func setting(_ path: ArraySlice<String>, _ value: JSONTree) -> JSONTree {
        guard let key = path.first else { return value }
        var members = object ?? []
        if let index = members.firstIndex(where: { $0.key == key }) {
            members[index].value = members[index].value.setting(path.dropFirst(), value)
        } else {
            members.append(Member(key: key, value: JSONTree.object([]).setting(path.dropFirst(), value)))
        }
        return .object(members)
    }
}
