import Access
import Contracts
import Decisions
import FEEL
import Features
import JSON
import Models

/// Turns a set of definitions into a `Snapshot`; everything that does not fit becomes a problem with a pointer.
struct SnapshotCompiler {
    /// Loads a model's artifact; nil when it is not on this machine.
    let artifacts: ArtifactStore
    let store: FeatureStore
    let zones: ZoneFiles
    /// The snapshot before: what has not changed is taken over from it.
    let previous: Snapshot
    private let problems: ProblemList
    private let pointers: [DefinitionKey: String]
    /// A model of which another version becomes champion.
    private let promoted: String?
    private var current: [DefinitionKey: Definition] = [:]
    private var contracts: [String: ContractEntry] = [:]
    /// The views of these definitions, whether they are served yet or not: what decisions are checked against.
    private var targets: [String: ViewEntry] = [:]
    private var views: [String: ViewEntry] = [:]
    private var building: [String: ViewEntry] = [:]
    private let isReady: (_ view: String, _ version: Int) -> Bool
    private var models: [String: ModelState] = [:]
    private var served: [String: ServedModel] = [:]
    private var modelInterfaces: [String: ModelInterface] = [:]
    private var decisions: [String: DecisionEntry] = [:]
    private var decisionSpecs: [String: DecisionSpec] = [:]
    private var waiting: [String: String] = [:]
    private var measures = BuiltInMeasures.all
    private var kpis: [String: KPIDefinition] = [:]
    private var policies: [Policy] = []
    private var unusable: [DefinitionKey: [DocumentProblem]] = [:]

    /// - Parameter isReady: whether a version of a view has every event that it should; one that has not is fed, not served.
    init(
        artifacts: ArtifactStore, store: FeatureStore, zones: ZoneFiles, previous: Snapshot,
        problems: ProblemList = ProblemList(), pointers: [DefinitionKey: String] = [:], promoted: String? = nil,
        isReady: @escaping (_ view: String, _ version: Int) -> Bool = { _, _ in true }
    ) {
        self.artifacts = artifacts
        self.store = store
        self.zones = zones
        self.previous = previous
        self.problems = problems
        self.pointers = pointers
        self.promoted = promoted
        self.isReady = isReady
    }

    /// Compiles all of `definitions`.
    ///
    /// - Parameters:
    ///   - definitions: active versions.
    ///   - retired: last versions of retired models, which decisions may still name.
    ///   - isLenient: at recovery a definition that does not compile is set aside instead of failing the whole.
    /// - Returns: nil when there were problems; what was added to the store goes with its entries.
    mutating func compile(
        _ definitions: [DefinitionKey: Definition], retired: [DefinitionKey: Definition], isLenient: Bool
    ) -> Snapshot? {
        current = definitions
        for kind in DefinitionKind.compileOrder {
            for key in definitions.keys.filter({ $0.kind == kind }).sorted(by: { $0.name < $1.name }) {
                guard let definition = definitions[key] else { continue }
                let before = problems.problems.count
                compile(definition, isLenient: isLenient)
                if isLenient && problems.problems.count > before {
                    unusable[key] = Array(problems.problems[before...])
                }
            }
            if kind == .model { addRetired(retired) }
            if kind == .dataContract { checkReferences() }
            if kind == .featureView { checkEntities() }
        }
        let policySet = self.policySet()
        guard isLenient || problems.isEmpty else {
            return nil
        }
        var kept = definitions
        for (key, definition) in retired where kept[key] == nil { kept[key] = definition }
        return Snapshot(
            definitions: kept.filter { definitions[$0.key] != nil }, contracts: contracts, views: views, models: models,
            decisions: decisions, measures: measures, kpis: kpis, policies: policySet, unusable: unusable,
            building: building, waiting: waiting, served: served)
    }

    private func policySet() -> PolicySet {
        do throws(AccessError) {
            return try PolicySet(policies)
        } catch {
            for issue in error.issues { problems.add("/definitions" + issue.pointer, issue.code, issue.message) }
            return .none
        }
    }

    private mutating func compile(_ definition: Definition, isLenient: Bool) {
        let pointer = pointers[definition.key] ?? ""
        switch definition.key.kind {
        case .dataContract: compileContract(definition, pointer)
        case .featureView: compileView(definition, pointer)
        case .model: compileModel(definition, pointer, isLenient: isLenient)
        case .decision: compileDecision(definition, pointer)
        case .measure:
            if BuiltInMeasures.all[definition.key.name] != nil {
                return problems.add(pointer + "/name", "reserved_name", "a built-in measure has this name")
            }
            measures[definition.key.name] = MeasureDefinition.parse(
                definition, at: pointer, problems, profile: pointers[definition.key] == nil ? .closed : .strict,
                zones: zones.offsets, schemas: schema)
        case .kpi:
            let (measures, zones) = (measures, zones)
            kpis[definition.key.name] = KPIDefinition.parse(
                definition, at: pointer, problems, hasMeasure: { measures[$0] != nil },
                hasZone: { zones.rules($0) != nil })
        case .policy:
            do {
                policies.append(
                    try Policy.compile(definition.document, version: definition.version, zones: zones.offsets))
            } catch {
                for issue in error.issues { problems.add(pointer + issue.pointer, issue.code, issue.message) }
            }
        }
    }

