import CLibPQ

extension PostgresServerError {
    /// Reads an error or a warning out of a C result, leaving values behind.
    init(result: OpaquePointer) {
        let fallback = SQLState.unknown
        sqlState = Self.text(decisiond_pq_sqlstate(result)).flatMap { SQLState($0) } ?? fallback
        severity = Self.text(decisiond_pq_severity(result)) ?? "ERROR"
        let primary = Self.text(decisiond_pq_message(result)) ?? Self.firstLine(PQresultErrorMessage(result))
        message = sqlState.isInClass("22") ? Self.withoutValues(primary) : primary
        table = Self.text(decisiond_pq_table(result))
        column = Self.text(decisiond_pq_column(result))
        constraint = Self.text(decisiond_pq_constraint(result))
        copyLine = Self.text(decisiond_pq_context(result)).flatMap(Self.copyLine)
    }

    /// Cuts what messages about data quote: everything from the first to the last double quote, or else from a colon on.
    static func withoutValues(_ message: String) -> String {
        if let first = message.firstIndex(of: "\""), let last = message.lastIndex(of: "\"") {
            let rest = message[last...].dropFirst()
            return message[..<first] + "\"...\"" + (rest.hasPrefix(":") ? "" : rest)
        }
        guard let colon = message.firstIndex(of: ":") else { return message }
        return String(message[..<colon])
    }

    /// The number in `COPY table, line 3, column a: ...`, which stands on the first or, below what a type says about its
    /// value, on a later line of the context.
    static func copyLine(_ context: String) -> Int? {
        let marker = Array(", line ".utf8)
        for line in context.utf8.split(separator: UInt8(ascii: "\n")) where line.starts(with: "COPY ".utf8) {
            let bytes = Array(line)
            guard bytes.count > marker.count else { continue }
            for start in 0..<(bytes.count - marker.count) {
                guard bytes[start..<(start + marker.count)].elementsEqual(marker) else { continue }
                let digits = bytes[(start + marker.count)...].prefix { (0x30...0x39).contains($0) }
                return Int(String(decoding: digits, as: UTF8.self))
            }
        }
        return nil
    }

    /// First line of a C string, without the white space around it.
    static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "" }
        let line = String(cString: text).prefix { $0 != "\n" }
        return String(line.prefix(PostgresLimits.messageBytesMax))
    }

    private static func text(_ field: UnsafePointer<CChar>?) -> String? {
        field.map { String(String(cString: $0).prefix(PostgresLimits.messageBytesMax)) }
    }
}

extension SQLState {
    /// XX000, PostgreSQL's own "internal error", for a result that carries no code.
    static let unknown = SQLState("XX000") ?? .queryCanceled

    /// The code in a verbose message such as `FATAL:  28P01: password authentication failed`, which is the only place
    /// where libpq shows the code of a refused connection.
    static func inVerboseMessage(_ message: String) -> SQLState? {
        for part in message.split(separator: " ") where part.utf8.count == 6 && part.hasSuffix(":") {
            // Severities are five letters too; every code of PostgreSQL has a digit.
            guard part.utf8.contains(where: { (0x30...0x39).contains($0) }) else { continue }
            if let state = SQLState(String(part.dropLast())) { return state }
        }
        return nil
    }
}
