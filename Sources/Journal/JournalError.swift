/// One call to the storage that did not succeed.
public struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The calls that a journal makes.
    public enum Operation: String, Sendable {
        /// Listing the directory.
        case list
        /// Creating a file.
        case create
        /// Reserving its blocks.
        case allocate
        /// Opening a file.
        case open
        /// Asking its size.
        case size
        /// Positioned write.
        case write
        /// Positioned read.
        case read
        /// fdatasync(2) or fsync(2) of a file.
        case synchronize
        /// Cutting a file.
        case truncate
        /// Renaming a file.
        case rename
        /// Removing a file.
        case remove
        /// fsync(2) of the directory.
        case synchronizeDirectory = "synchronize_directory"
        /// Taking the directory's lock.
        case lock
    }

    /// What was asked.
    public let operation: Operation
    /// The errno(3) of the answer.
    public let number: Int32
    /// Name of the file inside the journal's directory.
    public let file: String

    /// An error of `operation` on `file`.
    public init(operation: Operation, number: Int32, file: String) {
        self.operation = operation
        self.number = number
        self.file = file
    }

    /// Operation, file and errno(3) in words.
    public var description: String { "\(operation.rawValue) \(file): \(systemErrorText(number)) (errno \(number))" }
}

/// Why a journal cannot be opened or read.
public struct JournalError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Stable snake_case codes.
    public enum Code: String, Sendable {
        /// Another process (or another writer in this one) has this directory.
        case locked
        /// An option is out of its range.
        case invalidOptions = "invalid_options"
        /// A segment was written by a newer program.
        case unknownVersion = "unknown_version"
        /// A segment's header does not check.
        case corruptHeader = "corrupt_header"
        /// A frame that was durable does not check.
        case corruptFrame = "corrupt_frame"
        /// Frames are valid but their numbers do not follow each other.
        case sequenceGap = "sequence_gap"
        /// A whole segment between two others is not there.
        case missingSegment = "missing_segment"
        /// A segment belongs to another journal.
        case foreignSegment = "foreign_segment"
        /// A snapshot does not check, or is not complete.
        case corruptSnapshot = "corrupt_snapshot"
        /// The caller's replay did not accept a frame.
        case replayRefused = "replay_refused"
        /// The asked frame is in a segment that was removed.
        case segmentRemoved = "segment_removed"
        /// The asked frame is not durable, or no frame starts there.
        case noSuchFrame = "no_such_frame"
        /// The storage failed.
        case storage
    }

    /// What kind of trouble.
    public let code: Code
    /// The segment's file name, where one is concerned.
    public let file: String?
    /// Byte offset in that file.
    public let offset: Int64?
    /// What was found, for a person.
    public let message: String
    /// The storage's error when `code` is `storage` or `locked`.
    public let cause: StorageError?

    /// An error about `file` at `offset`.
    public init(_ code: Code, file: String? = nil, offset: Int64? = nil, _ message: String) {
        self.code = code
        self.file = file
        self.offset = offset
        self.message = message
        cause = nil
    }

    /// The storage's error, with `locked` told apart.
    public init(_ cause: StorageError) {
        code = cause.operation == .lock ? .locked : .storage
        file = cause.file
        offset = nil
        message = cause.description
        self.cause = cause
    }

    /// Code, file, offset and message in one line.
    public var description: String {
        let place = file.map { " \($0)" + (offset.map { "@\($0)" } ?? "") } ?? ""
        return "\(code.rawValue)\(place): \(message)"
    }
}

/// Thrown by a replay callback that cannot take a frame; recovery adds file and offset and refuses to start.
public struct ReplayRefusal: Error, Sendable {
    /// Why, for a person.
    public let message: String

    /// A refusal with its reason.
    public init(_ message: String) { self.message = message }
}

/// Why an append was not accepted, or why an accepted batch was not made durable.
public enum AppendRefusal: String, Error, Sendable, Equatable {
    /// Too much is waiting for the disk; try again soon.
    case queueFull = "queue_full"
    /// The file system has no space; heals by itself.
    case diskFull = "disk_full"
    /// `journalBytesMax` is reached; heals when segments are removed.
    case journalFull = "journal_full"
    /// The writer was stopped.
    case stopped
    /// A write or a sync failed: nothing is acknowledged any more. A batch accepted before may or may not survive.
    case failed
    /// A frame is longer than ``JournalLimits/frameBytesMax``.
    case frameTooLarge = "frame_too_large"
    /// The batch is longer than ``JournalOptions/batchBytesMax``.
    case batchTooLarge = "batch_too_large"
}

/// What became of an append.
public enum AppendOutcome: Sendable, Equatable {
    /// The observer will be told about this batch exactly once.
    case accepted
    /// The batch was not taken; the observer hears nothing of it.
    case refused(AppendRefusal)
}
