import Decisions
import JSON
import Models

/// A model as published: which artifact, how its inputs are coded, which output is the score, what its card says.
struct ModelDefinition: Sendable {
    /// SHA-256 of the artifact, lower-case hexadecimal.
    let artifact: String
    /// Category lists by input name.
    let categories: [String: [String]]
    /// Which of the model's outputs is the score; nil for the last, which is the positive class of a binary model.
    let output: Int?
    /// Whether only the iterations up to the best one count (XGBoost early stopping).
    let usesBestIteration: Bool
    /// The inputs that the definition declares, by name; the others are as the artifact says.
    let features: [DeclaredInput]
    /// What the model is for and how it came to be.
    let card: ModelCard
    /// Business texts of what moves the score.
    let reasons: ModelReasons?
    /// Rows that must agree before the version may be used.
    let golden: JSONTree?
    /// Pointer of the spec, for problems that only show beside the artifact.
    private let pointer: String

    /// Reads the `spec` of a `kind: Model` definition.
    static func parse(_ definition: Definition, at pointer: String, _ problems: ProblemList) -> ModelDefinition? {
        let before = problems.problems.count
        let place = pointer + definition.specPointer
        let reader = TreeReader(definition.spec, at: place, problems)
        let artifact = reader.object("artifact", required: true) { artifact -> String in
            let hash = artifact.string("sha256", required: true) ?? ""
            if !isHash(hash) {
                problems.add(artifact.path("sha256"), "invalid_hash", "64 lower-case hexadecimal digits")
            }
            return hash
        }
        var categories: [String: [String]] = [:]
        for member in reader.map("categories") {
            categories[member.key] = Self.categories(
                member.value, reader.path("categories") + "/" + member.key.pointerToken, problems)
        }
        let output = reader.integer("output", in: 0...Int64(1_000))
        let iterations = reader.string("iterations") ?? "all"
        if iterations != "all" && iterations != "best" {
            problems.add(reader.path("iterations"), "value_not_allowed", "all, or best")
        }
        let features = reader.objects("features") { DeclaredInput($0) }.compactMap { $0 }
        var seen: Set<String> = []
        for feature in features where !seen.insert(feature.name).inserted {
            problems.add(feature.pointer + "/name", "duplicate_value", "each input once")
        }
        let card = reader.object("card") { ModelCard($0) } ?? ModelCard.empty
        let reasons = reader.object("reasons") { ModelReasons($0) }
        let golden = reader.value("golden")
        reader.finish()
        guard problems.problems.count == before, let artifact else { return nil }
        return ModelDefinition(
            artifact: artifact, categories: categories, output: output.map(Int.init),
            usesBestIteration: iterations == "best", features: features, card: card, reasons: reasons, golden: golden,
            pointer: place)
    }

