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

    init(definition: FeatureViewDefinition, view: FeatureView, index: Int, plan: FeaturePlan) {
        self.definition = definition
        self.view = view
        self.index = index
        self.plan = plan
        statistics = FeatureStatistics(features: view.featureCount + definition.onDemand.features.count)
    }

    /// What decisions need to know of it.
    var interface: ViewInterface { definition.interface }

    /// Every feature that is served: those that the view keeps, with the on-demand ones after them.
    func complete(_ stored: [FeatureValue], asOf: Int64) -> [FeatureValue] {
        var values = stored
        definition.onDemand.append(to: &values, asOf: asOf)
        return values
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
    let views: [String: ViewEntry]
    let models: [String: ModelState]
    let decisions: [String: DecisionEntry]
    let measures: [String: MeasureDefinition]
    let kpis: [String: KPIDefinition]
    let policies: PolicySet
    /// What feeds on each contract, by its name.
    let feeds: [String: StreamFeeds]
    /// Measures over decisions.
    let decisionMeasures: [MeasureDefinition]
    /// Definitions that this binary could not compile although they were published; empty in good order.
    let unusable: [DefinitionKey: [DocumentProblem]]

    init(
        definitions: [DefinitionKey: Definition], contracts: [String: ContractEntry], views: [String: ViewEntry],
        models: [String: ModelState], decisions: [String: DecisionEntry], measures: [String: MeasureDefinition],
        kpis: [String: KPIDefinition], policies: PolicySet, unusable: [DefinitionKey: [DocumentProblem]]
    ) {
        self.definitions = definitions
        self.contracts = contracts
        self.views = views
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
        for view in views.values.sorted(by: { $0.definition.spec.name < $1.definition.spec.name }) {
            feeds[view.definition.spec.contract, default: StreamFeeds()].views.append(view)
        }
        var decisionMeasures: [MeasureDefinition] = []
        for measure in measures.values.sorted(by: { $0.name < $1.name }) {
            switch measure.stream {
            case .contract(let contract): feeds[contract, default: StreamFeeds()].measures.append(measure)
            case .decisions: decisionMeasures.append(measure)
            }
        }
        self.feeds = feeds
        self.decisionMeasures = decisionMeasures
    }

    /// A daemon that knows no definition yet: the built-in rules only.
    static func empty() -> Snapshot {
        Snapshot(
            definitions: [:], contracts: [:], views: [:], models: [:], decisions: [:], measures: [:], kpis: [:],
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