    private mutating func compileContract(_ definition: Definition, _ pointer: String) {
        do {
            let contract = try Contract.compile(definition.document)
            let entry = ContractEntry(
                name: definition.key.name, version: definition.version, contract: contract,
                document: definition.document)
            for type in entry.eventTypes {
                if let other = contracts.values.first(where: { $0.eventTypes.contains(type) }) {
                    problems.add(
                        pointer + "/customProperties", "event_type_taken", "the contract \(other.name) covers \(type)")
                }
            }
            if entry.eventTypes.isEmpty {
                problems.add(
                    pointer + "/customProperties", "missing_field", "decisiond.eventTypes lists the types it covers")
            }
            if entry.isReference && entry.keyPointer == nil {
                problems.add(pointer + "/schema/0/properties", "missing_key", "one property has primaryKey: true")
            }
            contracts[entry.name] = entry
        } catch {
            for issue in error.issues {
                problems.add(pointer + issue.pointer.text, issue.code.rawValue, issue.message)
            }
        }
    }

    /// A relationship leads to the key of a reference contract of the same set.
    private func checkReferences() {
        for contract in contracts.values.sorted(by: { $0.name < $1.name }) {
            for reference in contract.contract.references {
                let table = contracts[reference.table]
                if table?.isReference == true && table?.contract.keyField == reference.property { continue }
                let pointer = pointers[DefinitionKey(kind: .dataContract, name: contract.name)] ?? ""
                problems.add(
                    pointer + Self.pointer(of: reference.path, in: contract.contract.contract.document),
                    "unknown_table",
                    "\(reference.path.joined(separator: ".")) refers to \(reference.table).\(reference.property), which is no reference contract's key"
                )
            }
        }
    }

    /// Views of one entity share its keys, so that they must agree on the parts of the key.
    private func checkEntities() {
        var parts: [String: (view: String, names: [String])] = [:]
        let published = { (name: String) in pointers[DefinitionKey(kind: .featureView, name: name)] }
        // A view that is being filled counts as it will be, not as its version before.
        let entries = views.merging(building) { _, filling in filling }
        // Views that are being published come last, so that the problem is told of them.
        let names = entries.keys.sorted()
        for name in names.filter({ published($0) == nil }) + names.filter({ published($0) != nil }) {
            guard let spec = entries[name]?.definition.spec else { continue }
            let own = spec.entityParts.map(\.name)
            guard let known = parts[spec.entity] else {
                parts[spec.entity] = (name, own)
                continue
            }
            if known.names != own {
                problems.add(
                    (published(name) ?? "") + "/spec/entity", "entity_parts_differ",
                    "the view \(known.view) gives \(spec.entity) the parts \(known.names.joined(separator: ", "))")
            }
        }
    }

    /// Where the relationship of a property stands in an ODCS document.
    private static func pointer(of path: [String], in document: JSONTree) -> String {
        var pointer = "/schema/0"
        var properties = document["schema"]?[0]?["properties"]?.array ?? []
        for name in path {
            guard let index = properties.firstIndex(where: { $0["name"]?.string == name }) else { break }
            pointer += "/properties/\(index)"
            properties = properties[index]["properties"]?.array ?? []
        }
        return pointer + "/relationships/0"
    }

    private func schema(_ stream: MeasureDefinition.Stream) -> StreamSchema? {
        switch stream {
        case .contract(let name): return contracts[name].flatMap { $0.isReference ? nil : $0.schema }
        case .featureParity, .featureMismatches: return StreamSchema(builtIn: stream)
        case .outcomes(let name): return name.map { decisionSpecs[$0] != nil } ?? true ? .outcomes : nil
        case .decisions(let name): return StreamSchema.decisions(name) { decisionSpecs[$0] }
        }
    }