    private static func isHash(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// A list of distinct texts.
    static func categories(_ tree: JSONTree, _ place: String, _ problems: ProblemList) -> [String] {
        guard let items = tree.array, !items.isEmpty else {
            problems.add(place, "type_mismatch", "a list of texts is expected")
            return []
        }
        let names = items.compactMap(\.string)
        if names.count != items.count {
            problems.add(place, "type_mismatch", "a list of texts is expected")
        } else if Set(names).count != names.count {
            problems.add(place, "duplicate_value", "each text once")
        }
        return names
    }

    // MARK: Beside its artifact

    /// Joins the definition to its artifact.
    ///
    /// - Returns: the model as callers score with it; nil when the two do not fit, which is told in `problems`.
    func served(name: String, version: Int, _ model: Model, _ problems: ProblemList) -> ServedModel? {
        let before = problems.problems.count
        let index = output ?? model.predictionCount - 1
        if index >= model.predictionCount {
            problems.add(pointer + "/output", "out_of_range", "the model has \(model.predictionCount) outputs")
        }
        let known = Set(model.featureNames)
        for feature in features where !known.contains(feature.name) {
            problems.add(feature.pointer + "/name", "unknown_input", "the artifact has no input of this name")
        }
        let inputs = inputs(of: model, problems)
        checkReference(inputs, problems)
        let reasons = boundReasons(model, problems)
        guard problems.problems.count == before else { return nil }
        return ServedModel(
            name: name, version: version, model: model, outputIndex: index, inputs: inputs, definition: self,
            reasons: reasons)
    }

    private func boundReasons(_ model: Model, _ problems: ProblemList) -> ReasonCodes? {
        let known = Set(model.featureNames)
        let strangers = (reasons?.codes ?? []).filter { !known.contains($0.feature) }
        for code in strangers {
            problems.add(code.pointer + "/feature", "unknown_input", "the artifact has no input of this name")
        }
        guard let reasons, strangers.isEmpty else { return nil }
        do throws(ReasonCodeError) {
            return try reasons.bound(to: model)
        } catch {
            problems.add(pointer + "/reasons/codes", "value_not_allowed", error.description)
            return nil
        }
    }

    /// References are of inputs that there are, and of their kind.
    private func checkReference(_ inputs: [ModelInput], _ problems: ProblemList) {
        guard let reference = card.reference else { return }
        let byName = Dictionary(inputs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, distribution) in reference.features.sorted(by: { $0.key < $1.key }) {
            let place = "\(pointer)/card/reference/features/\(name.pointerToken)"
            guard let input = byName[name] else {
                problems.add(place, "unknown_input", "the artifact has no input of this name")
                continue
            }
            if case .numeric = distribution, input.kind == .category, !input.categories.isEmpty {
                problems.add(
                    place, "value_not_allowed", "this input has categories: a categorical distribution is expected")
            }
        }
    }

    /// One input per feature of the artifact.
    private func inputs(of model: Model, _ problems: ProblemList) -> [ModelInput] {
        let declared = Dictionary(features.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return model.featureNames.enumerated().map { index, name in
            let feature = declared[name]
            let table = feature?.categories ?? categories[name] ?? model.categories[index]
            let kind = feature?.kind ?? (table == nil ? .number : .category)
            let codes = kind == .category ? table ?? [] : []
            var rule = feature?.rule(codes, problems) ?? .lenient
            // An ONNX graph has no missing text: it tells an unknown one by a code outside of its encoder's table.
            if model.format == .onnx, kind == .category, rule.unknown == .missing {
                rule = ModelInputRule(missing: rule.missing, unknown: .value(Double(codes.count)))
            }
            return ModelInput(
                name: name, kind: kind, isDeclared: feature != nil, categories: codes, rule: rule)
        }
    }

    /// Compares the model with the golden rows; nil when there are none. What does not agree is told in `problems`.
    func compareGolden(_ served: ServedModel, _ problems: ProblemList) -> GoldenReport? {
        guard let golden else { return nil }
        let before = problems.problems.count
        let rows = GoldenRows(golden, at: pointer + "/golden", served, problems)
        guard problems.problems.count == before else { return nil }
        let report: GoldenReport
        do throws(ModelError) {
            report = try GoldenReport(
                model: served.model, golden: rows.document,
                tolerance: .init(margin: rows.tolerance, prediction: rows.tolerance),
                scoreIndex: served.outputIndex)
        } catch {
            problems.add(pointer + "/golden" + error.location, "golden_\(error.code.rawValue)", error.message)
            return nil
        }
        for difference in report.disagreements {
            problems.add(
                "\(pointer)/golden/rows/\(difference.row)/\(difference.field)", "golden_mismatch",
                "the model gives \(difference.got), the golden row \(difference.wanted)")
        }
        return report
    }
}

extension ServedModel {
    /// What decisions need to know of it.
    var interface: ModelInterface {
        var categories: [String: [String]] = [:]
        var rules: [String: ModelInputRule] = [:]
        for input in inputs {
            if !input.categories.isEmpty { categories[input.name] = input.categories }
            if input.rule != .lenient { rules[input.name] = input.rule }
        }
        return ModelInterface(
            version: version, features: model.featureNames, categories: categories, rules: rules)
    }

    /// As decisions run it.
    func loaded(keepsRows: Bool) -> LoadedModel {
        LoadedModel(name: name, version: version, model: model, outputIndex: outputIndex, keepsRows: keepsRows)
    }
}

/// One input as the definition declares it.
struct DeclaredInput: Sendable {
    let name: String
    let kind: ModelInput.Kind
    /// Names of categories by code; nil: as the artifact or the model's `categories` say.
    let categories: [String]?
    /// Pointer of the declaration.
    let pointer: String
    private let missing: JSONTree?
    private let unknown: JSONTree?

    /// Reads `{name, type, categories, missing, unknown}`.
    init?(_ reader: TreeReader) {
        pointer = reader.pointer
        let name = reader.string("name", required: true)
        let kinds = ModelInput.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let text = reader.string("type", required: true)
        let kind = text.flatMap(ModelInput.Kind.init(rawValue:))
        if text != nil && kind == nil {
            reader.problems.add(reader.path("type"), "value_not_allowed", "one of \(kinds)")
        }
        categories = reader.value("categories").map {
            ModelDefinition.categories($0, reader.path("categories"), reader.problems)
        }
        if categories != nil && kind != .category {
            reader.problems.add(
                reader.path("categories"), "value_not_allowed", "only an input of type category has them")
        }
        missing = reader.value("missing")
        unknown = reader.value("unknown")
        if unknown != nil && kind != .category {
            reader.problems.add(reader.path("unknown"), "value_not_allowed", "only an input of type category has it")
        }
        guard let name, let kind else { return nil }
        self.name = name
        self.kind = kind
    }

    /// What `missing` and `unknown` say, with defaults coded as the model takes them.
    func rule(_ codes: [String], _ problems: ProblemList) -> ModelInputRule {
        ModelInputRule(
            missing: replacement(missing, "missing", codes, problems),
            unknown: replacement(unknown, "unknown", codes, problems))
    }

    private func replacement(
        _ tree: JSONTree?, _ key: String, _ codes: [String], _ problems: ProblemList
    ) -> ModelInputRule.Replacement {
        switch tree {
        case nil, .string("missing"): return .missing
        case .string("refuse"): return .refuse
        case .object(let members) where members.count == 1 && members[0].key == "default":
            // A default is coded as a cell of this input is.
            let input = ModelInput(name: name, kind: kind, isDeclared: true, categories: codes)
            if case .value(let number) = input.code(RowCell(members[0].value)) { return .value(number) }
            problems.add(
                "\(pointer)/\(key)/default", "type_mismatch", "\(kind.rawValue) is expected, one that the model knows")
        default:
            problems.add("\(pointer)/\(key)", "value_not_allowed", "missing, refuse, or {default: a value}")
        }
        return .missing
    }
}

extension RowCell {
    /// A cell that was sent as JSON; a list or an object is no cell, and is taken for a text that no category has.
    init(_ tree: JSONTree) {
        switch tree {
        case .null: self = .missing
        case .bool(let flag): self = .bool(flag)
        case .number: self = tree.double.map(RowCell.number) ?? .missing
        case .string(let text): self = .text(text)
        case .array, .object: self = .text("\u{FFFE}")
        }
    }
}

/// Golden rows of an upload, brought to the form that `GoldenReport` takes.
struct GoldenRows {
    /// `{"rows": [{"x", "margin", "pred", "leaf"}]}`.
    let document: JSONTree
    /// How far a value may be off, relative to the larger of 1 and the golden value.
    let tolerance: Double

    /// Rows of one model version.
    static let rowsMax = 1_000
    /// Tolerance where the upload says none: the digits that other tools print.
    static let toleranceDefault = 1e-6

    /// Reads `{"tolerance", "rows"}`, or the list of rows alone. A row gives its inputs as `x`, in the model's order, or as
    /// `inputs`, by name; and what the library that trained the model gave for them: `margin`, `pred`, `score`, `leaf`.
    init(_ golden: JSONTree, at pointer: String, _ served: ServedModel, _ problems: ProblemList) {
        let rows = golden.array ?? golden["rows"]?.array ?? []
        tolerance = golden["tolerance"]?.double ?? Self.toleranceDefault
        if !(0...0.01).contains(tolerance) {
            problems.add(pointer + "/tolerance", "out_of_range", "0 to 0.01")
        }
        if rows.isEmpty || rows.count > Self.rowsMax {
            problems.add(pointer + "/rows", "out_of_range", "1 to \(Self.rowsMax) rows")
        }
        var made: [JSONTree] = []
        for (index, row) in rows.prefix(Self.rowsMax).enumerated() {
            guard let entry = Self.row(row, at: "\(pointer)/rows/\(index)", served, problems) else { continue }
            made.append(entry)
        }
        document = .object([JSONTree.Member(key: "rows", value: .array(made))])
    }

    private static func row(
        _ row: JSONTree, at place: String, _ served: ServedModel, _ problems: ProblemList
    ) -> JSONTree? {
        var members: [JSONTree.Member] = (row.object ?? []).filter { $0.key != "inputs" }
        if let inputs = row["inputs"]?.object {
            var table = RowTable(columns: inputs.map(\.key))
            table.append(inputs.map { RowCell($0.value) })
            do throws(RowRefusal) {
                let numbers = try served.code(table).numbers
                members.append(
                    JSONTree.Member(
                        key: "x", value: .array(numbers.map { JSONNumber(shortest: $0).map(JSONTree.number) ?? .null }))
                )
            } catch {
                problems.add("\(place)/inputs/\((error.column ?? "").pointerToken)", error.code, error.message)
                return nil
            }
        } else if row["x"] == nil {
            problems.add(place, "missing_field", "inputs by name, or x in the model's order")
            return nil
        }
        return .object(members)
    }
}
