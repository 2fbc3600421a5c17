import Access
import Decisions
import Features
import JSON

/// One view as one caller may see it: which features it shows and which are masked. Made once per request.
struct DisclosedView: Sendable {
    let entry: ViewEntry
    /// Features in serving order.
    let features: [FeatureDisclosure]
    /// Which of them the caller asked for.
    var isWanted: [Bool]

    init(_ entry: ViewEntry, contract: ContractEntry?, plan: MaskPlan) {
        self.entry = entry
        features = entry.definition.disclosure(contract, plan)
        isWanted = Array(repeating: true, count: features.count)
    }

    var name: String { entry.definition.spec.name }
    /// The view as policies and the access log name it.
    var resource: AccessResource { AccessResource(type: "feature_view", id: name) }
    /// Whether a feature that is asked for shows a classified field.
    var isPersonal: Bool { zip(features, isWanted).contains { $0.classification != nil && $1 } }
    /// Features that are asked for and answered with null.
    var masked: [String] { zip(features, isWanted).filter { $0.0.isMasked && $0.1 }.map(\.0.name) }

    /// Writes `features_seq`, `last_event_time`, `age_s`, `values` and `null_reasons` into an open object.
    ///
    /// - Parameter values: every served feature of the view.
    func write(
        _ values: [FeatureValue], featuresSeq: Int64, lastEventTime: Int64?, asOf: Int64, to writer: inout JSONWriter
    ) {
        writer.key("features_seq")
        writer.integer(featuresSeq)
        writer.key("last_event_time")
        if let lastEventTime { writer.timestamp(lastEventTime) } else { writer.null() }
        writer.key("age_s")
        if let lastEventTime { writer.integer((asOf - lastEventTime) / 1_000_000) } else { writer.null() }
        var reasons: [(name: String, reason: String)] = []
        writer.key("values")
        writer.beginObject()
        for (index, value) in values.enumerated() where isWanted[index] {
            let feature = features[index]
            writer.key(feature.name)
            if feature.isMasked {
                writer.null()
                reasons.append((feature.name, "masked"))
                continue
            }
            DecisionEncoding.write(value, to: &writer)
            if let reason = value.nullReason { reasons.append((feature.name, reason.rawValue)) }
        }
        writer.endObject()
        writer.key("null_reasons")
        writer.beginObject()
        for item in reasons {
            writer.key(item.name)
            writer.string(item.reason)
        }
        writer.endObject()
    }
}

extension ServiceHandler {
    /// The view as this caller may see it.
    func disclosed(_ entry: ViewEntry, _ route: RequestRoute) -> DisclosedView {
        let spec = entry.definition.spec
        return DisclosedView(
            entry, contract: route.snapshot.contracts[spec.contract],
            plan: service.maskPlan(route, AccessResource(type: "feature_view", id: spec.name)))
    }
}

/// What a served feature shows of its contract's fields.
struct FeatureDisclosure: Sendable {
    let name: String
    /// The contract's word for how private the field is that it shows; nil when it shows none.
    let classification: String?
    /// Whether the caller sees null instead.
    let isMasked: Bool
}

extension FeatureViewDefinition {
    /// Every feature in serving order. An on-demand feature shows what it is made from, and is masked when any of that is;
    /// its classification is that of the first classified one.
    func disclosure(_ contract: ContractEntry?, _ plan: MaskPlan) -> [FeatureDisclosure] {
        var shown = spec.features.map { feature in
            let classification = classification(of: feature, contract)
            // Only features that show a field of the contract are masked, by their own rules or the field's.
            let verdict = classification.flatMap {
                plan.verdict(path: "\(spec.name).\(feature.name)", classification: $0)
            }
            return FeatureDisclosure(name: feature.name, classification: classification, isMasked: verdict != nil)
        }
        for feature in onDemand.features {
            let sources = feature.sources.map { shown[$0] }
            shown.append(
                FeatureDisclosure(
                    name: feature.name, classification: sources.lazy.compactMap(\.classification).first,
                    isMasked: sources.contains { $0.isMasked }))
        }
        return shown
    }

    /// The classification of the field that a feature shows as it is; counts and sums of it are not the field.
    func classification(of feature: FeatureSpec, _ contract: ContractEntry?) -> String? {
        switch feature.aggregate {
        case .first, .last, .min, .max, .attribute, .topK, .quantile:
            guard let column = feature.column else { return nil }
            return contract?.schema.field(column)?.classification
        default: return nil
        }
    }
}
