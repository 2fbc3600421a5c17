import Glibc
import Journal
import Synchronization

/// A file system in memory that behaves as badly as a real one may: what was not synchronized survives a power loss
/// sector by sector as a coin falls, a failed sync loses pages while the cache still shows them, calls fail when told.
public final class SimulatedStorage: JournalStorage {
    /// An open file.
    public struct File: Sendable {
        let inode: Int
        let name: String
    }

    /// What goes wrong, and when. Calls are counted from 1, from the moment the plan is set.
    public struct Plan: Sendable {
        /// The machine stops at this call among those that change anything; a write may be done in part.
        public var crashAtCall: Int?
        /// These calls of an operation fail with this errno(3).
        public var failures: [StorageError.Operation: [Int: Int32]] = [:]
        /// Bytes on the disk; nil for no bound.
        public var capacity: Int64?

        /// Nothing goes wrong.
        public init() {}
    }

    private struct Inode {
        var cached: [UInt8] = []
        var durable: [UInt8] = []
        /// Sectors of `cached` that the device does not have yet.
        var dirty: Set<Int> = []
        /// Sectors that a failed sync called clean and the device never got.
        var lost: Set<Int> = []
    }

    private enum NameChange {
        case link(String, Int)
        case rename(String, String)
        case unlink(String)

        func apply(_ names: inout [String: Int]) {
            switch self {
            case .link(let name, let inode): names[name] = inode
            case .unlink(let name): names[name] = nil
            case .rename(let old, let new):
                names[new] = names[old]
                names[old] = nil
            }
        }
    }

    private struct State {
        var inodes: [Int: Inode] = [:]
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var pendingNames: [NameChange] = []
        var random: SplitMix64
        var identities: SplitMix64
        var plan = Plan()
        var changes = 0
        var calls: [StorageError.Operation: Int] = [:]
        var isDown = false
        var isLocked = false
        var nextInode = 1
        var injected: [String: Int] = [:]

        mutating func count(_ fault: String) { injected[fault, default: 0] += 1 }
    }

    private static let sectorBytes = 512
    private let state: Mutex<State>

    /// An empty disk; everything random follows from `seed`.
    public init(seed: UInt64) {
        state = Mutex(State(random: SplitMix64(seed: seed), identities: SplitMix64(seed: ~seed)))
    }

    /// Sets what goes wrong from now on.
    public func setPlan(_ plan: Plan) {
        state.withLock { state in
            state.plan = plan
            state.changes = 0
            state.calls = [:]
        }
    }

    /// Faults that came about so far, by name.
    public var injected: [String: Int] { state.withLock { $0.injected } }

    /// True after the plan's crash until ``powerLoss()``.
    public var isDown: Bool { state.withLock { $0.isDown } }

    /// Calls so far of one operation under the present plan.
    public func calls(_ operation: StorageError.Operation) -> Int { state.withLock { $0.calls[operation] ?? 0 } }

    /// kill -9: descriptors and lock are gone, the cache stays.
    public func killProcess() {
        state.withLock { state in
            state.isLocked = false
            state.isDown = false
            state.plan = Plan()
        }
    }

    /// Power loss: of what was not synchronized, anything may be there or not.
    public func powerLoss() {
        state.withLock { state in
            let kept = state.pendingNames.prefix(Int.random(in: 0...state.pendingNames.count, using: &state.random))
            for change in kept { change.apply(&state.durableNames) }
            state.pendingNames = []
            state.names = state.durableNames
            let alive = Set(state.names.values)
            state.inodes = state.inodes.filter { alive.contains($0.key) }
            for key in state.inodes.keys.sorted() {
                guard var inode = state.inodes[key] else { continue }
                Self.settle(&inode, &state)
                state.inodes[key] = inode
            }
            state.isLocked = false
            state.isDown = false
            state.plan = Plan()
        }
    }

    private static func settle(_ inode: inout Inode, _ state: inout State) {
        var content = inode.durable
        if inode.cached.count != content.count, Bool.random(using: &state.random) {
            resize(&content, to: inode.cached.count)
        }
        var isEarlierDropped = false
        for sector in inode.dirty.sorted() {
            // All of it, none of it, or torn inside.
            let torn = Int.random(in: 0...sectorBytes, using: &state.random)
            let share = [0, sectorBytes, torn].randomElement(using: &state.random) ?? 0
            copy(inode.cached, to: &content, from: sector * sectorBytes, count: share)
            switch share {
            case 0: state.count("storage_drop")
            case sectorBytes: if isEarlierDropped { state.count("storage_reorder") }
            default: state.count("storage_torn")
            }
            isEarlierDropped = isEarlierDropped || share == 0
        }
        inode = Inode(cached: content, durable: content)
    }

