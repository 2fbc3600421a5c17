import JSON

extension StoredKey {
    /// Writes the record as it is stored and listed; the key itself cannot be told from it.
    /// - Parameter includesHash: false for listings, where even the hash is nobody's business.
    public func write(to writer: inout JSONWriter, includesHash: Bool) {
        writer.beginObject()
        writer.key("id")
        writer.string(id.description)
        writer.key("principal")
        writer.string(principal.id)
        writer.key("roles")
        writer.beginArray()
        for role in principal.roles { writer.string(role) }
        writer.endArray()
        writer.key("label")
        writer.string(label)
        writer.key("created_micros")
        writer.integer(createdMicros)
        if let expiresMicros {
            writer.key("expires_micros")
            writer.integer(expiresMicros)
        }
        if let revokedMicros {
            writer.key("revoked_micros")
            writer.integer(revokedMicros)
        }
        if includesHash {
            writer.key("sha256")
            writer.string(hash.hex)
        }
        writer.endObject()
    }

    /// Reads a stored record: every problem with its pointer, unknown fields refused.
    public init(_ record: JSONTree) throws(AccessError) {
        var reader = DefinitionReader()
        let root = JSONPointer.root
        guard reader.checkObject(record, at: root, allowed: Self.recordFields) else {
            throw reader.error() ?? AccessError(code: "wrong_type", message: "a key record is an object")
        }
        let id = reader.string(record, "id", at: root, required: true).flatMap { KeyID($0) }
        let hash = reader.string(record, "sha256", at: root, required: true).flatMap { SHA256Hash(hex: $0) }
        let principal = reader.string(record, "principal", at: root, required: true) ?? ""
        let roles = record["roles"]?.array?.isEmpty == true ? [] : reader.strings(record, "roles", at: root)
        let label = record["label"]?.string ?? ""
        let created = record["created_micros"]?.int64
        if roles.count > AccessLimits.roles {
            reader.report(
                root.appending("roles"), "too_many_roles", "a principal has at most \(AccessLimits.roles) roles")
        }
        if id == nil { reader.report(root.appending("id"), "wrong_id", "id must be 12 base-32 characters") }
        if hash == nil { reader.report(root.appending("sha256"), "wrong_hash", "sha256 must be 64 hexadecimal digits") }
        if created == nil {
            reader.report(root.appending("created_micros"), "wrong_type", "created_micros must be an integer")
        }
        for name in ["expires_micros", "revoked_micros"] {
            if let value = record[name], !value.isNull, value.int64 == nil {
                reader.report(root.appending(name), "wrong_type", "\(name) must be an integer")
            }
        }
        if let error = reader.error() { throw error }
        guard let id, let hash, let created else {
            throw AccessError(code: "wrong_type", message: "the record is not complete")
        }
        self.init(
            id: id, hash: hash, principal: Principal(id: principal, roles: roles), label: label, createdMicros: created,
            expiresMicros: record["expires_micros"]?.int64, revokedMicros: record["revoked_micros"]?.int64)
    }

    private static let recordFields: Set<String> = [
        "id", "principal", "roles", "label", "created_micros", "expires_micros", "revoked_micros", "sha256",
    ]
}
