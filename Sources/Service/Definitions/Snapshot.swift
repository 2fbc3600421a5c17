import Access
import Contracts
import Decisions
import FEEL
import Features
import JSON
import Models

/// A contract as the pipelines use it.
final class ContractEntry: Sendable {
    let name: String
    let version: Int
    let contract: CompiledContract
    /// The fields that the contract describes: of an event, or of a row of a reference table.
    let schema: StreamSchema
    /// The same fields where they lie in an event.
    let eventSchema: StreamSchema
    let eventTypes: [String]
    /// Rows of a reference table rather than a stream of events.
    let isReference: Bool
    /// Where the key of a reference row lies in an event.
    let keyPointer: JSONPointer?
    /// Fields whose nulls are counted for completeness: (pointer, name).
    let countedFields: [StreamField]

    init(name: String, version: Int, contract: CompiledContract, document: JSONTree) {
        self.name = name
        self.version = version
        self.contract = contract
        schema = StreamSchema(contract: document)
        eventSchema = StreamSchema(events: document)
        eventTypes = Self.property("decisiond.eventTypes", document)?.array?.compactMap(\.string) ?? []
        isReference = Self.isReference(document)
        let properties = document["schema"]?[0]?["properties"]?.array ?? []
        let key = properties.first { $0["primaryKey"]?.bool == true }?["name"]?.string
        keyPointer = isReference ? key.map { JSONPointer(tokens: ["data", $0]) } : nil
        countedFields = eventSchema.fields
    }

    /// Whether an ODCS document describes a reference table.
    static func isReference(_ document: JSONTree) -> Bool {
        property("decisiond.kind", document)?.string == "reference"
    }

    private static func property(_ name: String, _ document: JSONTree) -> JSONTree? {
        document["customProperties"]?.array?.first { $0["property"]?.string == name }?["value"]
    }
}

/// A feature view bound to its place in the store.
final class ViewEntry: Sendable {
    let definition: FeatureViewDefinition
    let view: FeatureView
    /// Index in the feature store.
    let index: Int
    /// Reads every feature of the view.
    let plan: FeaturePlan
    /// What this version served lately.
    let statistics: FeatureStatistics
    private let store: FeatureStore

    init(definition: FeatureViewDefinition, view: FeatureView, index: Int, plan: FeaturePlan, store: FeatureStore) {
        self.definition = definition
        self.view = view
        self.index = index
        self.plan = plan
        statistics = FeatureStatistics(features: view.featureCount + definition.onDemand.features.count)
        self.store = store
    }

    /// With the last snapshot that names the view goes its memory.
    deinit {
        store.release(view: index)
    }

    /// What decisions need to know of it.
    var interface: ViewInterface { definition.interface }

    /// Every feature that is served: those that the view keeps, with the on-demand ones after them.
    func complete(_ stored: [FeatureValue], asOf: Int64) -> [FeatureValue] {
        var values = stored
        definition.onDemand.append(to: &values, asOf: asOf)
        return values
    }

    /// What is served when the caller named no entity.
    func withoutEntity(asOf: Int64) -> [FeatureValue] {
        complete(Array(repeating: FeatureValue.null(.noEvent), count: view.featureCount), asOf: asOf)
    }

    /// The same for a reader; counts in the statistics.
    func serve(_ stored: [FeatureValue], asOf: Int64, lastEventTime: Int64?) -> [FeatureValue] {
        let values = complete(stored, asOf: asOf)
        statistics.observe(values, ageMicros: lastEventTime.map { asOf - $0 })
        return values
    }
}

/// A decision bound to the views it reads.
final class DecisionEntry: Sendable {
    let decision: CompiledDecision
    /// The views, in the order of the decision's feature uses.
    let views: [ViewEntry]
    /// Inputs that not everybody may read back.
    let classifiedInputs: [InputSpec]

    init(decision: CompiledDecision, views: [ViewEntry]) {
        self.decision = decision
        self.views = views
        classifiedInputs = decision.spec.inputs.filter { $0.classification != nil }
    }
}

/// What feeds on one contract's events.
struct StreamFeeds: Sendable {
    var views: [ViewEntry] = []
    var measures: [MeasureDefinition] = []
}

