import Foundation
import JSON
import Testing

@testable import Models

@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct ContributionsTests {
    /// The recorded contributions, unpacked: `rows` of [output][feature].
    static func recorded(_ set: GoldenSet) throws -> [[Double]]? {
        let name = set.golden.replacingOccurrences(of: "golden/", with: "contribs/") + ".gz"
        guard let url = SharedData.url("data/models/" + name), FileManager.default.fileExists(atPath: url.path) else {
            return nil
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gunzip", "-c", url.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let bytes = [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
        process.waitUntilExit()
        let tree = try JSONTree(parsing: bytes)
        let rows = try #require((tree["rows"] ?? tree["contribs"] ?? tree).array)
        return rows.map { row in
            (row.array ?? []).flatMap { output in output.array?.map { $0.double ?? .nan } ?? [output.double ?? .nan] }
        }
    }

    /// LightGBM: every bit. XGBoost, which computes in float32: relative to the largest contribution. All add up to the
    /// margin.
    @Test(arguments: GoldenSet.all.filter { !$0.name.hasPrefix("skl") })
    func agreesWithTheLibrary(_ set: GoldenSet) throws {
        guard let recorded = try Self.recorded(set) else { return }
        let model = try set.load(set.files[0])
        let rows = try PredictionTests.inputs(set.golden)
        #expect(rows.count == recorded.count)
        var different = 0
        var prediction = model.makePrediction()
        for (row, wanted) in zip(rows, recorded).prefix(60) {
            let got = try #require(model.contributions(row))
            #expect(got.count == wanted.count)
            model.predict(row, into: &prediction)
            let residual = model.additivityResidual(got, margin: prediction.margin)
            #expect(residual <= model.additivityTolerance)
            if model.outputWidth == .float64 {
                different += zip(got, wanted).count(where: { $0 != $1 })
            } else {
                let scale = wanted.reduce(1) { max($0, abs($1)) }
                different += zip(got, wanted).count(where: { abs($0 - $1) > 1e-5 * scale })
            }
        }
        #expect(different == 0)
    }
}
