import JSON

/// A CSV body with a header, as pandas writes it (`to_csv(index=False)`), read for one model. An empty cell without quotes
/// is missing; the inputs of the model say what the others are. Columns that the model does not take are ignored.
struct InvocationCSV {
    /// A column of the file: the input that it holds, nil for one that the model does not take.
    private struct Column {
        let name: String
        let input: ModelInput?
        let categories: Set<String>
    }

    let model: ServedModel

    /// The rows of a body.
    func rows(_ body: UnsafeRawBufferPointer) throws(Problem) -> RowTable {
        guard String(validating: body, as: UTF8.self) != nil else {
            throw InvocationReader.problem("the CSV text is not UTF-8")
        }
        var reader = CSVReader(columnsMax: ServiceLimits.scoreCellsMax, recordBytesMax: body.count)
        var columns: [Column]?
        var table: RowTable?
        var problem: Problem?
        let take = { (record: CSVRecord) throws(Problem) in
            guard let known = columns else {
                let header = columnsOfHeader(record)
                columns = header
                table = RowTable(columns: header.map(\.name))
                return
            }
            let row = table?.rowCount ?? 0
            try RowTable.check(rows: row + 1, columns: known.count)
            table?.append(try Self.cells(record, known, row: row))
        }
        do {
            try reader.append(body, take)
            try reader.finish(take)
        } catch let error as CSVError {
            problem = InvocationReader.problem("line \(error.line) of the CSV text: \(error.code)")
        } catch let error as Problem {
            problem = error
        } catch {
            problem = InvocationReader.problem("the CSV text cannot be read")
        }
        if let problem { throw problem }
        guard let table else { throw InvocationReader.problem("the CSV text has no header") }
        return table
    }

    private func columnsOfHeader(_ record: CSVRecord) -> [Column] {
        let byName = Dictionary(model.inputs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return (0..<record.count).map { index in
            let name = record.text(index)
            let input = byName[name]
            return Column(name: name, input: input, categories: Set(input?.categories ?? []))
        }
    }

    private static func cells(_ record: CSVRecord, _ columns: [Column], row: Int) throws(Problem) -> [RowCell] {
        guard record.count == columns.count else {
            throw InvocationReader.problem("line \(record.line) of the CSV text has not as many cells as the header")
        }
        return columns.enumerated().map { index, column in
            guard let input = column.input, !record.isNull(index) else { return .missing }
            return cell(record.text(index), input.kind, column.categories)
        }
    }

    /// What a text is for an input of this kind. One that is no such thing stays a text, which the input then refuses.
    private static func cell(_ text: String, _ kind: ModelInput.Kind, _ categories: Set<String>) -> RowCell {
        switch kind {
        case .category where categories.contains(text): return .text(text)
        case .boolean, .number:
            // A number may have been trained on booleans, which pandas writes as words.
            switch text {
            case "true", "True", "TRUE": return .bool(true)
            case "false", "False", "FALSE": return .bool(false)
            default: break
            }
        case .integer, .category: break
        }
        return number(text).map { .number($0) } ?? .text(text)
    }

    /// A finite decimal number: neither the words nor the hexadecimal digits that the standard library reads, too.
    private static func number(_ text: String) -> Double? {
        let isDecimal = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || "+-.eE".utf8.contains($0)
        }
        guard isDecimal, let number = Double(text), number.isFinite else { return nil }
        return number
    }
}
