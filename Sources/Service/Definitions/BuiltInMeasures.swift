import JSON

/// Measures that every daemon has without a definition: over the streams that it makes itself. They are defined as users
/// define theirs, and KPIs may be defined over them.
enum BuiltInMeasures {
    /// The measures by name.
    static let all: [String: MeasureDefinition] = {
        var made: [String: MeasureDefinition] = [:]
        for document in documents {
            let problems = ProblemList()
            guard let tree = try? JSONTree(parsing: document),
                let definition = Definition(tree, at: "", problems, version: 1),
                let measure = MeasureDefinition.parse(
                    definition, at: "", problems, profile: .strict, zones: .utcOnly,
                    schemas: { StreamSchema(builtIn: $0) })
            else { preconditionFailure("a built-in measure does not compile: \(problems.problems)") }
            made[measure.name] = measure
        }
        return made
    }()

    private static let documents = [
        """
        {"kind": "Measure", "name": "feature_parity", "domain": "decisiond", "spec": {"stream": "feature_parity",
         "aggregate": "ratio", "numerator": "mismatches = 0", "dimensions": [{"name": "view", "expression": "view"}]}}
        """,
        """
        {"kind": "Measure", "name": "feature_parity_points", "domain": "decisiond", "spec": {"stream": "feature_parity",
         "aggregate": "count", "dimensions": [{"name": "view", "expression": "view"},
         {"name": "origin", "expression": "origin"}]}}
        """,
        """
        {"kind": "Measure", "name": "feature_parity_values", "domain": "decisiond", "spec": {"stream": "feature_parity",
         "aggregate": "sum", "of": "values", "dimensions": [{"name": "view", "expression": "view"}]}}
        """,
        """
        {"kind": "Measure", "name": "feature_mismatches", "domain": "decisiond", "spec": {"stream": "feature_mismatches",
         "aggregate": "count", "dimensions": [{"name": "view", "expression": "view"},
         {"name": "feature", "expression": "feature"}, {"name": "against", "expression": "against"}]}}
        """,
    ]
}
