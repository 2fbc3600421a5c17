import JSON

/// A second, naive JSON checker that shares nothing with the parser: it decides the randomised tests.
struct Oracle {
    private let bytes: [UInt8]
    private var index = 0

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var oracle = Oracle(bytes: bytes)
        oracle.space()
        guard oracle.value(depth: 0) else { return false }
        oracle.space()
        return oracle.index == bytes.count
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: Character? { index < bytes.count ? Character(Unicode.Scalar(bytes[index])) : nil }

    private mutating func space() {
        while let c = next, c == " " || c == "\n" || c == "\r" || c == "\t" { index += 1 }
    }

    private mutating func take(_ text: String) -> Bool {
        guard bytes[index...].starts(with: text.utf8) else { return false }
        index += text.utf8.count
        return true
    }

    private mutating func value(depth: Int) -> Bool {
        switch next {
        case "{": return depth < 128 && object(depth: depth + 1)
        case "[": return depth < 128 && array(depth: depth + 1)
        case "\"": return string() != nil
        case "t": return take("true")
        case "f": return take("false")
        case "n": return take("null")
        default: return number()
        }
    }

    private mutating func array(depth: Int) -> Bool {
        _ = take("[")
        space()
        if take("]") { return true }
        while true {
            space()
            guard value(depth: depth) else { return false }
            space()
            if take("]") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func object(depth: Int) -> Bool {
        _ = take("{")
        space()
        if take("}") { return true }
        var keys: Set<[UInt16]> = []
        while true {
            space()
            guard let key = string(), keys.insert(key).inserted else { return false }
            space()
            guard take(":") else { return false }
            space()
            guard value(depth: depth) else { return false }
            space()
            if take("}") { return true }
            guard take(",") else { return false }
        }
    }

    /// The decoded UTF-16 of a string.
    private mutating func string() -> [UInt16]? {
        guard take("\"") else { return nil }
        var raw: [UInt8] = []
        var units: [UInt16] = []
        func flush() -> [UInt16] { Array(String(decoding: raw, as: UTF8.self).utf16) }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == 0x22 {
                units += flush()
                return String(validating: units, as: UTF16.self) == nil || units.contains(0) ? nil : units
            }
            if byte < 0x20 { return nil }
            guard byte == 0x5C else {
                raw.append(byte)
                continue
            }
            units += flush()
            raw = []
            guard let c = next else { return nil }
            index += 1
            if let plain = ["\"": 34, "\\": 92, "/": 47, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9][c] {
                units.append(UInt16(plain))
            } else {
                guard c == "u", index + 4 <= bytes.count else { return nil }
                let hex = String(decoding: bytes[index..<index + 4], as: UTF8.self)
                guard hex.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                    let unit = UInt16(hex, radix: 16)
                else { return nil }
                units.append(unit)
                index += 4
            }
        }
        return nil
    }

    private mutating func digits() -> Int {
        let start = index
        while let c = next, c >= "0", c <= "9" { index += 1 }
        return index - start
    }

    private mutating func number() -> Bool {
        _ = take("-")
        let zero = next == "0"
        let whole = digits()
        guard whole > 0, !(zero && whole > 1) else { return false }
        if take("."), digits() == 0 { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            if digits() == 0 { return false }
        }
        return true
    }
}