    private static func copy(_ source: [UInt8], to target: inout [UInt8], from start: Int, count: Int) {
        let end = min(start + count, source.count, target.count)
        if start < end { target.replaceSubrange(start..<end, with: source[start..<end]) }
    }

    private static func resize(_ bytes: inout [UInt8], to count: Int) {
        if bytes.count > count {
            bytes.removeLast(bytes.count - count)
        } else {
            bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
        }
    }

    /// The bytes that a file shows now.
    public func contents(_ name: String) -> [UInt8]? {
        state.withLock { state in state.names[name].flatMap { state.inodes[$0]?.cached } }
    }

    /// Replaces a file's bytes behind the journal's back, durably.
    public func setContents(_ name: String, _ bytes: [UInt8]) {
        state.withLock { state in
            let key = state.names[name] ?? state.nextInode
            state.nextInode = max(state.nextInode, key + 1)
            state.names[name] = key
            state.durableNames[name] = key
            state.inodes[key] = Inode(cached: bytes, durable: bytes)
        }
    }

    /// Removes a file behind the journal's back, durably.
    public func erase(_ name: String) {
        state.withLock { state in
            state.names[name] = nil
            state.durableNames[name] = nil
        }
    }

    /// Counts the call and makes it fail if the plan says so; `changing` calls may be the crash.
    private func enter(
        _ operation: StorageError.Operation, _ name: String, changing: Bool, _ state: inout State
    ) throws(StorageError) {
        if state.isDown { throw StorageError(operation: operation, number: EIO, file: name) }
        state.calls[operation, default: 0] += 1
        if changing {
            state.changes += 1
            if state.changes == state.plan.crashAtCall {
                state.isDown = true
                state.count("storage_crash")
                throw StorageError(operation: operation, number: EIO, file: name)
            }
        }
        if let number = state.plan.failures[operation]?[state.calls[operation] ?? 0] {
            state.count(number == EIO ? "storage_eio" : "storage_enospc")
            throw StorageError(operation: operation, number: number, file: name)
        }
    }

    /// The files, in an order that changes.
    public func names() throws(StorageError) -> [String] {
        try state.withLock { (state) throws(StorageError) -> [String] in
            try enter(.list, ".", changing: false, &state)
            return state.names.keys.shuffled(using: &state.random)
        }
    }

    /// A new file of zeros; it is there after a power loss only once the directory was synchronized.
    public func create(_ name: String, bytes: Int64, preallocation: Preallocation) throws(StorageError) -> File {
        try state.withLock { (state) throws(StorageError) -> File in
            try enter(.create, name, changing: true, &state)
            try enter(.allocate, name, changing: false, &state)
            let used = state.names.values.reduce(0) { $0 + (state.inodes[$1]?.cached.count ?? 0) }
            if let capacity = state.plan.capacity, Int64(used) + bytes > capacity {
                state.count("storage_enospc")
                throw StorageError(operation: .allocate, number: ENOSPC, file: name)
            }
            guard state.names[name] == nil else { throw StorageError(operation: .create, number: EEXIST, file: name) }
            let key = state.nextInode
            state.nextInode += 1
            state.inodes[key] = Inode(cached: [UInt8](repeating: 0, count: Int(bytes)))
            state.names[name] = key
            state.pendingNames.append(.link(name, key))
            return File(inode: key, name: name)
        }
    }

    /// An existing file.
    public func open(_ name: String, access: FileAccess) throws(StorageError) -> File {
        try state.withLock { (state) throws(StorageError) -> File in
            try enter(.open, name, changing: false, &state)
            guard let key = state.names[name] else { throw StorageError(operation: .open, number: ENOENT, file: name) }
            return File(inode: key, name: name)
        }
    }

    /// As the cache has it.
    public func size(of file: File) throws(StorageError) -> Int64 {
        try state.withLock { (state) throws(StorageError) -> Int64 in
            try enter(.size, file.name, changing: false, &state)
            return Int64(state.inodes[file.inode]?.cached.count ?? 0)
        }
    }

    /// Into the cache; in part when the plan fails it.
    public func write(_ bytes: UnsafeRawBufferPointer, to file: File, at offset: Int64) throws(StorageError) {
        let content = Array(bytes)
        try state.withLock { (state) throws(StorageError) in
            do throws(StorageError) {
                try enter(.write, file.name, changing: true, &state)
            } catch {
                let part = Int.random(in: 0...content.count, using: &state.random)
                if error.number != EBADF { Self.store(content[..<part], file, Int(offset), &state) }
                throw error
            }
            Self.store(content[...], file, Int(offset), &state)
        }
    }

