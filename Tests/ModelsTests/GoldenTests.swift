import Foundation
import JSON
import Testing

@testable import Models

@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct GoldenTests {
    @Test func indexIsComplete() {
        #expect(GoldenSet.all.count == 102)
        #expect(Set(GoldenSet.all.map(\.name)).count == 99)
    }

    /// Tolerance for all; every bit for XGBoost and LightGBM, every bit of the margin for the scorecard.
    @Test(arguments: GoldenSet.all)
    func agreesWithTheLibrary(_ set: GoldenSet) throws {
        let golden = try SharedData.json("data/models/" + set.golden)
        #expect(!set.files.isEmpty)
        for file in set.files {
            let report = try GoldenReport(model: set.load(file), golden: golden, tolerance: set.tolerance)
            #expect(report.rowsTotal > 0)
            #expect(report.rowsAgreeing == report.rowsTotal, "\(file): \(report.disagreements)")
            if ProcessInfo.processInfo.environment["MODELS_VERBOSE"] != nil {
                print("golden", file, set.golden, report.rowsTotal, report.rowsAgreeing, report.rowsExact)
            }
            if set.name.hasPrefix("skl") {
                // The recorded probabilities come from a vector exp that differs from libm's in the last bit.
                let close = GoldenReport.Tolerance(margin: set.name.contains("card") ? 0 : 1e-12, prediction: 1e-12)
                let report = try GoldenReport(model: set.load(file), golden: golden, tolerance: close)
                #expect(report.rowsAgreeing == report.rowsTotal, "\(file): \(report.disagreements)")
            } else {
                #expect(report.rowsExact == report.rowsTotal, "\(file)")
            }
        }
    }
}
