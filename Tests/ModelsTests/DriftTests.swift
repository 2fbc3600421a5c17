import Foundation
import JSON
import Testing

@testable import Models

/// The recorded drift figures of numpy and scipy (`shared/data/drift`).
@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct DriftRecordTests {
    /// A CSV without quotes, by column; an empty cell is nil.
    static func columns(_ name: String) throws -> [String: [String?]] {
        let lines = try String(decoding: SharedData.bytes("data/drift/\(name).csv"), as: UTF8.self)
            .split(whereSeparator: \.isNewline)
            .map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        var columns: [String: [String?]] = [:]
        for (index, name) in lines[0].enumerated() {
            columns[name] = lines.dropFirst().map { $0[index].isEmpty ? nil : $0[index] }
        }
        return columns
    }

    static func numbers(_ column: [String?]) throws -> [Double] {
        try column.map { text in try text.map { try #require(Double($0)) } ?? .nan }
    }

    static func isClose(_ got: Double, _ wanted: Double, relative: Double) -> Bool {
        abs(got - wanted) <= relative * abs(wanted)
    }

    @Test(arguments: ["no_shift", "moderate_shift", "strong_shift"])
    func agreesWithNumpyAndScipy(_ sample: String) throws {
        let record = try SharedData.json("data/drift/expected.json")
        let reference = try Self.columns("reference")
        let current = try Self.columns(sample)
        let features = try #require(record["results"]?[sample]?.object)
        #expect(features.count == 20)
        for member in features {
            let (feature, wanted) = (member.key, member.value)
            let old = try #require(reference[feature])
            let new = try #require(current[feature])
            let report: DriftReport
            var categories: [String] = []
            if wanted["kind"]?.string == "numeric" {
                let numeric = try NumericReference(samples: Self.numbers(old))
                #expect(numeric.isExact)
                #expect(numeric.edges == wanted["edges"]?.array?.map { $0.double ?? .nan }, "\(feature)")
                report = try DriftReport.compare(reference: Self.numbers(old), current: Self.numbers(new))
                let ks = try #require(report.kolmogorovSmirnov)
                #expect(ks.statistic == wanted["ks"]?.double, "\(feature)")
                #expect(ks.statisticMax == ks.statistic)
                let p = try #require(wanted["ks_p_scipy_asymp"]?.double)
                #expect(Self.isClose(ks.pValue(), p, relative: 1e-9), "\(feature): \(ks.pValue()), not \(p)")
                let limit = try #require(wanted["ks_p_kolmogorov"]?.double)
                #expect(Self.isClose(ks.pValueOfLimit(), limit, relative: 1e-9), "\(feature): \(limit)")
                #expect(report.referenceRows == 500)
            } else {
                report = try DriftReport.compare(reference: old, current: new)
                categories = wanted["categories"]?.array?.compactMap(\.string) ?? []
                #expect(report.bins.dropLast().map(\.content) == categories.map { .category($0) })
                #expect(report.kolmogorovSmirnov == nil)
                #expect(report.currentRows == wanted["n_current"]?.int64)
            }
            // Texts without missing values are recorded without a bin for them.
            let bins = categories.isEmpty ? report.bins[...] : report.bins.dropLast()
            #expect(bins.map(\.reference) == wanted["reference_proportions"]?.array?.compactMap(\.double))
            #expect(bins.map(\.current) == wanted["current_proportions"]?.array?.compactMap(\.double))
            let psi = try #require(wanted["psi"]?.double)
            #expect(Self.isClose(report.psi, psi, relative: 1e-12), "\(feature): \(report.psi), not \(psi)")
        }
    }

    /// What is rolled up by bucket, stored, read and added up gives the same report as the sample at once.
    @Test func rollupsGiveTheSameReport() throws {
        let reference = try Self.columns("reference")
        let current = try Self.columns("strong_shift")
        let amounts = try Self.numbers(#require(current["credit_amount"]))
        let numeric = try ReferenceDistribution.numeric(
            NumericReference(samples: Self.numbers(#require(reference["credit_amount"]))))
        var total = DriftWindow(reference: numeric)
        for start in stride(from: 0, to: amounts.count, by: 37) {
            var bucket = DriftWindow(reference: numeric)
            for value in amounts[start..<min(start + 37, amounts.count)] { bucket.observe(value) }
            total += try DriftWindow.decode(bucket.encode(), reference: numeric)
        }
        let report = try DriftReport(total)
        let whole = try DriftReport.compare(
            reference: Self.numbers(#require(reference["credit_amount"])), current: amounts)
        #expect(report == whole)
        #expect(report.band == .major)
        #expect(report.currentNullRate == 28.0 / 300)
        #expect(report.referenceNullRate == 0)
    }
}

struct KolmogorovDistributionTests {
    /// scipy 1.17.1 `kstwo.sf(d, n)`, at least one for each method.
    static let tails: [(n: Int, d: Double, p: Double)] = [
        (1, 0.7, 0.6000000000000001),
        (2, 0.3, 0.98),
        (5, 0.15, 0.9988),
        (5, 0.85, 0.0001518750000000001),
        (10, 0.55, 0.0022805103214843725),
        (40, 0.06, 0.9970033712610589),
        (40, 0.3, 0.0010904155041397967),
        (120, 0.05, 0.910263694858373),
        (140, 0.15, 0.0032495604415101703),
        (140, 0.2, 2.1981563302200222e-05),
        (139, 0.6, 2.2207620411040823e-48),
        (250, 0.03, 0.9730856777604212),
        (250, 0.05, 0.5427406465653757),
        (250, 0.0938, 0.022972516002987997),
        (500, 0.02, 0.9859871786857471),
        (1000, 0.0095, 0.9999851371763746),
        (1000, 0.02, 0.8108971656895577),
        (1000, 0.2, 1.5528629204250538e-35),
        (10000, 0.0025, 0.9999999655622609),
        (10000, 0.01, 0.2682191277029192),
        (10000, 0.03, 2.9761211950626197e-08),
        (200000, 0.002, 0.39995085369038097),
        (200000, 0.001, 0.9881500208855729),
        (200000, 0.006, 1.110220331461174e-06),
        (3000000, 0.001, 0.0049542003601089),
        (150, 0.006, 1.0),
        (200, 0.9, 2.1356950315873287e-200),
        (300, 0.99, 0.0),
        (1000, 0.62, 0.0),
    ]

    @Test(arguments: tails)
    func agreesWithScipy(_ n: Int, _ d: Double, _ p: Double) {
        let got = KolmogorovDistribution.tail(count: n, distance: d)
        #expect(abs(got - p) <= 1e-9 * p, "\(got)")
    }

    /// scipy 1.17.1 `special.kolmogorov(z)`.
    @Test(arguments: [
        (0.03, 1.0),
        (0.2, 0.999999999999495),
        (0.5, 0.9639452436648751),
        (0.82, 0.5119717052984973),
        (1.0, 0.26999967167735456),
        (1.3, 0.06809222184476636),
        (3.0, 3.045995948942526e-08),
        (8.0, 5.14441874528483e-56),
    ])
    func limitAgreesWithScipy(_ z: Double, _ p: Double) {
        let got = KolmogorovDistribution.tailOfLimit(z)
        #expect(abs(got - p) <= 1e-12 * p, "\(got)")
    }

    @Test func edges() {
        #expect(KolmogorovDistribution.tail(count: 0, distance: 0.5) == 1)
        #expect(KolmogorovDistribution.tail(count: 9, distance: 0) == 1)
        #expect(KolmogorovDistribution.tail(count: 9, distance: 1) == 0)
        #expect(KolmogorovDistribution.tail(count: 100_000, distance: 0.1) == 0)
        #expect(KolmogorovDistribution.tailOfLimit(0) == 1)
    }
}
