/// Text that grows at its end: one array whose first `count` bytes are in use. Writing goes through a pointer, with one
/// look at the room for a whole token instead of one for every byte.
struct TextBuffer: Sendable {
    private var storage: [UInt8]
    /// Bytes in use.
    private(set) var count = 0

    /// An empty buffer with room for `capacity` bytes.
    init(capacity: Int) {
        storage = [UInt8](repeating: 0, count: capacity)
    }

    /// A buffer that continues in the memory of `reusing`, whose content is dropped.
    init(reusing: consuming [UInt8]) {
        storage = reusing
    }

    /// Forgets everything and keeps the memory.
    mutating func removeAll() { count = 0 }

    /// Drops what was written after the first `count` bytes.
    mutating func truncate(to count: Int) {
        precondition(count <= self.count, "a buffer is cut, not grown")
        self.count = count
    }

    /// The bytes in use, copied.
    var bytes: [UInt8] { Array(storage[..<count]) }

    /// The bytes in use, without a copy.
    consuming func finish() -> [UInt8] {
        storage.removeLast(storage.count - count)
        return storage
    }

    /// Lends the bytes in use.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    /// Lets `fill` write at the end; it gets at least `room` bytes and returns how many it used.
    @inline(__always)
    mutating func write(room: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Int) {
        if storage.count - count < room { grow(room) }
        let start = count
        let used = storage.withUnsafeMutableBufferPointer { fill($0.baseAddress.unsafelyUnwrapped + start) }
        count = start + used
    }

    @inline(never)
    private mutating func grow(_ room: Int) {
        let larger = max(count + room, storage.count * 2)
        storage.append(contentsOf: repeatElement(0, count: larger - storage.count))
    }

    /// Appends one byte.
    @inline(__always)
    mutating func append(_ byte: UInt8) {
        write(room: 1) { room in
            room.pointee = byte
            return 1
        }
    }

    /// Appends bytes.
    @inline(__always)
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        write(room: bytes.count) { room in
            room.update(from: source, count: bytes.count)
            return bytes.count
        }
    }
}
