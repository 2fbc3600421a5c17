import JSON

/// Properties and size of an object.
// SAFETY: the entries and the bytes that they point to are written only in `init` and freed in `deinit`.
final class ObjectCheck: @unchecked Sendable {
    let fields: [FieldCheck]
    let countMin: Int
    let countMax: Int
    private let entries: UnsafeMutableBufferPointer<Entry>
    private let names: UnsafeMutableBufferPointer<UInt8>

    /// What the loop over the properties needs of a field, without references to count.
    private struct Entry {
        let key: UnsafeBufferPointer<UInt8>
        let quick: QuickCheck
    }

    init(fields: [FieldCheck], countMin: Int = 0, countMax: Int = .max) {
        self.fields = fields
        self.countMin = countMin
        self.countMax = countMax
        names = .allocate(capacity: fields.reduce(0) { $0 + $1.key.count })
        entries = .allocate(capacity: fields.count)
        var position = 0
        for (index, field) in fields.enumerated() {
            let end = position + field.key.count
            let key = UnsafeMutableBufferPointer(rebasing: names[position..<end])
            _ = key.initialize(from: field.key)
            entries.initializeElement(at: index, to: Entry(key: UnsafeBufferPointer(key), quick: field.quick))
            position = end
        }
    }

    deinit {
        entries.deallocate()
        names.deallocate()
    }

    func check(_ value: JSONValue) -> Violation? {
        guard value.kind == .object else { return .contract(.typeMismatch, "must be an object") }
        let count = value.count
        if count < countMin { return .contract(.tooFew, "must have at least \(countMin) members") }
        if count > countMax { return .contract(.tooMany, "must have at most \(countMax) members") }
        for index in 0..<entries.count {
            let entry = entries[index]
            let member = value.member(utf8: entry.key)
            if let member, entry.quick.accepts(member) { continue }
            if let violation = fields[index].check(member) { return violation }
        }
        return nil
    }
}
