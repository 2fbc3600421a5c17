/// Characters of a FEEL source: white space, comments, literals and the tokens that names are made of.
struct SourceScanner {
    let bytes: [UInt8]
    var index = 0

    init(_ source: String) { bytes = Array(source.utf8) }

    struct NameToken {
        let text: String
        let end: Int
    }

    var atEnd: Bool { index >= bytes.count }
    var current: UInt8 { index < bytes.count ? bytes[index] : 0 }

    func byte(at offset: Int) -> UInt8 {
        index + offset < bytes.count ? bytes[index + offset] : 0
    }

    /// Skips white space and comments; false for a comment that does not end.
    mutating func skipSpace() -> Bool {
        while index < bytes.count {
            let width = SourceScanner.spaceWidth(bytes, index)
            if width > 0 {
                index += width
            } else if bytes[index] == UInt8(ascii: "/") && byte(at: 1) == UInt8(ascii: "/") {
                while index < bytes.count && bytes[index] != 10 { index += 1 }
            } else if bytes[index] == UInt8(ascii: "/") && byte(at: 1) == UInt8(ascii: "*") {
                index += 2
                while index < bytes.count && !(bytes[index] == UInt8(ascii: "*") && byte(at: 1) == UInt8(ascii: "/")) {
                    index += 1
                }
                if index >= bytes.count { return false }
                index += 2
            } else {
                break
            }
        }
        return true
    }

    /// Length in bytes of the white space character at an index, 0 when there is none.
    static func spaceWidth(_ bytes: [UInt8], _ index: Int) -> Int {
        let byte = bytes[index]
        if byte == 32 || (byte >= 9 && byte <= 13) { return 1 }
        if byte < 0x80 { return 0 }
        guard let (scalar, width) = scalar(bytes, index) else { return 0 }
        switch scalar {
        case 0x85, 0xA0, 0x1680, 0x180E, 0x2000...0x200B, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF: return width
        default: return 0
        }
    }

    static func scalar(_ bytes: [UInt8], _ index: Int) -> (value: UInt32, width: Int)? {
        let byte = bytes[index]
        if byte < 0x80 { return (UInt32(byte), 1) }
        let width = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 0
        guard width > 0, index + width <= bytes.count else { return nil }
        var value = UInt32(byte) & (width == 2 ? 0x1F : width == 3 ? 0x0F : 0x07)
        for offset in 1..<width { value = value << 6 | UInt32(bytes[index + offset] & 0x3F) }
        return (value, width)
    }

    /// Width of a name character at an index, 0 when it is none (DMN 1.5 grammar rules 28 and 29).
    static func nameWidth(_ bytes: [UInt8], _ index: Int, isStart: Bool) -> Int {
        let byte = bytes[index]
        if byte < 0x80 {
            let isLetter = (byte | 0x20 >= 97 && byte | 0x20 <= 122) || byte == 95 || byte == 63
            return isLetter || (!isStart && byte >= 48 && byte <= 57) ? 1 : 0
        }
        guard let (scalar, width) = scalar(bytes, index) else { return 0 }
        switch scalar {
        case 0xC0...0xD6, 0xD8...0xF6, 0xF8...0x2FF, 0x370...0x37D, 0x37F...0x1FFF, 0x200C...0x200D, 0x2070...0x218F,
            0x2C00...0x2FEF, 0x3001...0xD7FF, 0xF900...0xFDCF, 0xFDF0...0xFFFD, 0x10000...0xEFFFF:
            return spaceWidth(bytes, index) > 0 ? 0 : width
        case 0xB7, 0x300...0x36F, 0x203F...0x2040: return isStart ? 0 : width
        default: return 0
        }
    }

    /// The tokens that a name starting at `from` could be made of: runs of name characters and the single characters `.
    /// / - ' + *`.
    static func nameTokens(_ bytes: [UInt8], from: Int, limit: Int) -> [NameToken] {
        var tokens: [NameToken] = []
        var index = from
        while tokens.count < limit {
            while index < bytes.count, spaceWidth(bytes, index) > 0 { index += spaceWidth(bytes, index) }
            guard index < bytes.count else { break }
            let start = index
            var width = nameWidth(bytes, index, isStart: tokens.isEmpty)
            while width > 0 {
                index += width
                width = index < bytes.count ? nameWidth(bytes, index, isStart: false) : 0
            }
            if index == start {
                guard !tokens.isEmpty, "./-'+*".utf8.contains(bytes[index]) else { break }
                index += 1
            }
            tokens.append(NameToken(text: String(decoding: bytes[start..<index], as: UTF8.self), end: index))
        }
        return tokens
    }

    /// The run of name characters here, not consumed.
    func word() -> NameToken? {
        guard !atEnd, SourceScanner.nameWidth(bytes, index, isStart: true) > 0 else { return nil }
        var end = index
        while end < bytes.count {
            let width = SourceScanner.nameWidth(bytes, end, isStart: false)
            if width == 0 { break }
            end += width
        }
        return NameToken(text: String(decoding: bytes[index..<end], as: UTF8.self), end: end)
    }

    /// The numeric literal here (digits, optional fraction, optional exponent), or nil.
    mutating func number() -> Decimal?? {
        let start = index
        var end = index
        func isDigit(_ position: Int) -> Bool {
            position < bytes.count && bytes[position] >= 48 && bytes[position] <= 57
        }
        while isDigit(end) { end += 1 }
        if end < bytes.count, bytes[end] == UInt8(ascii: "."), isDigit(end + 1) {
            end += 1
            while isDigit(end) { end += 1 }
        }
        if end == start { return nil }
        if end < bytes.count, bytes[end] | 0x20 == UInt8(ascii: "e") {
            let signed = end + 1 < bytes.count && (bytes[end + 1] == 43 || bytes[end + 1] == 45)
            var digits = end + (signed ? 2 : 1)
            if isDigit(digits) {
                while isDigit(digits) { digits += 1 }
                end = digits
            }
        }
        index = end
        return .some(bytes[start..<end].withUnsafeBufferPointer { Decimal(utf8: $0) })
    }

    /// The string literal whose opening quote is here; nil when it does not end or an escape is malformed.
    mutating func string() -> String? {
        var output: [UInt8] = []
        index += 1
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: output, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard escape(into: &output) else { return nil }
            default: output.append(byte)
            }
        }
        return nil
    }

    private mutating func escape(into output: inout [UInt8]) -> Bool {
        guard index < bytes.count else { return false }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "n"): output.append(10)
        case UInt8(ascii: "r"): output.append(13)
        case UInt8(ascii: "t"): output.append(9)
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"): output.append(byte)
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            guard var code = hexadecimal(byte == UInt8(ascii: "u") ? 4 : 6) else { return false }
            if code >= 0xD800 && code <= 0xDBFF {
                guard current == UInt8(ascii: "\\"), self.byte(at: 1) == UInt8(ascii: "u") else { return false }
                index += 2
                guard let low = hexadecimal(4), low >= 0xDC00, low <= 0xDFFF else { return false }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { return false }
            output.append(contentsOf: Array(String(Character(scalar)).utf8))
        default:
            // Any other escaped character stands as written, so that patterns such as "\d" need no doubling.
            output.append(UInt8(ascii: "\\"))
            output.append(byte)
        }
        return true
    }

    private mutating func hexadecimal(_ digits: Int) -> UInt32? {
        guard index + digits <= bytes.count else { return nil }
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }
}
