import Crypto
import Glibc
import HTTP
import Postgres
import Synchronization

/// Where the rows of training sets are: one CSV file each, below a bound for all of them.
final class TrainingStore: Sendable {
    let directory: String
    let budget: DiskBudget
    /// Sets that are being written: files without a row in PostgreSQL yet.
    private let unfinished = Mutex<Set<String>>([])

    /// Makes the directory if need be and removes what an earlier process had not finished.
    init(directory: String, bytesMax: Int) throws(FileError) {
        self.directory = directory
        try Files.makeDirectory(directory, mode: 0o700)
        var used = 0
        for name in try Files.names(in: directory) {
            let path = "\(directory)/\(name)"
            if name.hasSuffix(Self.partSuffix) {
                Files.remove(path)
            } else if let file = try? BodyFile(reading: path) {
                used += file.count
            }
        }
        budget = DiskBudget(bytesMax: bytesMax, used: used)
    }

    private static let suffix = ".csv"
    private static let partSuffix = ".part"

    private func path(_ id: String) -> String { "\(directory)/\(id)\(Self.suffix)" }

    /// The rows of a set; nil when they are not on this machine.
    func rows(_ id: RecordID) -> BodyFile? { try? BodyFile(reading: path(id.text)) }

    /// Begins the file of a set.
    func begin(_ id: RecordID) throws(Problem) -> TrainingFile {
        unfinished.withLock { _ = $0.insert(id.text) }
        return try TrainingFile(path: path(id.text) + Self.partSuffix, budget: budget)
    }

    /// Puts a complete file in its place.
    func publish(_ id: RecordID) throws(Problem) {
        guard rename(path(id.text) + Self.partSuffix, path(id.text)) == 0 else { throw Self.unwritable }
    }

    /// The set has its row in PostgreSQL, or never will.
    func settle(_ id: RecordID, isKept: Bool) {
        if !isKept { remove(id.text) }
        unfinished.withLock { _ = $0.remove(id.text) }
    }

    /// Removes the rows of a set.
    func remove(_ id: String) {
        Files.remove(path(id) + Self.partSuffix)
        guard let file = try? BodyFile(reading: path(id)) else { return }
        Files.remove(path(id))
        budget.release(file.count)
    }

    /// Removes files that no row names: of jobs that ended between the file and its row.
    func sweep(_ connection: PostgresConnection, journal: UInt128) throws(PostgresError) {
        let known = try TrainingSet.ids(journal: journal, connection)
        let busy = unfinished.withLock { $0 }
        guard let names = try? Files.names(in: directory) else { return }
        for name in names where name.hasSuffix(Self.suffix) {
            let id = String(name.dropLast(Self.suffix.count))
            if !known.contains(id) && !busy.contains(id) { remove(id) }
        }
    }

    static let unwritable = Problem(
        503, "disk_full", "The rows cannot be written; the disk may be full.", retryAfter: 60)
}

/// The file of a training set while it is written: buffered, hashed, counted against the budget.
final class TrainingFile {
    private let path: String
    private let descriptor: Int32
    private var reservation: DiskReservation
    private var buffer: [UInt8] = []
    private var hasher = SHA256()
    /// Bytes handed over so far.
    private(set) var count = 0

    fileprivate init(path: String, budget: DiskBudget) throws(Problem) {
        self.path = path
        reservation = DiskReservation(budget)
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TrainingStore.unwritable }
        buffer.reserveCapacity(ServiceLimits.trainingPieceBytes + ServiceLimits.trainingRowBytesMax)
    }

    deinit { close(descriptor) }

    /// Appends bytes.
    func append(_ bytes: [UInt8]) throws(Problem) {
        buffer.append(contentsOf: bytes)
        count += bytes.count
        if buffer.count >= ServiceLimits.trainingPieceBytes { try flush() }
    }

    private func flush() throws(Problem) {
        try reservation.add(buffer.count)
        buffer.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        var offset = 0
        while offset < buffer.count {
            let put = buffer.withUnsafeBytes { write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw TrainingStore.unwritable }
            offset += put
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes what is left and makes it durable; the SHA-256 of everything.
    func finish() throws(Problem) -> String {
        try flush()
        guard fsync(descriptor) == 0 else { throw TrainingStore.unwritable }
        reservation.keep(count)
        let digits = Array("0123456789abcdef".utf8)
        let text = hasher.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
