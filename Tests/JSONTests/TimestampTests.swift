import Foundation
import JSON
import Testing

struct TimestampTests {
    static let accepted: [(String, String)] = [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"), ("2010-12-01T09:32:00.000Z", "2010-12-01T09:32:00.000Z"),
        ("2010-12-01t09:32:00z", "2010-12-01T09:32:00.000Z"), ("2010-12-01T09:32:00+02:00", "2010-12-01T07:32:00.000Z"),
        ("2011-01-01T00:30:00.5+01:00", "2010-12-31T23:30:00.500Z"),
        ("2010-12-31T23:30:00-00:45", "2011-01-01T00:15:00.000Z"),
        ("2000-02-29T00:00:00.1234567Z", "2000-02-29T00:00:00.123456Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"), ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000Z"),
        ("2024-02-29T12:00:00-00:00", "2024-02-29T12:00:00.000Z"), ("1900-03-01T00:00:00Z", "1900-03-01T00:00:00.000Z"),
    ]

    @Test(arguments: accepted)
    func accepts(_ text: String, _ expected: String) throws {
        let micros = try #require(Timestamp.parse(text))
        #expect(Timestamp.text(micros) == expected)
    }

    static let refused = [
        "", "2010-12-01", "2010-12-01T09:32:00", "2010-12-01T09:32Z", "01/12/2010 08:26", "2010-12-01 09:32:00Z",
        "2010-13-01T00:00:00Z", "2010-00-01T00:00:00Z", "2010-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "2010-04-31T00:00:00Z", "2010-12-00T00:00:00Z", "2010-12-01T24:00:00Z", "2010-12-01T23:60:00Z",
        "2010-12-01T23:59:61Z", "2010-12-01T12:00:60Z", "2010-12-30T23:59:60Z", "2010-12-01T09:32:00.Z",
        "2010-12-01T09:32:00+0200", "2010-12-01T09:32:00+02", "2010-12-01T09:32:00+24:00", "2010-12-01T09:32:00+02:60",
        "2010-12-01T09:32:00ZZ", "2010-12-01T09:32:00Z ", " 2010-12-01T09:32:00Z", "20101-12-01T09:32:00Z",
        "2010-12-01T09:32:00.5", "2010-12-01T09:3a:00Z", "+010-12-01T09:32:00Z", "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z", "9999-12-31T23:59:00-00:01", "2010-12-01T09:32:00,5Z",
    ]

    @Test(arguments: refused)
    func refuses(_ text: String) {
        #expect(Timestamp.parse(text) == nil)
    }

    @Test func agreesWithTheCalendarOfTheSystem() {
        var random = SplitMix(state: 9)
        for _ in 0..<20_000 {
            let seconds = Int64.random(in: -62_135_596_800...253_402_300_799, using: &random)
            var time = time_t(seconds)
            var parts = tm()
            gmtime_r(&time, &parts)
            let date = Timestamp.civil(dayNumber: seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
            #expect(date.year == Int(parts.tm_year) + 1900 && date.month == Int(parts.tm_mon) + 1)
            #expect(date.day == Int(parts.tm_mday))
            let micros = seconds * 1_000_000 + Int64.random(in: 0..<1_000_000, using: &random)
            #expect(Timestamp.parse(Timestamp.text(micros)) == micros)
        }
        #expect(Timestamp.text(.max) == "9999-12-31T23:59:59.999999Z")
        #expect(Timestamp.text(.min) == "0001-01-01T00:00:00.000Z")
    }
}
