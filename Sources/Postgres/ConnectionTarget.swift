import CLibPQ

/// One host of a connection string, with everything that is needed to start connecting to it.
struct ConnectionTarget {
    private let keywords: [String]
    private let values: [String]

    /// The hosts of a configuration in the order in which they are to be tried. libpq can walk a list itself but has no time
    /// limit per host in its nonblocking form, so the list is walked here.
    static func all(in configuration: PostgresConfiguration) throws(PostgresError) -> [ConnectionTarget] {
        let options = try parse(configuration.connectionString)
        let hosts = list(options["host"])
        let addresses = list(options["hostaddr"])
        let ports = list(options["port"])
        let count = max(hosts.count, addresses.count, 1)
        if count > PostgresLimits.hostsMax {
            throw .connectFailed(sqlState: nil, message: "more than \(PostgresLimits.hostsMax) hosts")
        }
        if (ports.count > 1 && ports.count != count) || (!addresses.isEmpty && addresses.count != count)
            || (!hosts.isEmpty && hosts.count != count)
        {
            throw .connectFailed(sqlState: nil, message: "host, hostaddr and port lists differ in length")
        }
        // "prefer-standby" means: all hosts for a standby first, then all for anything.
        let wanted = options["target_session_attrs"]
        let passes: [String?] = wanted == "prefer-standby" ? ["standby", "any"] : [wanted]
        var targets: [ConnectionTarget] = []
        for pass in passes {
            for index in 0..<count {
                var own = options
                own["host"] = hosts.isEmpty ? nil : hosts[index]
                own["hostaddr"] = addresses.isEmpty ? nil : addresses[index]
                own["port"] = ports.isEmpty ? nil : ports[ports.count == 1 ? 0 : index]
                own["target_session_attrs"] = pass
                targets.append(ConnectionTarget(own, configuration))
            }
        }
        return targets
    }

    private init(_ options: [String: String], _ configuration: PostgresConfiguration) {
        var merged = [
            "application_name": configuration.applicationName,
            "keepalives": "1",
            "keepalives_idle": String(configuration.keepaliveIdleSeconds),
            "keepalives_interval": String(configuration.keepaliveIntervalSeconds),
            "keepalives_count": String(configuration.keepaliveCount),
            "tcp_user_timeout": String(configuration.tcpUserTimeout.settingMilliseconds),
        ]
        merged.merge(options) { _, said in said }
        merged["client_encoding"] = "UTF8"
        let pairs = merged.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        keywords = pairs.map(\.key)
        values = pairs.map(\.value)
    }

    /// Starts a nonblocking connect; nil when memory is short.
    func start() -> OpaquePointer? {
        withCStrings(keywords) { keywords in
            withCStrings(values) { values in
                PQconnectStartParams(keywords, values, 0)
            }
        }
    }

    private static func parse(_ text: String) throws(PostgresError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let first = PQconninfoParse(text, &message) else {
            // The message may repeat parts of the string, and with them a password.
            PQfreemem(message)
            throw .connectFailed(sqlState: nil, message: "the connection string cannot be parsed")
        }
        defer { PQconninfoFree(first) }
        var options: [String: String] = [:]
        var option = first
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { options[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return options
    }

    private static func list(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}

/// Calls `body` with a NULL-terminated array of C strings.
private func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R) -> R {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: string.utf8CString)
    }
    // Keeps the buffer's address defined for an empty list.
    bytes.append(0)
    return bytes.withUnsafeBufferPointer { buffer in
        let pointers: [UnsafePointer<CChar>?] = offsets.map { offset in buffer.baseAddress.map { $0 + offset } } + [nil]
        return pointers.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { preconditionFailure("a list with a terminator is not empty") }
            return body(base)
        }
    }
}
