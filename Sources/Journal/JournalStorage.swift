/// How a file is opened.
public enum FileAccess: Sendable {
    /// Reading only.
    case read
    /// Reading and writing.
    case readWrite
}

/// The file system as the journal needs it: one directory, positioned reads and writes, and every sync by name.
///
/// Generic, never existential. ``PosixStorage`` is the real one; tests have one that crashes, tears and lies.
public protocol JournalStorage: Sendable {
    /// An open file.
    associatedtype File: Sendable

    /// Names of all files in the directory, in any order.
    func names() throws(StorageError) -> [String]
    /// Creates a new file of `bytes` bytes that read as zero and whose blocks are reserved. Leaves nothing behind when
    /// it fails.
    func create(_ name: String, bytes: Int64, preallocation: Preallocation) throws(StorageError) -> File
    /// Opens an existing file.
    func open(_ name: String, access: FileAccess) throws(StorageError) -> File
    /// Size in bytes.
    func size(of file: File) throws(StorageError) -> Int64
    /// Writes all bytes at `offset`; when it fails, any part may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, to file: File, at offset: Int64) throws(StorageError)
    /// Reads up to `buffer.count` bytes; fewer only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, from file: File, at offset: Int64) throws(StorageError) -> Int
    /// Makes data, and what is needed to find it, durable: fdatasync(2).
    func synchronizeData(_ file: File) throws(StorageError)
    /// Makes data and all metadata durable: fsync(2).
    func synchronize(_ file: File) throws(StorageError)
    /// Forgets cached clean pages, so that the next read tells what the device holds; a hint.
    func dropCache(_ file: File)
    /// Cuts the file.
    func truncate(_ file: File, to bytes: Int64) throws(StorageError)
    /// Closes the file; nothing is reported, because everything that matters was synchronized before.
    func close(_ file: File)
    /// Renames, replacing what has the new name.
    func rename(_ name: String, to newName: String) throws(StorageError)
    /// Removes a file.
    func remove(_ name: String) throws(StorageError)
    /// Makes creations, renames and removals durable.
    func synchronizeDirectory() throws(StorageError)
    /// Takes the directory for this writer alone; fails at once when another has it.
    func lock() throws(StorageError)
    /// Gives the directory back.
    func unlock()
    /// 64 random bits, for the identity and the salts.
    func randomBits() -> UInt64
}

extension StorageError {
    /// True when space, and nothing else, is missing.
    var isNoSpace: Bool { isNoSpaceNumber(number) }
}
