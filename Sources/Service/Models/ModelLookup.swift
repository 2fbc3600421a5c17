import Decisions

/// What a caller gets that asks for a model.
enum ModelLookup: Sendable {
    /// It can score.
    case served(ServedModel)
    /// There is no model of this name.
    case unknownModel
    /// The model has no such version.
    case unknownVersion
    /// It exists but cannot score now; a stable code says why: `model_missing`, `model_corrupt`, `model_withdrawn`,
    /// `version_retired`.
    case unusable(code: String)
}

extension ServiceCore {
    /// The model that a caller names: its champion, or one version of it. May read the model's file, so it is asked on the
    /// bulk pool unless `version` is nil.
    func model(_ name: String, version: Int?, in snapshot: Snapshot) -> ModelLookup {
        guard let state = snapshot.models[name] else { return .unknownModel }
        if let cause = state.unusableCause { return .unusable(code: cause) }
        guard let champion = snapshot.served[name] else { return .unusable(code: "model_missing") }
        return version == nil || version == champion.version ? .served(champion) : .unknownVersion
    }
}
