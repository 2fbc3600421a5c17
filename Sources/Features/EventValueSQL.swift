/// The columns of a view as SQL over one stored event: NULL where the engine has null, else the value that it has.
/// Booleans are `boolean`; instants and days are whole numbers as in `ColumnKind`.
///
/// `OFFSET 0` keeps PostgreSQL from writing a subquery's expression out at each place that uses it, and so from computing it
/// there again: they are nested several deep.
enum EventValueSQL {
    /// CloudEvents attributes that are not kept in a column of their own.
    private static let dropped: Set<String> = ["specversion", "datacontenttype", "dataschema", "data_base64"]

    /// Why PostgreSQL does not have what a feature is made from; nil when it has.
    static func obstacle(_ feature: FeatureSpec, _ spec: FeatureViewSpec, _ source: FeatureSource) -> String? {
        var names = [feature.column]
        if case .ratio(let denominator) = feature.aggregate { names.append(denominator) }
        for (column, path) in zip(spec.columns, source.columnPaths) where names.contains(column.name) {
            guard path.count == 1 else { continue }
            if dropped.contains(path[0]) { return "PostgreSQL does not keep the attribute \(path[0])" }
            // The table has the instant, not how it was written.
            if path == ["time"], column.kind != .timestamp {
                return "PostgreSQL keeps the time as an instant, not as text"
            }
        }
        return nil
    }

    /// One select item a column, and those that aggregates need besides.
    static func columns(_ spec: FeatureViewSpec, _ source: FeatureSource) -> String {
        var items = zip(spec.columns, source.columnPaths).map { column, path in
            (name: column.name, value: value(column.kind, path))
        }
        for (column, path) in zip(spec.columns, source.columnPaths) where column.kind == .double {
            let isSummed = spec.features.contains { feature in
                feature.column == column.name && (feature.aggregate == .sum || feature.aggregate == .mean)
            }
            if isSummed { items.append((exactName(column.name), exact(value(column.kind, path)))) }
        }
        for halfLife in halfLives(spec) { items.append((weightName(halfLife), weight(halfLife))) }
        return items.map { ",\n        \($0.value) AS \(EventSQL.identifier($0.name))" }.joined()
    }

    /// The column of a binary64 column's exact values.
    static func exactName(_ column: String) -> String { "exact \(column)" }
    /// The column of the weights that halve every `halfLife` microseconds.
    static func weightName(_ halfLife: Int64) -> String { "weight \(halfLife)" }

    private static func halfLives(_ spec: FeatureViewSpec) -> [Int64] {
        let all = spec.features.compactMap { feature -> Int64? in
            switch feature.aggregate {
            case .decayedSum(let halfLife), .decayedMean(let halfLife): halfLife
            default: nil
            }
        }
        return Set(all).sorted()
    }

    private static func value(_ kind: ColumnKind, _ path: [String]) -> String {
        switch kind {
        case .string: return EventSQL.text(at: path, ofType: "string")
        case .double: return double(EventSQL.text(at: path, ofType: "number"))
        case .decimal(let scale): return scaled(EventSQL.text(at: path, ofType: "number"), scale)
        case .integer: return scaled(EventSQL.text(at: path, ofType: "number"), 0)
        case .boolean: return "(\(EventSQL.text(at: path, ofType: "boolean")))::boolean"
        case .timestamp: return path == ["time"] ? "e.event_us" : instant(EventSQL.text(at: path, ofType: "string"))
        case .date: return day(EventSQL.text(at: path, ofType: "string"))
        }
    }

    // MARK: Numbers

    /// A row with the number as `n`. A cast refuses powers of ten that no accepted number needs: such a number is zero or,
    /// where `beyond` matches, NULL.
    private static func number(_ text: String, beyond: String) -> String {
        """
        (SELECT CASE WHEN t !~ '[eE][+-]?0*[1-9][0-9]{3}' THEN t::numeric WHEN t !~ '\(beyond)' THEN 0 END AS n
                    FROM (SELECT \(text) AS t OFFSET 0) x OFFSET 0) s
        """
    }

    /// A number of at most `scale` digits after the point that fits an Int64 of these units.
    private static func scaled(_ text: String, _ scale: Int) -> String {
        """
        (SELECT n FROM \(number(text, beyond: "^[^eE]*[1-9]"))
                WHERE n = trunc(n, \(scale)) AND n * 1e\(scale)::numeric BETWEEN -9223372036854775808 AND 9223372036854775807)
        """
    }

    /// The nearest binary64, without a sign for zero.
    private static func double(_ text: String) -> String {
        "(SELECT \(NumericSQL.double("n")) FROM \(number(text, beyond: "^[^eE]*[1-9].*[eE][+0-9]")))"
    }

