import Glibc
import Synchronization

/// Why a ``BodyFile`` could not be made, written or read.
public struct BodyFileError: Error, Equatable, Sendable {
    /// The system's error number.
    public let number: Int32
}

/// A body that is too large for memory: an open file. The descriptor is closed when nobody holds it any more, and a
/// temporary file has no name, so that nothing is left behind however the process ends.
///
/// One thread writes; once it is complete any thread may read.
public final class BodyFile: Sendable {
    let descriptor: Int32
    private let byteCount: Atomic<Int>
    private let whenClosed: (@Sendable () -> Void)?

    /// Bytes in the file.
    public var count: Int { byteCount.load(ordering: .acquiring) }

    private init(descriptor: Int32, count: Int, whenClosed: (@Sendable () -> Void)? = nil) {
        self.descriptor = descriptor
        self.whenClosed = whenClosed
        byteCount = Atomic(count)
    }

    deinit {
        close(descriptor)
        whenClosed?()
    }

    /// An empty file without a name in `directory`, mode 0600.
    ///
    /// - Parameter whenClosed: called when nobody holds the file any more; for an answer, once it was sent.
    public convenience init(
        temporaryIn directory: String, whenClosed: (@Sendable () -> Void)? = nil
    ) throws(BodyFileError) {
        var path = Array("\(directory)/body-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0 else { throw BodyFileError(number: errno) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(path)
        self.init(descriptor: descriptor, count: 0, whenClosed: whenClosed)
    }

    /// An existing file, to be read.
    public convenience init(reading path: String) throws(BodyFileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BodyFileError(number: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw BodyFileError(number: number)
        }
        self.init(descriptor: descriptor, count: Int(status.st_size))
    }

    /// Appends bytes. They go to the page cache, which takes them without waiting for the disk in all but a system that is
    /// short of memory.
    public func append(_ bytes: UnsafeRawBufferPointer) throws(BodyFileError) {
        var offset = 0
        while offset < bytes.count {
            let put = pwrite(descriptor, bytes.baseAddress! + offset, bytes.count - offset, count + offset)
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { throw BodyFileError(number: put < 0 ? errno : EIO) }
            offset += put
        }
        byteCount.wrappingAdd(bytes.count, ordering: .releasing)
    }

    /// Reads into `buffer` from an offset; returns how many bytes, 0 at the end.
    public func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(BodyFileError) -> Int {
        while true {
            let got = pread(descriptor, buffer.baseAddress, min(buffer.count, max(0, count - offset)), offset)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw BodyFileError(number: errno) }
            return got
        }
    }
}
