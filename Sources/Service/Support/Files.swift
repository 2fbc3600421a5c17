import Glibc

/// A file-system call that failed.
struct FileError: Error, Sendable {
    let operation: String
    let path: String
    let code: Int32

    /// For logs: no content of the file.
    var message: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
}

/// The few file operations that the service does outside the journal.
enum Files {
    /// Bytes that an unprivileged user may still write on the file system of a path; nil when it cannot be asked.
    static func freeBytes(_ path: String) -> Int64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    /// Reads a whole file; nil when there is none.
    static func read(_ path: String) throws(FileError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw FileError(operation: "open", path: path, code: errno)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileError(operation: "fstat", path: path, code: errno) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var offset = 0
        while offset < bytes.count {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + offset, $0.count - offset) }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { throw FileError(operation: "read", path: path, code: got < 0 ? errno : EIO) }
            offset += got
        }
        return bytes
    }

    /// Writes a file so that a crash leaves either the old or the new one: temporary file, fsync, rename, fsync directory.
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t) throws(FileError) {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw FileError(operation: "open", path: temporary, code: errno) }
        var offset = 0
        while offset < bytes.count {
            let put = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + offset, $0.count - offset) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else {
                let code = errno
                close(file)
                unlink(temporary)
                throw FileError(operation: "write", path: temporary, code: code)
            }
            offset += put
        }
        guard fsync(file) == 0 else {
            let code = errno
            close(file)
            throw FileError(operation: "fsync", path: temporary, code: code)
        }
        close(file)
        guard rename(temporary, path) == 0 else { throw FileError(operation: "rename", path: path, code: errno) }
        try synchronizeDirectory(of: path)
    }

    /// Makes a directory and its parents.
    static func makeDirectory(_ path: String, mode: mode_t) throws(FileError) {
        var prefix = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            prefix += part
            if !prefix.isEmpty && mkdir(prefix, mode) != 0 && errno != EEXIST {
                throw FileError(operation: "mkdir", path: prefix, code: errno)
            }
            prefix += "/"
        }
    }

    /// Whether something exists at the path.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether a directory is at the path; a link to one counts as none, so that no walk runs in circles.
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Names of what a directory holds, in no order.
    static func names(in path: String) throws(FileError) -> [String] {
        guard let directory = opendir(path) else { throw FileError(operation: "opendir", path: path, code: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file; what cannot be removed stays.
    static func remove(_ path: String) {
        unlink(path)
    }

    /// Removes a directory of plain files made by this process; what cannot be removed stays.
    static func removeTree(_ path: String) {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }

    private static func synchronizeDirectory(of path: String) throws(FileError) {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw FileError(operation: "open", path: parent, code: errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw FileError(operation: "fsync", path: parent, code: errno) }
    }
}