    private mutating func compileView(_ definition: Definition, _ pointer: String) {
        // One that is being filled goes before one of the same version that answers meanwhile.
        let known = [previous.building[definition.key.name], previous.views[definition.key.name]].compactMap { $0 }
        if let same = known.first(where: { $0.definition.spec.version == definition.version }) {
            return use(same)
        }
        let contracts = contracts
        let parsed = FeatureViewDefinition.parse(
            definition, at: pointer, problems, zones: zones.offsets, contracts: { contracts[$0]?.eventSchema })
        guard let parsed else { return }
        do throws(FeatureError) {
            let view = try FeatureView.compile(parsed.spec)
            let index = store.add(
                view, canSpill: parsed.isIndexedBySubject,
                isFilling: !isReady(definition.key.name, definition.version))
            let plan: FeaturePlan
            do throws(FeatureError) {
                plan = try store.plan(view: index)
            } catch {
                store.release(view: index)
                throw error
            }
            use(ViewEntry(definition: parsed, view: view, index: index, plan: plan, store: store))
        } catch {
            for issue in error.issues {
                problems.add(pointer + "/spec" + issue.pointer, issue.code.rawValue, issue.message)
            }
        }
    }

    /// Serves a view that has every event; one that has not is fed, and the version before goes on answering.
    private mutating func use(_ view: ViewEntry) {
        let spec = view.definition.spec
        targets[spec.name] = view
        if isReady(spec.name, spec.version) {
            views[spec.name] = view
            return
        }
        building[spec.name] = view
        if let before = previous.views[spec.name], before !== view { views[spec.name] = before }
    }

    private mutating func compileModel(_ definition: Definition, _ pointer: String, isLenient: Bool) {
        guard let parsed = ModelDefinition.parse(definition, at: pointer, problems) else { return }
        let name = definition.key.name
        switch artifacts.model(sha256: parsed.artifact, usesBestIteration: parsed.usesBestIteration) {
        case .loaded(let model):
            guard let found = parsed.served(name: name, version: definition.version, model, problems) else { return }
            // Golden rows are compared when the version comes, not at every start.
            if pointers[definition.key] != nil { _ = parsed.compareGolden(found, problems) }
            modelInterfaces[name] = found.interface
            models[name] = .ready(found.loaded(keepsRows: found.hasReference))
            served[name] = found
        case .missing:
            if !isLenient {
                problems.add(
                    pointer + "/spec/artifact", "artifact_missing", "PUT /v1/artifacts/{sha256} with its bytes first")
            }
            modelInterfaces[name] = ModelInterface(version: definition.version, features: nil, categories: [:])
            models[name] = .missing(version: definition.version)
        case .corrupt(let code, let message):
            if !isLenient { problems.add(pointer + "/spec/artifact", code, message) }
            modelInterfaces[name] = ModelInterface(version: definition.version, features: nil, categories: [:])
            models[name] = .corrupt(version: definition.version)
        }
    }

    private mutating func addRetired(_ retired: [DefinitionKey: Definition]) {
        for (key, definition) in retired where key.kind == .model && models[key.name] == nil {
            modelInterfaces[key.name] = ModelInterface(version: definition.version, features: nil, categories: [:])
            models[key.name] = .withdrawn
        }
    }

    private mutating func compileDecision(_ definition: Definition, _ pointer: String) {
        let place = pointer + definition.specPointer
        guard let spec = DecisionSpec.parse(definition.spec, at: place, problems) else { return }
        guard let entry = decision(definition, spec, place, problems, targets) else { return }
        let name = definition.key.name
        decisionSpecs[name] = spec
        guard let missing = entry.views.first(where: { building[$0.definition.spec.name] === $0 }) else {
            decisions[name] = entry
            return
        }
        // Until the view is filled: this decision on the version of the view before, else the decision before.
        if let before = decision(definition, spec, place, ProblemList(), views) {
            decisions[name] = before
        } else if let before = previous.decisions[name],
            before.views.allSatisfy({ views[$0.definition.spec.name] === $0 })
        {
            decisions[name] = before
        } else {
            waiting[name] = missing.definition.spec.name
        }
    }

    private func decision(
        _ definition: Definition, _ spec: DecisionSpec, _ place: String, _ problems: ProblemList,
        _ views: [String: ViewEntry]
    ) -> DecisionEntry? {
        let interfaces = modelInterfaces
        let (pointers, promoted) = (pointers, promoted)
        let isFresh = { promoted == $0 || pointers[DefinitionKey(kind: .model, name: $0)] != nil }
        let compiled = DecisionCompiler.compile(
            name: definition.key.name, version: definition.version, spec: spec, at: place, problems,
            zones: zones.offsets, checksTables: pointers[definition.key] != nil, checksInputs: isFresh,
            views: { views[$0]?.interface }, models: { interfaces[$0] })
        guard let compiled else { return nil }
        return DecisionEntry(decision: compiled, views: compiled.views.compactMap { views[$0.name] })
    }
}
