import Access
import Glibc
import JSON

/// How the process ends by itself.
enum Exit {
    /// sysexits EX_IOERR-like code for a journal that cannot be written: the supervisor restarts, recovery replays.
    static let journalFailed: Int32 = 70

    /// Ends the process at once, without unwinding: nothing may be acknowledged any more.
    static func now(_ code: Int32) -> Never {
        _exit(code)
    }
}

/// What the kernel says of this process.
enum ProcessStatus {
    /// Resident memory in bytes; 0 when it cannot be read.
    static func residentBytes() -> Int64 {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = buffer.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        guard count > 0 else { return 0 }
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int64(fields[1]) else { return 0 }
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// The first API key, role `admin`: given, or made once and kept in the data directory.
public struct BootstrapKey: Sendable {
    /// The key's record, as if it had been journaled.
    let frame: KeyFrame
    /// The key itself when it was made by this start, to be printed once.
    public let fresh: String?

    /// - Throws: when the given key is not one, or the file cannot be read or written.
    public init(configuration: ServiceConfiguration) throws(ServiceError) {
        let path = configuration.dataDirectory + "/bootstrap.key"
        var fresh: String?
        let text: String
        do throws(FileError) {
            try Files.makeDirectory(configuration.dataDirectory, mode: 0o700)
            if let given = configuration.bootstrapKey {
                text = given
            } else if let kept = try Files.read(path) {
                text = String(decoding: kept, as: UTF8.self).trimmingLine
            } else {
                let key = APIKey(
                    idBytes: Randomness.bytes(APIKey.idBytes), secret: Randomness.bytes(APIKey.secretBytes))
                try Files.replace(path, with: Array((key.text + "\n").utf8), mode: 0o600)
                text = key.text
                fresh = key.text
            }
        } catch {
            throw ServiceError("data_directory", error.message)
        }
        let key: APIKey
        do throws(APIKey.ParseError) {
            key = try APIKey(parsing: text)
        } catch {
            throw ServiceError(
                "bootstrap_key", "the bootstrap key is not an API key (\(error.code)); remove it to have one made")
        }
        frame = KeyFrame(
            id: key.id.description, name: "bootstrap", hash: Array(key.hash.hex.utf8), roles: [PolicySet.adminRole],
            createdMicros: 1, expiresMicros: 0, revokedMicros: 0)
        self.fresh = fresh
    }
}

extension String {
    /// Without a line end.
    fileprivate var trimmingLine: String {
        var text = self
        while let last = text.last, last.isNewline || last == " " { text.removeLast() }
        return text
    }
}
