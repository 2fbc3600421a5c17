import Contracts
import Glibc
import HTTP
import JSON

/// Events checked against one contract, for CI pipelines: a line per rule.
public struct ContractCheckReport: Sendable {
    /// One line per rule: status, rule, counts, the first line that breaks it.
    public private(set) var lines: [String] = []
    /// Whether any rule is broken.
    public private(set) var isBroken = false

    private struct Tally {
        var count = 0
        var firstLine = 0
        var pointer = ""
    }

    /// Checks a file of events. References to other tables are not checked: their rows are not here.
    public init(contract path: String, events file: String) throws {
        let directory = try DefinitionDirectory(path: path)
        guard let document = directory.documents.first else { throw DirectoryProblem("\(path): no contract in it") }
        let contract: CompiledContract
        do {
            contract = try Contract.compile(document)
        } catch {
            let problems = error.issues.map { "\(path): \($0.pointer.text): \($0.code.rawValue): \($0.message)" }
            throw DirectoryProblem(problems.joined(separator: "\n"))
        }
        guard var bytes = try Files.read(file) else { throw DirectoryProblem("\(file): no such file") }
        if file.hasSuffix(".gz") { bytes = try Self.inflate(bytes) }
        check(bytes, contract)
    }

    private static func inflate(_ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes {
            try Gzip.inflate($0, limits: InflateLimits(bytesMax: 1 << 30, ratioMax: 1000, freeBytes: 1 << 20))
        }
    }

    private mutating func check(_ bytes: [UInt8], _ contract: CompiledContract) {
        let parser = JSONParser()
        var broken: [String: Tally] = [:]
        var identities: Set<String> = []
        var present: [Int] = []
        let schema = StreamSchema(contract: contract.contract.document)
        present = Array(repeating: 0, count: schema.fields.count)
        var (events, duplicates, sound, retractions) = (0, 0, 0, 0)
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = Int64(time.tv_sec) * 1_000_000
        bytes.withUnsafeBytes { body in
            for (number, slice) in BodySplitter.lines(body).enumerated() where !slice.isBlank {
                events += 1
                let line = UnsafeRawBufferPointer(rebasing: body[slice.range])
                if let violation = Self.violation(line, parser, contract, now) {
                    let rule = "\(violation.class.rawValue):\(violation.code):\(violation.pointer.text)"
                    broken[rule, default: Tally(firstLine: number + 1, pointer: violation.pointer.text)].count += 1
                    continue
                }
                guard let root = try? parser.parse(line) else { continue }
                sound += 1
                let identity = "\(root["source"]?.string ?? "") \(root["id"]?.string ?? "")"
                if !identities.insert(identity).inserted { duplicates += 1 }
                if case .success(let event) = CloudEvent.decode(root, nowMicros: now), event.isRetraction {
                    retractions += 1
                    continue
                }
                for (index, field) in schema.fields.enumerated() {
                    if let value = root.value(at: field.pointer), !value.isNull { present[index] += 1 }
                }
            }
        }
        lines.append("events \(events) valid \(sound) duplicates \(duplicates)")
        for (index, field) in schema.fields.enumerated() {
            let missing = sound - retractions - present[index]
            let status = field.isRequired && missing > 0 ? "FAIL" : "ok"
            lines.append("\(status) completeness \(field.name): \(missing) of \(sound - retractions) null")
        }
        for (rule, tally) in broken.sorted(by: { $0.key < $1.key }) {
            lines.append("FAIL \(rule): \(tally.count) events, first at line \(tally.firstLine)")
        }
        lines.append(
            broken.isEmpty
                ? "ok validity: no event breaks the contract" : "FAIL validity: \(events - sound) of \(events) events")
        isBroken = !broken.isEmpty
        for (path, rule) in contract.contract.qualityRules {
            let index = schema.fields.firstIndex { $0.pointer.tokens == path }
            judge(
                rule, path, rows: sound, nulls: index.map { sound - retractions - present[$0] }, duplicates: duplicates)
        }
    }

    /// One line for a quality rule of the contract; a rule that a file cannot answer says so.
    private mutating func judge(_ rule: QualityRule, _ path: [String], rows: Int, nulls: Int?, duplicates: Int) {
        let name = rule.name ?? rule.pointer.text
        let measured: Int?
        switch rule.metric {
        case .rowCount: measured = rows
        case .nullValues: measured = nulls
        case .duplicateValues(let properties) where properties.isEmpty && path.isEmpty: measured = duplicates
        default: measured = nil
        }
        guard let measured, let comparison = rule.comparison else {
            lines.append("-- quality \(name): not evaluated on a file")
            return
        }
        var number = JSONNumber(Int64(measured))
        if case .percent = rule.unit {
            guard rows > 0, let share = JSONNumber(shortest: Double(measured) * 100 / Double(rows)) else {
                lines.append("-- quality \(name): no rows")
                return
            }
            number = share
        }
        let holds = comparison.holds(number)
        lines.append("\(holds ? "ok" : "FAIL") quality \(name): \(number.text)")
        if !holds { isBroken = true }
    }

    private static func violation(
        _ line: UnsafeRawBufferPointer, _ parser: JSONParser, _ contract: CompiledContract, _ now: Int64
    ) -> Violation? {
        do throws(JSONError) {
            let root = try parser.parse(line)
            switch CloudEvent.decode(root, nowMicros: now) {
            case .failure(let violation): return violation
            // A retraction carries nothing that could hold to a contract.
            case .success(let event): return event.isRetraction ? nil : contract.check(event, nowMicros: now)
            }
        } catch {
            return Violation(error)
        }
    }
}