    private static func store(_ bytes: ArraySlice<UInt8>, _ file: File, _ offset: Int, _ state: inout State) {
        guard !bytes.isEmpty, var inode = state.inodes.removeValue(forKey: file.inode) else { return }
        let end = offset + bytes.count
        if inode.cached.count < end { resize(&inode.cached, to: end) }
        inode.cached.replaceSubrange(offset..<end, with: bytes)
        let sectors = (offset / sectorBytes)...((end - 1) / sectorBytes)
        inode.dirty.formUnion(sectors)
        inode.lost.subtract(sectors)
        state.inodes[file.inode] = inode
    }

    /// From the cache.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, from file: File, at offset: Int64
    ) throws(StorageError) -> Int {
        let bytes = try state.withLock { (state) throws(StorageError) -> [UInt8] in
            try enter(.read, file.name, changing: false, &state)
            let all = state.inodes[file.inode]?.cached ?? []
            guard offset < Int64(all.count) else { return [] }
            return Array(all[Int(offset)..<min(all.count, Int(offset) + buffer.count)])
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    /// The same as `synchronize`.
    public func synchronizeData(_ file: File) throws(StorageError) { try synchronize(file) }

    /// The cache to the device; when the plan fails it, some pages are lost and called clean.
    public func synchronize(_ file: File) throws(StorageError) {
        try state.withLock { (state) throws(StorageError) in
            guard var inode = state.inodes[file.inode] else { return }
            do throws(StorageError) {
                try enter(.synchronize, file.name, changing: true, &state)
            } catch {
                if !state.isDown {
                    // fsyncgate: some pages made it, the rest are called clean and are not on the device.
                    for sector in inode.dirty.sorted() where Bool.random(using: &state.random) {
                        Self.copy(
                            inode.cached, to: &inode.durable, from: sector * Self.sectorBytes, count: Self.sectorBytes)
                        inode.dirty.remove(sector)
                    }
                    if !inode.dirty.isEmpty { state.count("storage_lost_pages") }
                    inode.lost.formUnion(inode.dirty)
                    inode.dirty = []
                    state.inodes[file.inode] = inode
                }
                throw error
            }
            Self.resize(&inode.durable, to: inode.cached.count)
            for sector in inode.dirty {
                Self.copy(inode.cached, to: &inode.durable, from: sector * Self.sectorBytes, count: Self.sectorBytes)
            }
            inode.dirty = []
            state.inodes[file.inode] = inode
        }
    }

    /// Lost pages show what the device has.
    public func dropCache(_ file: File) {
        state.withLock { state in
            guard var inode = state.inodes[file.inode] else { return }
            for sector in inode.lost {
                Self.copy(inode.durable, to: &inode.cached, from: sector * Self.sectorBytes, count: Self.sectorBytes)
            }
            inode.lost = []
            state.inodes[file.inode] = inode
        }
    }

    /// Durable with the next sync.
    public func truncate(_ file: File, to bytes: Int64) throws(StorageError) {
        try state.withLock { (state) throws(StorageError) in
            try enter(.truncate, file.name, changing: true, &state)
            guard var inode = state.inodes[file.inode] else { return }
            Self.resize(&inode.cached, to: Int(bytes))
            let last = (Int(bytes) + Self.sectorBytes - 1) / Self.sectorBytes
            inode.dirty = inode.dirty.filter { $0 < last }
            inode.lost = inode.lost.filter { $0 < last }
            state.inodes[file.inode] = inode
        }
    }

    /// Nothing.
    public func close(_ file: File) {}

    /// Durable with the directory.
    public func rename(_ name: String, to newName: String) throws(StorageError) {
        try change(.rename, name, .rename(name, newName))
    }

    /// Durable with the directory.
    public func remove(_ name: String) throws(StorageError) { try change(.remove, name, .unlink(name)) }

    private func change(_ operation: StorageError.Operation, _ name: String, _ change: NameChange) throws(StorageError)
    {
        try state.withLock { (state) throws(StorageError) in
            try enter(operation, name, changing: true, &state)
            guard state.names[name] != nil else { throw StorageError(operation: operation, number: ENOENT, file: name) }
            change.apply(&state.names)
            state.pendingNames.append(change)
        }
    }

    /// Makes all names durable.
    public func synchronizeDirectory() throws(StorageError) {
        try state.withLock { (state) throws(StorageError) in
            try enter(.synchronizeDirectory, ".", changing: true, &state)
            state.durableNames = state.names
            state.pendingNames = []
        }
    }

    /// One holder at a time.
    public func lock() throws(StorageError) {
        try state.withLock { (state) throws(StorageError) in
            if state.isLocked { throw StorageError(operation: .lock, number: EWOULDBLOCK, file: "lock") }
            state.isLocked = true
        }
    }

    /// Frees the lock.
    public func unlock() { state.withLock { $0.isLocked = false } }

    /// From the seed.
    public func randomBits() -> UInt64 { state.withLock { $0.identities.next() } }
}
