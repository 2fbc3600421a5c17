import JSON
import Models
import Synchronization

/// What a caller gets that asks for a model.
enum ModelLookup: Sendable {
    /// It can score.
    case served(ServedModel)
    /// There is no model of this name.
    case unknownModel
    /// The model has no such version.
    case unknownVersion
    /// It exists but cannot score now; a stable code says why: `model_missing`, `model_corrupt`, `model_withdrawn`,
    /// `version_retired`, `no_champion`.
    case unusable(code: String)
}

/// Models that callers score with beside decisions: champions from the snapshot, other versions from their files.
final class ModelLibrary: Sendable {
    private let state: ServiceState
    private let artifacts: ArtifactStore
    private let loaded = Mutex<[Key: ServedModel]>([:])

    private struct Key: Hashable {
        let name: String
        let version: Int
    }

    /// Versions besides champions that stay loaded.
    private static let loadedMax = 64

    init(state: ServiceState, artifacts: ArtifactStore) {
        self.state = state
        self.artifacts = artifacts
    }

    /// The champion of a name, or one version of it. Reads the model's file when `version` is another one than the
    /// champion's and was not asked for before.
    func find(_ name: String, version: Int?, in snapshot: Snapshot) -> ModelLookup {
        if let champion = snapshot.served[name], version == nil || version == champion.version {
            return .served(champion)
        }
        if version == nil, let cause = snapshot.models[name]?.unusableCause { return .unusable(code: cause) }
        let versions = state.registry.versions(name, state.history)
        guard !versions.isEmpty else { return .unknownModel }
        guard let version else { return .unusable(code: "no_champion") }
        guard let found = versions.first(where: { $0.number == version }) else { return .unknownVersion }
        if found.stage == .retired { return .unusable(code: "version_retired") }
        return load(found, Key(name: name, version: version))
    }

    private func load(_ version: ModelVersion, _ key: Key) -> ModelLookup {
        if let known = loaded.withLock({ $0[key] }) { return .served(known) }
        guard let definition = ModelDefinition.parse(version.definition, at: "", ProblemList()) else {
            return .unusable(code: "model_corrupt")
        }
        switch artifacts.model(sha256: definition.artifact, usesBestIteration: definition.usesBestIteration) {
        case .missing: return .unusable(code: "model_missing")
        case .corrupt: return .unusable(code: "model_corrupt")
        case .loaded(let model):
            guard let served = definition.served(name: key.name, version: key.version, model, ProblemList()) else {
                return .unusable(code: "model_corrupt")
            }
            loaded.withLock { loaded in
                if loaded.count >= Self.loadedMax { loaded.removeAll() }
                loaded[key] = served
            }
            return .served(served)
        }
    }

    /// Versions that can score, ascending; empty for a name without any.
    func usableVersions(_ name: String) -> [Int] {
        state.registry.versions(name, state.history).filter { $0.stage != .retired }.map(\.number)
    }

    /// Every name that has a version, in their order.
    func names() -> [String] {
        state.registry.names.union(state.history.names(of: .model)).sorted()
    }
}

extension ServiceCore {
    /// The model that a caller names: its champion, or one version of it. May read the model's file, so it is asked on the
    /// bulk pool unless `version` is nil.
    func model(_ name: String, version: Int?, in snapshot: Snapshot) -> ModelLookup {
        library.find(name, version: version, in: snapshot)
    }
}
