import JSON
import Testing

@testable import Service

@Suite struct RecordIDTests {
    @Test func textRoundTrip() throws {
        var random = SeededGenerator(1)
        for _ in 0..<1_000 {
            let id = RecordID(high: random.next(), low: random.next())
            #expect(id.text.utf8.count == 36)
            #expect(RecordID(id.text) == id)
            #expect(RecordID(id.text.uppercased()) == id)
        }
        #expect(
            RecordID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210).text
                == "01234567-89ab-cdef-fedc-ba9876543210")
    }

    @Test(arguments: [
        "", "01234567-89ab-cdef-fedc-ba987654321", "01234567-89ab-cdef-fedc-ba98765432100",
        "0123456789abcdeffedcba9876543210", "01234567-89ab-cdef-fedc-ba987654321g",
        "{01234567-89ab-cdef-fedc-ba9876543210}", "01234567_89ab-cdef-fedc-ba9876543210",
        "01234567-89ab-cdef-fedcba-9876543210", "０1234567-89ab-cdef-fedc-ba9876543210",
        " 1234567-89ab-cdef-fedc-ba9876543210",
    ]) func otherTexts(_ text: String) {
        #expect(RecordID(text) == nil)
    }

    /// RFC 9562, 5.7: version 7, variant 10, milliseconds first.
    @Test func versionAndOrder() {
        var random = SeededGenerator(2)
        var last = ""
        for step in 0..<500 {
            let micros = 1_700_000_000_000_000 + Int64(step) * 1_000
            let id = RecordID(micros: micros, random: (random.next(), random.next()))
            #expect(id.high >> 12 & 0xF == 7 && id.low >> 62 == 2)
            #expect(Int64(id.high >> 16) == micros / 1_000)
            #expect(id.text > last)
            last = id.text
        }
        #expect(RecordID(micros: -5, random: (0, 0)).high >> 16 == 0)
    }

    @Test func freshIdsDiffer() {
        var random = SeededGenerator(3)
        let ids = (0..<10_000).map { _ in RecordID(micros: 0, random: (random.next(), random.next())) }
        #expect(Set(ids).count == ids.count)
    }

    @Test func asPostgres() {
        let id = RecordID(high: 1, low: 2)
        #expect(id.uint128 == UInt128(1) << 64 | 2)
    }
}
