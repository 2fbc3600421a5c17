import CJournalShims
import Glibc
import Synchronization

/// A journal's directory on a POSIX file system.
public final class PosixStorage: JournalStorage {
    /// An open descriptor and the name that it was opened by.
    public struct File: Sendable {
        let descriptor: Int32
        let name: String
    }

    /// The directory, as given.
    public let path: String
    private let directory: Int32
    private let lockDescriptor = Mutex<Int32>(-1)

    /// Opens `path`; with `creating` the last component is made (mode 0700) when it is missing.
    public init(path: String, creating: Bool = true) throws(StorageError) {
        self.path = path
        if creating, mkdir(path, 0o700) != 0, errno != EEXIST {
            throw StorageError(operation: .create, number: errno, file: path)
        }
        directory = cjournal_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if directory < 0 { throw StorageError(operation: .open, number: errno, file: path) }
    }

    deinit {
        unlock()
        _ = Glibc.close(directory)
    }

    /// readdir(3) of the directory.
    public func names() throws(StorageError) -> [String] {
        // A descriptor of its own: readdir(3) moves the offset that a duplicate would share.
        let descriptor = cjournal_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0, let stream = fdopendir(descriptor) else { throw failure(.list, path) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw failure(.list, path) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// openat(2) with O_EXCL, posix_fallocate(3), zeros if asked; unlinked again when it fails.
    public func create(_ name: String, bytes: Int64, preallocation: Preallocation) throws(StorageError) -> File {
        let descriptor = cjournal_openat(directory, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw failure(.create, name) }
        let file = File(descriptor: descriptor, name: name)
        do throws(StorageError) {
            let result = posix_fallocate(descriptor, 0, off_t(bytes))
            if result != 0 { throw StorageError(operation: .allocate, number: result, file: name) }
            if preallocation == .zeroFill { try fillWithZeros(file, bytes: bytes) }
            return file
        } catch {
            _ = Glibc.close(descriptor)
            _ = unlinkat(directory, name, 0)
            throw error
        }
    }

    private func fillWithZeros(_ file: File, bytes: Int64) throws(StorageError) {
        let zeros = [UInt8](repeating: 0, count: Int(min(bytes, Int64(JournalLimits.zeroFillBytes))))
        var offset: Int64 = 0
        while offset < bytes {
            let count = Int(min(Int64(zeros.count), bytes - offset))
            try zeros.withUnsafeBufferPointer { (buffer) throws(StorageError) in
                try write(UnsafeRawBufferPointer(start: buffer.baseAddress, count: count), to: file, at: offset)
            }
            try synchronize(file)
            offset += Int64(count)
        }
    }

    /// openat(2).
    public func open(_ name: String, access: FileAccess) throws(StorageError) -> File {
        let mode = access == .read ? O_RDONLY : O_RDWR
        let descriptor = cjournal_openat(directory, name, mode | O_CLOEXEC, 0)
        if descriptor < 0 { throw failure(.open, name) }
        return File(descriptor: descriptor, name: name)
    }

    /// fstat(2).
    public func size(of file: File) throws(StorageError) -> Int64 {
        var status = stat()
        if fstat(file.descriptor, &status) != 0 { throw failure(.size, file.name) }
        return Int64(status.st_size)
    }

    /// pwrite(2) until all is written; EINTR is retried.
    public func write(_ bytes: UnsafeRawBufferPointer, to file: File, at offset: Int64) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(file.descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(.write, file.name)
            }
            // A write that makes no progress and gives no error would loop for ever.
            if count == 0 { throw StorageError(operation: .write, number: ENOSPC, file: file.name) }
            done += count
        }
    }

    /// pread(2) until the buffer is full or the file ends; EINTR is retried.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, from file: File, at offset: Int64
    ) throws(StorageError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(file.descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(.read, file.name)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// fdatasync(2), once.
    public func synchronizeData(_ file: File) throws(StorageError) {
        if fdatasync(file.descriptor) != 0 { throw failure(.synchronize, file.name) }
    }

    /// fsync(2), once.
    public func synchronize(_ file: File) throws(StorageError) {
        if fsync(file.descriptor) != 0 { throw failure(.synchronize, file.name) }
    }

    /// posix_fadvise(2) DONTNEED.
    public func dropCache(_ file: File) {
        _ = posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// ftruncate(2).
    public func truncate(_ file: File, to bytes: Int64) throws(StorageError) {
        if ftruncate(file.descriptor, off_t(bytes)) != 0 { throw failure(.truncate, file.name) }
    }

    /// close(2).
    public func close(_ file: File) { _ = Glibc.close(file.descriptor) }

    /// renameat(2).
    public func rename(_ name: String, to newName: String) throws(StorageError) {
        if renameat(directory, name, directory, newName) != 0 { throw failure(.rename, name) }
    }

    /// unlinkat(2).
    public func remove(_ name: String) throws(StorageError) {
        if unlinkat(directory, name, 0) != 0 { throw failure(.remove, name) }
    }

    /// fsync(2) of the directory.
    public func synchronizeDirectory() throws(StorageError) {
        if fsync(directory) != 0 { throw failure(.synchronizeDirectory, path) }
    }

    /// flock(2) on the file `lock`; the kernel frees it when the process ends.
    public func lock() throws(StorageError) {
        let descriptor = cjournal_openat(directory, SegmentName.lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw failure(.open, SegmentName.lock) }
        if cjournal_lock(descriptor) != 0 {
            let error = failure(.lock, SegmentName.lock)
            _ = Glibc.close(descriptor)
            throw error
        }
        lockDescriptor.withLock { held in
            precondition(held < 0, "a storage is locked once")
            held = descriptor
        }
    }

    /// Closes the lock file.
    public func unlock() {
        lockDescriptor.withLock { held in
            if held >= 0 { _ = Glibc.close(held) }
            held = -1
        }
    }

    /// getrandom(2), through the standard library.
    public func randomBits() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    private func failure(_ operation: StorageError.Operation, _ name: String) -> StorageError {
        StorageError(operation: operation, number: errno, file: name)
    }
}

/// The system's words for an errno(3).
func systemErrorText(_ number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        guard let base = buffer.baseAddress else { return "unknown error" }
        return strerror_r(number, base, buffer.count) == 0 ? String(cString: base) : "unknown error"
    }
}

/// True for the errors that mean "no space": the disk's, and the quota's.
func isNoSpaceNumber(_ number: Int32) -> Bool { number == ENOSPC || number == EDQUOT }

/// Nanoseconds of the monotonic clock; only differences mean something.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
