import JSON
import Journal

/// What a version of a model is used for.
enum ModelStage: String, Sendable, CaseIterable {
    /// Uploaded, not used by decisions; callers can score with it.
    case candidate
    /// What decisions use.
    case champion
    /// Beside the champion, in experiments.
    case challenger
    /// Scores along, changes nothing.
    case shadow
    /// Not used any more.
    case retired

    /// Stages that a request can give; the champion's is given by promoting.
    static let assignable: [ModelStage] = [.candidate, .challenger, .shadow, .retired]
}

/// A version of a model was registered, or got another stage. Becoming champion is an activation.
struct ModelStageFrame: Sendable {
    var name: String
    var version: UInt32
    var stage: String
    var atMicros: Int64
    var principal: String
    var reason: String
    /// The definition's JSON when the version is registered; else empty.
    var body: [UInt8]

    func encode(into writer: inout ByteWriter) {
        writer.text(name)
        writer.integer(version)
        writer.text(stage)
        writer.integer(atMicros)
        writer.text(principal)
        writer.text(reason)
        writer.blob(body)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> ModelStageFrame {
        var reader = ByteReader(bytes)
        return ModelStageFrame(
            name: try reader.text("stage's model"),
            version: try reader.integer(UInt32.self, "stage's version"),
            stage: try reader.text("stage"),
            atMicros: try reader.integer(Int64.self, "stage's time"),
            principal: try reader.text("stage's principal"),
            reason: try reader.text("stage's reason"),
            body: [UInt8](try reader.blob("stage's definition")))
    }
}

/// One change of a version's stage.
struct ModelStageChange: Sendable {
    let stage: ModelStage
    /// Journal position.
    let seq: UInt64
    let atMicros: Int64
    let principal: String
    let reason: String
}

/// One version of a model with its stages.
struct ModelVersion: Sendable {
    let definition: Definition
    /// Oldest first; never empty.
    let changes: [ModelStageChange]

    var number: Int { definition.version }
    /// Its stage now.
    var stage: ModelStage { changes.last?.stage ?? .candidate }
}
