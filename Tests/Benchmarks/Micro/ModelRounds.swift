import Foundation
import Models

/// A model beside its peers, for the section models of `deploy/bench`: it answers all rows, then serves rounds of
/// measurement that are asked for on its standard input, as `tree_peers.c` does and tells.
///
///     decisiond-microbench model MODEL ROWS ANSWERS
struct ModelRounds {
    private static let batchRows = 10_000
    private static let warmRows = 200
    private static let explainedRows = 200

    private let bytes: [UInt8]
    private let model: Model
    private let columns: Int
    private let rows: Int
    private let values: [Double]
    private var prediction: Prediction
    private var next = 0
    private var sink = 0.0

    /// Reads the rows, then loads the model and says what that took.
    init(model path: String, rows rowsPath: String) throws {
        let file = Array(try Data(contentsOf: URL(fileURLWithPath: rowsPath)))
        (rows, columns) = file.withUnsafeBytes {
            (Int($0.load(as: UInt64.self)), Int($0.load(fromByteOffset: 8, as: UInt64.self)))
        }
        values = file.withUnsafeBytes { bytes in
            Array(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(16)).bindMemory(to: Double.self))
        }
        guard values.count == rows * columns, rows >= Self.batchRows else { throw CocoaError(.fileReadCorruptFile) }
        bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        let before = Self.residentKib()
        let start = Self.nanoseconds()
        model = try Model.load(bytes)
        prediction = model.makePrediction()
        print("load \(Self.nanoseconds() - start)")
        guard model.featureCount == columns else { throw CocoaError(.fileReadCorruptFile) }
        _ = single(0)
        print("resident_kib \(Self.residentKib() - before)")
    }

    /// Writes the answers to all rows, for comparison.
    mutating func answer(_ prefix: String) throws {
        try Self.save((0..<rows).map { single($0) }, prefix + ".single")
        try Self.save(batch(), prefix + ".batch")
        let explained = (0..<Self.explainedRows).flatMap { model.contributions(row($0)) ?? [] }
        try Self.save(explained, prefix + ".shap")
    }

    /// Serves until the standard input ends.
    mutating func serve() throws {
        print("ready")
        fflush(nil)
        while let line = readLine() {
            let start = Self.nanoseconds()
            if line.hasPrefix("single ") {
                print("single \(singleRound(milliseconds: Double(line.dropFirst(7)) ?? 100))")
            } else if line == "batch" {
                sink += batch()[0]
                print("batch \((Self.nanoseconds() - start) / Double(Self.batchRows))")
            } else if line == "shap" {
                print("shap \(explainRound())")
            } else if line == "load" {
                let again = try Model.load(bytes)
                let time = Self.nanoseconds() - start
                print("load \(time)")
                sink += Double(again.treeCount)
            }
            fflush(nil)
        }
    }

    /// One row as an array.
    private func row(_ index: Int) -> [Double] {
        Array(values[(index * columns)..<((index + 1) * columns)])
    }

    /// The prediction of one row.
    private mutating func single(_ index: Int) -> Double {
        values.withUnsafeBufferPointer { values in
            model.predict(
                UnsafeBufferPointer(rebasing: values[(index * columns)..<((index + 1) * columns)]), into: &prediction)
        }
        return prediction.values[0]
    }

    /// Predictions of the first rows in one call.
    private mutating func batch() -> [Double] {
        var margins = [Double](repeating: 0, count: Self.batchRows)
        var results = margins
        values.withUnsafeBufferPointer { values in
            margins.withUnsafeMutableBufferPointer { margins in
                results.withUnsafeMutableBufferPointer { results in
                    model.predictBatch(
                        UnsafeBufferPointer(rebasing: values[..<(Self.batchRows * columns)]), using: &prediction,
                        margins: margins, values: results)
                }
            }
        }
        return results
    }

    /// Nanoseconds a row, one at a time, for about so long; goes on where the last round stopped.
    private mutating func singleRound(milliseconds: Double) -> Double {
        for offset in 0..<Self.warmRows { sink += single((next + rows - Self.warmRows + offset) % rows) }
        let start = Self.nanoseconds()
        var now = start
        var done = 0
        repeat {
            for _ in 0..<64 {
                sink += single(next)
                next = next + 1 == rows ? 0 : next + 1
            }
            done += 64
            now = Self.nanoseconds()
        } while now < start + milliseconds * 1e6
        return (now - start) / Double(done)
    }

    /// Nanoseconds that the contributions of one row take.
    private mutating func explainRound() -> Double {
        let chosen = (0..<Self.explainedRows).map { row($0) }
        sink += model.contributions(chosen[0])?[0] ?? 0
        let start = Self.nanoseconds()
        for row in chosen { sink += model.contributions(row)?[0] ?? 0 }
        return (Self.nanoseconds() - start) / Double(Self.explainedRows)
    }

    /// Processor time of the process.
    private static func nanoseconds() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
        return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
    }

    /// Memory of this process that is resident [KiB].
    private static func residentKib() -> Int {
        // A file of the kernel has no size to be read by.
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024
    }

    /// Writes numbers as they lie in memory.
    private static func save(_ numbers: [Double], _ path: String) throws {
        try numbers.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path)) }
    }
}
