import DMN
public import FEEL
public import Features
import JSON
import Models

extension CompiledDecision {
    /// Runs the graph.
    ///
    /// - Parameters:
    ///   - inputs: one value per declared input.
    ///   - features: for every feature use, the view's values in its order; an empty list reads as all null.
    ///   - models: the state of a model by name.
    ///   - steps: decides which steps of model nodes may answer.
    ///   - now: the call's `as_of`, for `now()` and `today()` [microseconds since the Unix epoch].
    ///   - scratch: this thread's memory.
    /// - Returns: the result. Never fails: what cannot be computed is null, with a warning.
    public func evaluate<Steps: StepSource>(
        inputs: [Value], features: [[FeatureValue]], models: (String) -> ModelState, steps: inout Steps, now: Int64,
        scratch: inout DecisionScratch
    ) -> DecisionResult {
        precondition(inputs.count == spec.inputs.count, "one value per declared input")
        var result = DecisionResult()
        fillSlots(inputs, features, &scratch)
        warn(inputs, features, &result)
        for (index, item) in nodes.enumerated() {
            switch item.node {
            case .model(let plans, let slot):
                let score = score(item.name, plans, slot, features, models, &steps, &scratch, &result)
                scratch.slots[slot] = score.map(Value.number) ?? .null
            case .expression(let expression, let slot):
                let value = expression.evaluate(scratch.slots, now: now)
                if value.isNull { scratch.nulls[item.name] = reason(expression, now, scratch) }
                scratch.slots[slot] = value
            case .table(let table):
                run(table, named: item.name, at: index, now, &scratch, &result)
            case .dmn(let node):
                run(node, at: index, now, &scratch, &result)
            }
        }
        for (index, expression) in outputs.enumerated() {
            result.outputs.append(output(expression, spec.outputs[index], now, scratch, &result))
        }
        if let scoreSlot, case .number(let score) = scratch.slots[scoreSlot] { result.score = score }
        return result
    }

    private func fillSlots(_ inputs: [Value], _ features: [[FeatureValue]], _ scratch: inout DecisionScratch) {
        scratch.beginDecision()
        scratch.slots.removeAll(keepingCapacity: true)
        scratch.slots.append(contentsOf: inputs)
        while scratch.slots.count < slotCount { scratch.slots.append(.null) }
        for feature in featureSlots where feature.index < features[feature.use].count {
            scratch.slots[feature.slot] = Value(features[feature.use][feature.index])
        }
    }

    /// Tells what memory could not serve: a feature that is null for any other reason than an empty history.
    private func warn(_ inputs: [Value], _ features: [[FeatureValue]], _ result: inout DecisionResult) {
        for (use, feature) in spec.features.enumerated() where entityInputs[use].contains(where: { inputs[$0].isNull })
        {
            result.warnings.append(DecisionWarning("entity_missing", feature.view))
        }
        for (use, values) in features.enumerated() {
            for (index, value) in values.enumerated() {
                guard case .null(let reason) = value else { continue }
                switch reason {
                case .windowTruncated, .overflow, .featureUnavailable, .expired:
                    let view = views[use]
                    result.warnings.append(
                        DecisionWarning(reason.rawValue, "\(view.name).\(view.interface.features[index].name)"))
                default: break
                }
            }
        }
    }

    private func score<Steps: StepSource>(
        _ node: String, _ plans: [CompiledStep], _ slot: Int, _ features: [[FeatureValue]],
        _ models: (String) -> ModelState, _ steps: inout Steps, _ scratch: inout DecisionScratch,
        _ result: inout DecisionResult
    ) -> Decimal? {
        var firstCause: String?
        for (index, plan) in plans.enumerated() {
            let number = index + 1
            var used = "constant"
            var answer: (score: Decimal, model: LoadedModel?)?
            var cause: String?
            switch plan {
            case .constant(let value):
                cause = steps.causeBefore(node: node, step: number, model: nil, budgetMicros: nil)
                if cause == nil { answer = (value, nil) }
            case .model(let name, let inputs, let budget):
                let state = models(name)
                used = name
                cause = steps.causeBefore(node: node, step: number, model: state, budgetMicros: budget)
                if case .ready(let loaded) = state {
                    used = loaded.label
                    if cause == nil {
                        let refusal = fillRow(loaded, inputs, features, &scratch, &result)
                        let score = refusal == nil ? predict(loaded, &scratch) : nil
                        cause = steps.causeAfter(node: node, step: number, budgetMicros: budget) ?? refusal
                        if cause == nil && score == nil { cause = "score_not_finite" }
                        if cause == nil, let score {
                            answer = (score, loaded)
                            scratch.keepRow(of: loaded)
                        }
                    }
                }
            }
            result.steps.append(StepRecord(node: node, step: number, used: used, cause: cause))
            if let answer {
                if slot == scoreSlot {
                    result.model = answer.model
                    if let firstCause { result.fallback = (number, used, firstCause) }
                }
                return answer.score
            }
            firstCause = firstCause ?? cause
        }
        result.warnings.append(DecisionWarning("no_score", node))
        return nil
    }

