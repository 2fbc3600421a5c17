/// The features that a reader wants, of one or several views of one entity type, resolved once: reading by a plan
/// looks up no names. Bound to the views it was made from; a plan of a removed view reads null with
/// `feature_unavailable`.
public struct FeaturePlan: Sendable {
    /// One wanted feature.
    public struct Item: Hashable, Sendable {
        /// Index that `FeatureStore.add` returned.
        public let view: Int
        /// `FeatureView.index(of:)`.
        public let feature: Int

        /// Makes an item.
        public init(view: Int, feature: Int) {
            self.view = view
            self.feature = feature
        }
    }

    struct Part: Sendable {
        let view: Int
        let program: ReadProgram
    }

    /// The items in the order given: the order of `FeatureVector.values`.
    public let items: [Item]
    /// Index of each view read, in the order of `FeatureVector.lastEventTimes`.
    public var views: [Int] { parts.map(\.view) }
    let parts: [Part]
    let entityType: Int

    init(items: [Item], parts: [Part], entityType: Int) {
        self.items = items
        self.parts = parts
        self.entityType = entityType
    }

    /// Program of some features of one view; positions follow the order given.
    static func program(_ view: FeatureView, _ features: [Int]) -> ReadProgram {
        ReadProgram(view: view, wanted: features.enumerated().map { (feature: $0.element, position: $0.offset) })
    }
}

/// What a read filled in. Keep one per thread and reuse it: a read then allocates nothing.
public struct FeatureVector: Sendable {
    /// Whether memory could answer.
    public enum Status: Hashable, Sendable {
        /// Every value is final (null ones carry their reason).
        case complete
        /// Memory no longer covers as_of, or a window that ends there, for this entity: read the history from
        /// PostgreSQL. The values of the views concerned are null with `feature_unavailable`.
        case historyUnavailable
        /// Rows of this entity are in PostgreSQL only: read them (`FeatureStore.spilledViews`), put them back and read
        /// again. The values of the views concerned are null with `feature_unavailable`.
        case spilled
    }

    /// One value per item of the plan.
    public internal(set) var values: [FeatureValue] = []
    /// Whether memory could answer.
    public internal(set) var status: Status = .complete
    /// Every event of this entity up to this journal position was part of memory, and none after it.
    public internal(set) var featuresSeq: Int64 = 0
    /// Per view of the plan: event time of the latest known event up to as_of [microseconds since the Unix epoch].
    public internal(set) var lastEventTimes: [Int64?] = []

    /// Whether a value is null because its window reaches past what memory keeps of a full entity.
    public var isTruncated: Bool { values.contains(.null(.windowTruncated)) }

    /// An empty vector.
    public init() {}

    /// Writes the values as a model's inputs, NaN for null: value i goes to `row[positions[i]]`.
    public func fill(_ row: inout [Double], at positions: [Int]) {
        precondition(positions.count == values.count, "one position per item of the plan")
        for (index, position) in positions.enumerated() { row[position] = values[index].double }
    }

    mutating func begin(count: Int, views: Int) {
        if values.count != count { values = [FeatureValue](repeating: .null(.featureUnavailable), count: count) }
        lastEventTimes.removeAll(keepingCapacity: true)
        for _ in 0..<views { lastEventTimes.append(nil) }
        status = .complete
        featuresSeq = 0
    }
}
