/// Which way a score is bad for whom it is about.
public enum AdverseDirection: String, Sendable, Hashable, CaseIterable {
    /// A probability of default, of fraud, of leaving.
    case higherIsAdverse = "higher_is_adverse"
    /// Points of most scorecards, a probability of repaying.
    case lowerIsAdverse = "lower_is_adverse"
}

/// One reason for a score.
public struct ReasonCode: Hashable, Sendable {
    /// The code, or the feature's name where it has none.
    public let code: String
    /// For people: the entry's adverse text, else its text; the feature's name where it has no entry.
    public let text: String
    /// The features behind it whose contribution is not 0, in order.
    public let features: [Int]
    /// The sum of their contributions, in the unit and with the sign of what was given.
    public let contribution: Double
}

/// Why reason codes were refused.
public enum ReasonCodeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The model has no feature of this name.
    case unknownFeature(String)
    /// The entry of this feature has an empty code.
    case emptyCode(feature: String)
    /// Entries of this code name different groups, so that it could be listed twice.
    case groupsDiffer(code: String)

    /// In one line.
    public var description: String {
        switch self {
        case .unknownFeature(let name): "'\(name)' is not one of the model's features"
        case .emptyCode(let feature): "the code of feature '\(feature)' is empty"
        case .groupsDiffer(let code): "entries of code '\(code)' name different groups"
        }
    }
}

/// The reasons that a model's features stand for, and how the strongest are picked from contributions.
///
/// Adverse action notices name the principal reasons for a score, not more than a few (Regulation B, 12 CFR 1002.9(b)(2)
/// and its official interpretation: "disclosure of more than four reasons is not likely to be helpful").
public struct ReasonCodes: Hashable, Sendable {
    /// What one feature stands for.
    public struct Entry: Hashable, Sendable {
        /// The code; features may share one.
        public var code: String
        /// For people.
        public var text: String
        /// For people, when the feature speaks against them; `text` when nil.
        public var adverseText: String?
        /// Features of one group are one reason, under the code of the strongest; nil groups by `code`.
        public var group: String?

        /// Makes an entry.
        public init(code: String, text: String, adverseText: String? = nil, group: String? = nil) {
            self.code = code
            self.text = text
            self.adverseText = adverseText
            self.group = group
        }
    }

    private let featureNames: [String]
    /// Per feature.
    private let entries: [Entry?]
    /// Features of one reason, each in order, by their first; features without an entry are alone.
    private let groups: [[Int]]

    /// Binds entries by feature name to the features of a model.
    public init(_ entries: [String: Entry], featureNames: [String]) throws(ReasonCodeError) {
        let known = Set(featureNames)
        // In order of names, so that the same mistake is told every time.
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
            guard known.contains(name) else { throw .unknownFeature(name) }
            guard !entry.code.isEmpty else { throw .emptyCode(feature: name) }
        }
        var groupOfCode: [String: String?] = [:]
        var position: [GroupKey: Int] = [:]
        var groups: [[Int]] = []
        for (feature, name) in featureNames.enumerated() {
            guard let entry = entries[name] else {
                groups.append([feature])
                continue
            }
            if let group = groupOfCode.updateValue(entry.group, forKey: entry.code), group != entry.group {
                throw .groupsDiffer(code: entry.code)
            }
            let key = entry.group.map { GroupKey.group($0) } ?? .code(entry.code)
            if let index = position[key] {
                groups[index].append(feature)
            } else {
                position[key] = groups.count
                groups.append([feature])
            }
        }
        self.featureNames = featureNames
        self.entries = featureNames.map { entries[$0] }
        self.groups = groups
    }

    private enum GroupKey: Hashable {
        case group(String)
        case code(String)
    }

    /// The strongest reasons towards the adverse direction, the strongest first, at most `limit`.
    ///
    /// Contributions of a group add up, those in its favour too, and a sum that is not adverse is no reason. Equal ones
    /// come in the order of their first features.
    /// - Parameters:
    ///   - contributions: one number per feature, without the bias, of one output: margins, or points
    ///     (`Model.pointContributions`). NaN is no reason.
    ///   - includesUnmapped: lists features without an entry, under their own names.
    public func strongest(
        _ contributions: some Sequence<Double>, adverse: AdverseDirection, limit: Int, includesUnmapped: Bool = false
    ) -> [ReasonCode] {
        let contributions = Array(contributions)
        precondition(contributions.count == featureNames.count, "one contribution per feature, without the bias")
        precondition(limit >= 0, "a limit is not negative")
        let sign: Double = adverse == .higherIsAdverse ? 1 : -1
        var reasons: [(sum: Double, features: [Int])] = []
        for features in groups where includesUnmapped || entries[features[0]] != nil {
            let sum = features.reduce(0) { $0 + contributions[$1] }
            if sign * sum > 0 { reasons.append((sum, features)) }
        }
        // Groups are in the order of their first features; offsets keep it among equals.
        let ranked = reasons.enumerated().sorted {
            let (first, second) = (abs($0.element.sum), abs($1.element.sum))
            return first != second ? first > second : $0.offset < $1.offset
        }
        return ranked.prefix(limit).map { reason(of: $0.element.features, $0.element.sum, contributions, sign) }
    }

    private func reason(
        of features: [Int], _ sum: Double, _ contributions: [Double], _ sign: Double
    ) -> ReasonCode {
        var strongest = features[0]
        for feature in features where sign * contributions[feature] > sign * contributions[strongest] {
            strongest = feature
        }
        let entry = entries[strongest]
        let name = featureNames[strongest]
        return ReasonCode(
            code: entry?.code ?? name, text: entry?.adverseText ?? entry?.text ?? name,
            features: features.filter { contributions[$0] != 0 }, contribution: sum)
    }
}