    /// Puts a model's inputs in its order; why the model must not score them, or nil.
    private func fillRow(
        _ loaded: LoadedModel, _ inputs: [BoundModelInput], _ features: [[FeatureValue]],
        _ scratch: inout DecisionScratch, _ result: inout DecisionResult
    ) -> String? {
        scratch.row.removeAll(keepingCapacity: true)
        scratch.marks.removeAll(keepingCapacity: true)
        for input in inputs {
            var number = Double.nan
            // The name of a category, where the input is one by its name.
            var name: String?
            switch input.source {
            case .feature(let use, let index):
                if index < features[use].count { number = features[use][index].double }
            case .slot(let slot):
                number = Self.modelInput(scratch.slots[slot])
            case .featureCategory(let use, let index, let codes):
                let value = index < features[use].count ? features[use][index] : .null(.noEvent)
                if case .string(let text) = value { name = text } else { number = value.double }
                if let name { number = codes[name] ?? .nan }
            case .category(let slot, let codes):
                if case .string(let text) = scratch.slots[slot] {
                    name = text
                    number = codes[text] ?? .nan
                } else {
                    number = Self.modelInput(scratch.slots[slot])
                }
            }
            if name != nil, number.isNaN {
                result.warnings.append(DecisionWarning("unknown_category", "\(loaded.name).\(input.name)"))
                guard let stranger = input.rule.unknown.number else { return "unknown_category" }
                scratch.row.append(stranger)
                scratch.marks.append(.unknown)
                continue
            }
            scratch.marks.append(number.isNaN ? .missing : .value)
            if number.isNaN {
                guard let absent = input.rule.missing.number else { return "input_missing" }
                number = absent
            }
            scratch.row.append(number)
        }
        return nil
    }

    private func predict(_ loaded: LoadedModel, _ scratch: inout DecisionScratch) -> Decimal? {
        let key = ObjectIdentifier(loaded.model)
        if scratch.predictions[key] == nil {
            if scratch.predictions.count >= DecisionScratch.predictionsMax { scratch.predictions.removeAll() }
            scratch.predictions[key] = loaded.model.makePrediction()
        }
        loaded.model.predict(scratch.row, into: &scratch.predictions[key, default: loaded.model.makePrediction()])
        guard let value = scratch.predictions[key]?.values[loaded.outputIndex] else { return nil }
        guard value.isFinite else { return nil }
        switch loaded.model.outputWidth {
        case .float32: return Decimal(shortest: Float(value))
        case .float64: return Decimal(shortest: value)
        }
    }

    private static func modelInput(_ value: Value) -> Double {
        switch value {
        case .number(let number): number.double
        case .boolean(let flag): flag ? 1 : 0
        default: .nan
        }
    }

    private func run(
        _ table: CompiledTable, named name: String, at index: Int, _ now: Int64, _ scratch: inout DecisionScratch,
        _ result: inout DecisionResult
    ) {
        let found = table.table.evaluate(scratch.slots, now: now)
        for rule in found.matchedRules {
            result.matched.append(
                MatchedRule(
                    table: name, rule: rule, ruleID: table.ruleIDs[rule - 1], reason: table.reasons[rule - 1],
                    node: index))
        }
        result.tableInputs.append((index, found.inputs))
        switch found.outcome {
        case .conflict:
            result.warnings.append(DecisionWarning("table_conflict", name))
        case .invalidInput(let column):
            result.warnings.append(DecisionWarning("table_input_not_allowed", "\(name).\(table.inputNames[column])"))
        case .noMatch(let values):
            if table.listSlot == nil { result.warnings.append(DecisionWarning("no_rule_matched", name)) }
            store(values, table, &scratch)
        case .matched(let rows):
            if let slot = table.listSlot {
                scratch.slots[slot] = table.table.value(of: found)
            } else {
                store(rows.first ?? [], table, &scratch)
            }
        case .aggregated(let value):
            if let slot = table.listSlot { scratch.slots[slot] = value }
        }
    }

