import JSON

/// The string formats of ODCS that are checked.
enum TextFormat: String, CaseIterable {
    case email, uuid, uri, hostname, ipv4, ipv6, byte
    /// Nothing to check: they say how to show or store the text.
    case password, binary

    func accepts(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        switch self {
        case .email: Self.isEmail(text)
        case .uuid: Self.isUUID(text)
        case .uri: Self.isURI(text)
        case .hostname: Self.isHostname(text[...])
        case .ipv4: Self.isIPv4(text[...])
        case .ipv6: Self.isIPv6(text)
        case .byte: Self.isBase64(text)
        case .password, .binary: true
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }
    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") <= 25 }
    private static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") <= 5 }

    /// RFC 4648 section 4, with padding.
    static func isBase64(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.count % 4 == 0 else { return false }
        var padding = 0
        for byte in text {
            if byte == UInt8(ascii: "=") {
                padding += 1
            } else if padding > 0
                || !(isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/"))
            {
                return false
            }
        }
        return padding <= 2
    }

    private static func isUUID(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.count == 36 else { return false }
        return text.indices.allSatisfy { index in
            [8, 13, 18, 23].contains(index) ? text[index] == UInt8(ascii: "-") : isHex(text[index])
        }
    }

    /// A local part of at most 64 bytes without spaces, and a host name with a dot.
    private static func isEmail(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let at = text.lastIndex(of: UInt8(ascii: "@")), at > 0, at <= 64 else { return false }
        let local = text[..<at]
        let domain = text[(at + 1)...]
        let plain = local.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "@") }
        return plain && domain.contains(UInt8(ascii: ".")) && isHostname(domain)
    }

    /// A scheme, a colon and characters of RFC 3986.
    private static func isURI(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")), let first = text.first, isLetter(first) else {
            return false
        }
        let scheme = text[..<colon].allSatisfy {
            isLetter($0) || isDigit($0) || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains($0)
        }
        return scheme
            && text.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "<") }
    }

    /// RFC 1123 section 2.1.
    private static func isHostname(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard !text.isEmpty, text.count <= 253 else { return false }
        let dash = UInt8(ascii: "-")
        return text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.count <= 63 && label.first != dash && label.last != dash
                && label.allSatisfy { isLetter($0) || isDigit($0) || $0 == dash }
        }
    }

    private static func isIPv4(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.allSatisfy(isDigit) else { return false }
                let value = part.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
                return value <= 255 && (part.count == 1 || part.first != UInt8(ascii: "0"))
            }
    }

    /// RFC 4291 section 2.2, with one `::` and an optional dotted tail; no zone.
    private static func isIPv6(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let colon = UInt8(ascii: ":")
        var groups = text.split(separator: colon, omittingEmptySubsequences: false)
        guard groups.count >= 3, groups.count <= 9 else { return false }
        // A single colon at either end is no gap.
        guard !groups[0].isEmpty || groups[1].isEmpty else { return false }
        guard !groups[groups.count - 1].isEmpty || groups[groups.count - 2].isEmpty else { return false }
        // A leading or trailing `::` leaves two empty groups there; one stands for the gap.
        if groups[0].isEmpty, groups[1].isEmpty { groups.removeFirst() }
        if groups.count > 1, groups[groups.count - 1].isEmpty, groups[groups.count - 2].isEmpty { groups.removeLast() }
        var width = 0
        var gaps = 0
        for (index, group) in groups.enumerated() {
            if group.isEmpty {
                gaps += 1
            } else if index == groups.count - 1, group.contains(UInt8(ascii: ".")) {
                guard isIPv4(group) else { return false }
                width += 2
            } else {
                guard group.count <= 4, group.allSatisfy(isHex) else { return false }
                width += 1
            }
        }
        return gaps == 0 ? width == 8 : gaps == 1 && width < 8
    }
}