    /// A binary64 as the `numeric` that it is: significand times 2^power, with 2^-k = 5^k 10^-k.
    static func exact(_ double: String) -> String {
        """
        (SELECT sign(v)::int * (bits & 4503599627370495 | CASE WHEN biased > 0 THEN 4503599627370496 ELSE 0 END)::numeric
                    * CASE WHEN power >= 0 THEN 2::numeric ^ power ELSE 5::numeric ^ (-power) * ('1e' || power)::numeric END
                FROM (SELECT v, bits, biased, greatest(biased, 1) - 1075 AS power FROM (
                    SELECT v, bits, (bits >> 52) & 2047 AS biased FROM (
                        SELECT v, ('x' || encode(float8send(v), 'hex'))::bit(64)::bigint AS bits FROM (
                            SELECT \(double) AS v OFFSET 0) a OFFSET 0) b OFFSET 0) c OFFSET 0) d)
        """
    }

    /// 2^(-age / half-life); 0 once it is no more than half of the smallest binary64, as the engine has it. Whole halvings
    /// are exact, 2^-k = 5^k 10^-k: `power` gives them no more digits after the point than its argument has.
    private static func weight(_ halfLife: Int64) -> String {
        """
        (SELECT CASE WHEN age < \(1_075 * halfLife) THEN power(2::numeric, -(round((age % \(halfLife))::numeric, 20) / \(halfLife)))
                    * 5::numeric ^ (age / \(halfLife)) * ('1e-' || age / \(halfLife))::numeric ELSE 0 END
                FROM (SELECT $2 - e.event_us AS age) a)
        """
    }

    // MARK: Times

    private static let instantPattern =
        #"^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$"#

    /// Days since 1970-01-01 of the year `y`, month `mo` and day `d`; PostgreSQL has no year 0, the 400 years after it are
    /// as long as those before.
    private static let dayNumber = "(make_date(y + 400, mo, d) - DATE '1970-01-01' - 146097)"
    private static let isDay = """
        mo BETWEEN 1 AND 12 AND d BETWEEN 1 AND CASE WHEN mo = 2 THEN 28 + (y % 4 = 0 AND (y % 100 <> 0 OR y % 400 = 0))::int \
        WHEN mo IN (4, 6, 9, 11) THEN 30 ELSE 31 END
        """

    /// An RFC 3339 time in microseconds since the Unix epoch; NULL for what is none, by the engine's rules: digits past the
    /// sixth are dropped, a 61st second is only at the end of a month.
    private static func instant(_ text: String) -> String {
        """
        (SELECT CASE WHEN (s < 60 OR (minute + 1) % 1440 = 0 AND extract(day FROM DATE '1970-01-01' + ((minute + 1) / 1440)::int) = 1)
                    AND (minute * 60 + s) * 1000000 + f BETWEEN -62135596800000000 AND 253402300799999999
                    THEN (minute * 60 + s) * 1000000 + f END
                FROM (SELECT s, f, CASE WHEN \(isDay) AND h < 24 AND mi < 60 AND s <= 60 AND zh < 24 AND zm < 60
                    THEN \(dayNumber)::bigint * 1440 + h * 60 + mi - zone * (zh * 60 + zm) END AS minute
                FROM (SELECT m[1]::int AS y, m[2]::int AS mo, m[3]::int AS d, m[4]::int AS h, m[5]::int AS mi, m[6]::int AS s,
                    coalesce(rpad(left(m[7], 6), 6, '0'), '0')::bigint AS f, CASE m[8] WHEN '-' THEN -1 ELSE 1 END AS zone,
                    coalesce(m[9], '0')::int AS zh, coalesce(m[10], '0')::int AS zm
                FROM (SELECT regexp_match(\(text), \(EventSQL.literal(instantPattern))) AS m OFFSET 0) a OFFSET 0) b OFFSET 0) c)
        """
    }

    /// A calendar day in days since 1970-01-01; NULL for what is none.
    private static func day(_ text: String) -> String {
        """
        (SELECT CASE WHEN y > 0 AND \(isDay) THEN \(dayNumber) END
                FROM (SELECT m[1]::int AS y, m[2]::int AS mo, m[3]::int AS d
                FROM (SELECT regexp_match(\(text), '^([0-9]{4})-([0-9]{2})-([0-9]{2})$') AS m OFFSET 0) a OFFSET 0) b)
        """
    }
}

/// Exact `numeric` to binary64.
enum NumericSQL {
    /// Rounds `n`, the name of a column, once, to nearest: NULL beyond binary64. A cast refuses what is too large or rounds
    /// to zero.
    static func double(_ n: String) -> String {
        """
        CASE WHEN abs(\(n)) <= 5::numeric ^ 1075 * 1e-1075::numeric THEN 0 \
        WHEN abs(\(n)) < 2::numeric ^ 1024 - 2::numeric ^ 970 THEN \(n)::float8 END
        """
    }

    /// The same of an expression, evaluated once.
    static func doubleOf(_ expression: String) -> String {
        "(SELECT \(double("n")) FROM (SELECT \(expression) AS n OFFSET 0) s)"
    }
}
