import FEEL

/// Compiles a table cell by cell and gathers everything that is wrong with it.
struct TableCompiler {
    private let spec: DecisionTableSpec
    private let environment: Environment
    private let profile: Profile
    private var issues: [DMNError.Issue] = []
    private var usedSlots: Set<Int> = []

    init(_ spec: DecisionTableSpec, _ environment: Environment, _ profile: Profile) {
        self.spec = spec
        self.environment = environment
        self.profile = profile
    }

    mutating func compile() throws(DMNError) -> DecisionTable {
        checkShape()
        if !issues.isEmpty { throw DMNError(issues: issues) }
        let columns = compileColumns()
        let outputs = compileOutputs()
        let defaults = spec.outputs.enumerated().map { index, output in
            output.defaultValue.flatMap { self.expression($0, "/outputs/\(index)/default_value", output.type) }
        }
        let priorities = compilePriorities()
        guard issues.isEmpty, columns.count == spec.inputs.count else {
            throw DMNError(issues: Array(issues.prefix(DMNLimits.issues)))
        }
        return DecisionTable(
            spec: spec, usedSlots: usedSlots.sorted(), columns: columns, outputs: outputs, defaults: defaults,
            priorities: priorities)
    }

    private mutating func report(_ pointer: String, _ code: String, _ message: String, _ offset: Int? = nil) {
        guard issues.count < DMNLimits.issues else { return }
        issues.append(DMNError.Issue(pointer: pointer, code: code, message: message, offset: offset))
    }

    private mutating func checkShape() {
        if spec.outputs.isEmpty { report("/outputs", "invalid_table", "a table needs at least one output") }
        if spec.rules.count > DMNLimits.rules {
            report("/rules", "too_complex", "more than \(DMNLimits.rules) rules")
        }
        if max(spec.inputs.count, spec.outputs.count) > DMNLimits.columns {
            report("/inputs", "too_complex", "more than \(DMNLimits.columns) columns")
        }
        if Set(spec.outputs.map(\.name)).count != spec.outputs.count {
            report("/outputs", "invalid_table", "output names must differ")
        }
        if spec.aggregation != nil && (spec.hitPolicy != .collect || spec.outputs.count != 1) {
            report("/aggregation", "invalid_table", "aggregation needs COLLECT and a single output")
        }
        for (index, rule) in spec.rules.enumerated() {
            if rule.tests.count != spec.inputs.count {
                report("/rules/\(index)/tests", "wrong_width", "expected \(spec.inputs.count) cells")
            }
            if rule.outputs.count != spec.outputs.count {
                report("/rules/\(index)/outputs", "wrong_width", "expected \(spec.outputs.count) outputs")
            }
        }
    }

    private mutating func expression(_ source: String, _ pointer: String, _ type: FEELType) -> Expression? {
        do throws(FEELError) {
            let expression = try Expression(source, in: environment, profile: profile)
            usedSlots.formUnion(expression.usedSlots)
            if profile == .strict && !expression.resultType.fits(type) {
                report(
                    pointer, FEELError.Code.typeMismatch.rawValue,
                    "expected \(type.name), not \(expression.resultType.name)", 0)
            }
            return expression
        } catch {
            report(pointer, error.code.rawValue, error.message, error.offset)
            return nil
        }
    }

    private mutating func tests(_ source: String, _ pointer: String, _ type: FEELType) -> UnaryTests? {
        do throws(FEELError) {
            let tests = try UnaryTests(source, inputType: type, in: environment, profile: profile)
            usedSlots.formUnion(tests.usedSlots)
            return tests
        } catch {
            report(pointer, error.code.rawValue, error.message, error.offset)
            return nil
        }
    }

    private mutating func compileColumns() -> [DecisionTable.Column] {
        var columns: [DecisionTable.Column] = []
        for (index, input) in spec.inputs.enumerated() {
            let expression = expression(input.expression, "/inputs/\(index)/expression", input.type)
            let type = input.type == .any ? expression?.resultType ?? .any : input.type
            let allowed = input.allowedValues.flatMap { self.tests($0, "/inputs/\(index)/allowed_values", type) }
            let cells = spec.rules.indices.compactMap { rule in
                self.tests(spec.rules[rule].tests[index], "/rules/\(rule)/tests/\(index)", type)
            }
            guard let expression, cells.count == spec.rules.count else { continue }
            columns.append(DecisionTable.Column(expression: expression, allowed: allowed, cells: cells))
        }
        return columns
    }

    private mutating func compileOutputs() -> [[Expression]] {
        spec.rules.indices.map { rule in
            spec.outputs.indices.compactMap { output in
                expression(
                    spec.rules[rule].outputs[output], "/rules/\(rule)/outputs/\(output)", spec.outputs[output].type)
            }
        }
    }

    private mutating func compilePriorities() -> [[Value]] {
        let needsOrder = spec.hitPolicy == .priority || spec.hitPolicy == .outputOrder
        var priorities: [[Value]] = []
        for (index, output) in spec.outputs.enumerated() {
            guard let allowed = output.allowedValues else {
                priorities.append([])
                continue
            }
            let pointer = "/outputs/\(index)/allowed_values"
            let list = try? Expression("[\(allowed)]", in: Environment([], zones: environment.zones))
            if let values = list?.constant?.list {
                priorities.append(values)
            } else {
                if needsOrder { report(pointer, "invalid_table", "priorities must be a list of constants") }
                priorities.append([])
            }
        }
        if needsOrder && priorities.allSatisfy(\.isEmpty) {
            report("/outputs", "invalid_table", "\(spec.hitPolicy.rawValue) needs allowed values on an output")
        }
        return priorities
    }
}