/// Everything that is defined, at one point of the journal's order. Immutable: a request uses one from start to end.
final class Snapshot: Sendable {
    /// Active versions, and the last version of retired models.
    let definitions: [DefinitionKey: Definition]
    let contracts: [String: ContractEntry]
    /// Contract of a CloudEvents type.
    let contractsByType: [String: ContractEntry]
    /// Served views: of a changed one that is still being filled, the version before.
    let views: [String: ViewEntry]
    /// Views that are being filled: fed, not served.
    let building: [String: ViewEntry]
    let models: [String: ModelState]
    /// Champions as callers score with them: the models that are ready.
    let served: [String: ServedModel]
    let decisions: [String: DecisionEntry]
    /// Decisions that cannot answer before a view is filled, with its name.
    let waiting: [String: String]
    let measures: [String: MeasureDefinition]
    let kpis: [String: KPIDefinition]
    let policies: PolicySet
    /// What feeds on each contract, by its name.
    let feeds: [String: StreamFeeds]
    /// Every view that events are applied to, served or not.
    let fedViews: [ViewEntry]
    /// Measures over decisions, and over their outcomes.
    let decisionMeasures: [MeasureDefinition]
    let outcomeMeasures: [MeasureDefinition]
    /// Measures over comparisons of served features.
    let parityMeasures: [MeasureDefinition]
    /// Definitions that this binary could not compile although they were published; empty in good order.
    let unusable: [DefinitionKey: [DocumentProblem]]

    init(
        definitions: [DefinitionKey: Definition], contracts: [String: ContractEntry], views: [String: ViewEntry],
        models: [String: ModelState], decisions: [String: DecisionEntry], measures: [String: MeasureDefinition],
        kpis: [String: KPIDefinition], policies: PolicySet, unusable: [DefinitionKey: [DocumentProblem]],
        building: [String: ViewEntry] = [:], waiting: [String: String] = [:], served: [String: ServedModel] = [:]
    ) {
        self.served = served
        self.definitions = definitions
        self.contracts = contracts
        self.views = views
        self.building = building
        self.waiting = waiting
        self.models = models
        self.decisions = decisions
        self.measures = measures
        self.kpis = kpis
        self.policies = policies
        self.unusable = unusable
        var byType: [String: ContractEntry] = [:]
        for contract in contracts.values {
            for type in contract.eventTypes { byType[type] = contract }
        }
        contractsByType = byType
        var feeds: [String: StreamFeeds] = [:]
        fedViews = (Array(views.values) + building.values).sorted { $0.index < $1.index }
        for view in fedViews {
            feeds[view.definition.spec.contract, default: StreamFeeds()].views.append(view)
        }
        var decisionMeasures: [MeasureDefinition] = []
        var outcomeMeasures: [MeasureDefinition] = []
        var parityMeasures: [MeasureDefinition] = []
        for measure in measures.values.sorted(by: { $0.name < $1.name }) {
            switch measure.stream {
            case .contract(let contract): feeds[contract, default: StreamFeeds()].measures.append(measure)
            case .decisions: decisionMeasures.append(measure)
            case .outcomes: outcomeMeasures.append(measure)
            case .featureParity, .featureMismatches: parityMeasures.append(measure)
            }
        }
        self.feeds = feeds
        self.decisionMeasures = decisionMeasures
        self.outcomeMeasures = outcomeMeasures
        self.parityMeasures = parityMeasures
    }

    /// The same with one view not served any more but filled again.
    func demoting(_ name: String) -> Snapshot {
        guard let view = views[name] else { return self }
        let lost = decisions.filter { $0.value.views.contains { $0 === view } }
        return Snapshot(
            definitions: definitions, contracts: contracts, views: views.filter { $0.key != name }, models: models,
            decisions: decisions.filter { lost[$0.key] == nil }, measures: measures, kpis: kpis, policies: policies,
            unusable: unusable, building: building.merging([name: view]) { $1 },
            waiting: waiting.merging(lost.mapValues { _ in name }) { $1 }, served: served)
    }

    /// The same with a view filled again into a table of its own, while the one that there is goes on answering.
    func rebuilding(_ name: String, as fresh: ViewEntry) -> Snapshot {
        Snapshot(
            definitions: definitions, contracts: contracts, views: views, models: models, decisions: decisions,
            measures: measures, kpis: kpis, policies: policies, unusable: unusable,
            building: building.merging([name: fresh]) { $1 }, waiting: waiting, served: served)
    }

    /// A daemon that knows no definition yet: the built-in rules and measures only.
    static func empty() -> Snapshot {
        Snapshot(
            definitions: [:], contracts: [:], views: [:], models: [:], decisions: [:], measures: BuiltInMeasures.all,
            kpis: [:],
            policies: .none, unusable: [:])
    }
}

extension PolicySet {
    /// No policy: only what is built in.
    static let none: PolicySet = {
        // An empty list has nothing that could be refused.
        guard let set = try? PolicySet([]) else { preconditionFailure("an empty policy set was refused") }
        return set
    }()
}