    private func store(_ row: [Value], _ table: CompiledTable, _ scratch: inout DecisionScratch) {
        if let slot = table.listSlot { scratch.slots[slot] = table.emptyList }
        for (slot, value) in zip(table.outputSlots, row) { scratch.slots[slot] = value }
    }

    private func run(
        _ node: CompiledDMNNode, at index: Int, _ now: Int64, _ scratch: inout DecisionScratch,
        _ result: inout DecisionResult
    ) {
        let found = node.evaluate(scratch.slots, now: now)
        for trace in found.tables {
            let spec = trace.table.spec
            let inputs = zip(spec.inputs, trace.result.inputs).map { (name: $0.name, value: $1) }
            for rule in trace.result.matchedRules {
                let text = spec.rules[rule - 1]
                result.matched.append(
                    MatchedRule(
                        table: trace.name, rule: rule, ruleID: text.id ?? "\(rule)",
                        reason: text.annotation.flatMap { names.reasonText($0) == nil ? nil : $0 }, node: index,
                        inputs: inputs))
            }
            switch trace.result.outcome {
            case .conflict: result.warnings.append(DecisionWarning("table_conflict", trace.name))
            case .invalidInput(let column):
                result.warnings.append(
                    DecisionWarning("table_input_not_allowed", "\(trace.name).\(spec.inputs[column].name)"))
            case .noMatch where spec.hitPolicy.isSingleHit:
                result.warnings.append(DecisionWarning("no_rule_matched", trace.name))
            case .matched, .aggregated, .noMatch: break
            }
        }
        for (value, position) in zip(found.values, node.slots.indices) {
            scratch.slots[node.slots[position]] = value
            guard value.isNull else { continue }
            let why = found.decisions.last { $0.name == node.names[position] }?.reasons.first ?? found.reasons.first
            scratch.nulls[node.names[position]] = why.map(Self.text)
        }
    }

    private static func text(_ reason: NullReason) -> String { "\(reason.code.rawValue): \(reason.message)" }

    /// Why an expression is null: the first reason that FEEL gives, or that of the node whose null it read.
    private func reason(_ expression: Expression, _ now: Int64, _ scratch: DecisionScratch) -> String? {
        var reasons: [NullReason] = []
        _ = expression.evaluate(scratch.slots, now: now, reasons: &reasons)
        guard let first = reasons.first else { return nil }
        if first.code == .missing, let cause = scratch.nulls[first.message] { return cause }
        return Self.text(first)
    }

    /// Evaluates one output; a value outside its declared type or list is null with a warning, never passed on.
    private func output(
        _ expression: Expression, _ spec: OutputSpec, _ now: Int64, _ scratch: DecisionScratch,
        _ result: inout DecisionResult
    ) -> Value {
        let value = expression.evaluate(scratch.slots, now: now)
        if case .null = value {
            result.warnings.append(
                DecisionWarning("output_null", spec.name, reason: reason(expression, now, scratch)))
            return value
        }
        if !value.conforms(to: spec.type) {
            result.warnings.append(DecisionWarning("output_type_mismatch", spec.name))
            return .null
        }
        if let allowed = spec.values, case .string(let text) = value, !allowed.contains(text) {
            result.warnings.append(DecisionWarning("output_not_allowed", spec.name))
            return .null
        }
        return value
    }
}

extension Value {
    /// A served feature as FEEL sees it; a float enters as the shortest decimal of its own width.
    init(_ feature: FeatureValue) {
        switch feature {
        case .null: self = .null
        case .integer(let value): self = .number(Decimal(value))
        case .decimal(let significand, let scale):
            let number = Decimal(
                significand: UInt128(significand.magnitude), exponent: -scale, isNegative: significand < 0)
            self = (number?.stripped).map(Value.number) ?? .null
        case .double(let value): self = Decimal(shortest: value).map(Value.number) ?? .null
        case .string(let text): self = .string(text)
        case .timestamp(let micros): self = .dateTime(DateTime(unixMicroseconds: micros))
        case .boolean(let flag): self = .boolean(flag)
        case .date(let days): self = .date(Date(daysSinceEpoch: days))
        case .frequencies(let entries):
            self = .list(
                entries.map { .context(Context([("value", Value($0.value)), ("count", .number(Decimal($0.count)))])) })
        }
    }
}
