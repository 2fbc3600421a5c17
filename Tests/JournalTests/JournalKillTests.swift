import Foundation
import JournalSimulation
import Testing

@testable import Journal

@Suite struct JournalKillTests {
    /// Beside the test's own binary.
    private var child: String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (own as NSString).deletingLastPathComponent + "/journal-append-forever"
    }

    private func expectedPayload(_ seq: UInt64) -> [UInt8] {
        var bytes = withUnsafeBytes(of: seq.littleEndian) { Array($0) }
        bytes.append(contentsOf: repeatElement(UInt8(truncatingIfNeeded: seq), count: Int(seq * 37 % 3000)))
        return bytes
    }

    /// Runs the child for a while, ends it with kill -9, returns the last number that it acknowledged.
    private func runAndKill(_ path: String, milliseconds: Int) throws -> UInt64 {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: child)
        process.arguments = [path]
        process.standardOutput = pipe
        try process.run()
        usleep(UInt32(milliseconds * 1000))
        kill(process.processIdentifier, SIGKILL)
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGKILL)
        // A last line without its newline was not said whole.
        return said.split(separator: "\n", omittingEmptySubsequences: false).dropLast().compactMap { UInt64($0) }.last
            ?? 0
    }

    @Test func killedTwentyTimesNothingAcknowledgedIsLost() throws {
        let directory = try TemporaryDirectory()
        var random = SplitMix64(seed: 20)
        var acknowledged: UInt64 = 0
        var options = JournalOptions()
        options.segmentBytes = 1 << 20
        options.queueBytesMax = 8 << 20
        for round in 1...20 {
            let said = try runAndKill(directory.path, milliseconds: Int.random(in: 5...250, using: &random))
            acknowledged = max(acknowledged, said)
            var next: UInt64 = 1
            let recovered = try JournalRecovery.open(PosixStorage(path: directory.path), options: options) {
                (frame) throws(ReplayRefusal) in
                guard frame.seq == next, frame.type == UInt8(truncatingIfNeeded: frame.seq),
                    frame.payload.elementsEqual(expectedPayload(frame.seq))
                else { throw ReplayRefusal("not what was appended") }
                next += 1
            }
            recovered.abandon()
            #expect(next > acknowledged, "round \(round): \(acknowledged) acknowledged, \(next - 1) found")
        }
        // How many a slow machine gets to acknowledge in that time says nothing.
        #expect(acknowledged > 0)
    }
}
