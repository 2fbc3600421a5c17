import JSON
public import Models

/// How a model stands when a decision is made.
public enum ModelState: Sendable {
    /// Loaded and usable.
    case ready(LoadedModel)
    /// Its artifact is not on this machine.
    case missing(version: Int)
    /// Its artifact does not load; the code says why.
    case corrupt(version: Int)
    /// The definition was retired.
    case withdrawn

    /// The stable cause that a fallback records; nil when the model is usable.
    public var unusableCause: String? {
        switch self {
        case .ready: nil
        case .missing: "model_missing"
        case .corrupt: "model_corrupt"
        case .withdrawn: "model_withdrawn"
        }
    }
}

/// A model with the definition that names it.
public struct LoadedModel: Sendable {
    /// Name of the definition.
    public let name: String
    /// Version of the definition.
    public let version: Int
    /// The artifact.
    public let model: Model
    /// Which of the model's outputs is the score.
    public let outputIndex: Int
    /// `name@version`, as steps and fallbacks name it.
    public let label: String
    /// Whether the rows that it scores are to be kept in `DecisionScratch.scoredRows`.
    public let keepsRows: Bool
    /// The `model` member of an answer that it scored, as JSON text.
    let json: [UInt8]

    /// Joins an artifact to its definition.
    public init(name: String, version: Int, model: Model, outputIndex: Int, keepsRows: Bool = false) {
        self.keepsRows = keepsRows
        self.name = name
        self.version = version
        self.model = model
        self.outputIndex = outputIndex
        label = "\(name)@\(version)"
        var writer = JSONWriter(capacity: 96)
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("version")
        writer.integer(version)
        writer.key("role")
        writer.string("champion")
        writer.endObject()
        json = writer.finish()
    }
}
