import Features
import HTTP

/// What `POST /v1/features/historical` asks for, checked.
struct HistoricalRequest: Sendable {
    /// One view and which of its features.
    struct View: Sendable {
        let entry: ViewEntry
        /// Places of the wanted features among all that are served, on-demand ones after those that the view keeps.
        let features: [Int]
    }

    /// What counts as known at each row's time.
    enum KnownAt: Sendable {
        case asOf
        case latest
        case time(Int64)

        /// As the features' code takes it.
        func bound(asOf micros: Int64) -> Features.KnownAt {
            switch self {
            case .asOf: .ingestTime(micros)
            case .latest: .latest
            case .time(let known): .ingestTime(known)
            }
        }
    }

    let name: String
    let views: [View]
    let knownAt: KnownAt
    /// `knownAt` as it was asked for.
    let knownAtText: String
    let format: RowFormat
    let upload: UploadReader
    /// The columns of the features, in order; masked ones are null.
    let featureColumns: [TrainingColumn]
    let wantsReasons: Bool
    let principal: String
    /// Journal position up to which events count.
    let position: Int64
    /// Latest time of a row [microseconds].
    let latestMicros: Int64

    /// Names of the parts of the entity's key.
    var keyNames: [String] { views[0].entry.definition.keyNames }

    /// A reader of its rows.
    func reader() -> EntityRowReader {
        EntityRowReader(keyNames: keyNames, format: format, latestMicros: latestMicros)
    }

    /// Columns of the set, given what the upload carries.
    func columns(carried: [(name: String, type: RowType)]) -> [TrainingColumn] {
        var columns = keyNames.map { TrainingColumn(name: $0, role: .entity, type: .string) }
        columns.append(TrainingColumn(name: EntityRowReader.asOfName, role: .asOf, type: .string))
        columns += carried.map { TrainingColumn(name: $0.name, role: .carried, type: $0.type) }
        columns += featureColumns
        if wantsReasons { columns.append(TrainingColumn(name: "null_reasons", role: .nullReasons, type: .json)) }
        return columns
    }
}
