extension JSONNumber {
    /// The nearest double; infinite past the largest one.
    public var double: Double {
        var text = "\(isNegative ? "-" : "")\(significand)e\(exponent)"
        let value = text.withUTF8 { DecimalScan(accepted: $0).double(from: $0) }
        return value ?? (isNegative ? -.infinity : .infinity)
    }

    /// `value * 10^scale` when that is an exact 64-bit integer, else nil. Never exact when ``isExact`` is false.
    public func scaledInt64(scale: Int) -> Int64? {
        guard isExact else { return nil }
        if significand == 0 { return 0 }
        var power = Int(exponent) + scale
        // No trailing zeros are left in the significand, so a negative power means a fraction.
        guard power >= 0, power < 20 else { return nil }
        var magnitude = significand
        while power > 0 {
            magnitude *= 10
            power -= 1
            if magnitude > 1 << 64 { return nil }
        }
        if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude)
    }

    /// The number in JSON, laid out as ECMAScript lays out numbers: plain digits when the first digit's power
    /// of ten is in -7..<21, otherwise `d.ddde+x`. No trailing `.0`.
    public var text: String {
        var buffer = TextBuffer(capacity: NumberText.room)
        append(to: &buffer)
        return String(decoding: buffer.finish(), as: UTF8.self)
    }

    /// Appends ``text``.
    func append(to buffer: inout TextBuffer) {
        let (isNegative, significand, exponent) = (isNegative, significand, Int(exponent))
        buffer.write(room: NumberText.room) { room in
            if let small = UInt64(exactly: significand) {
                return NumberText.decimal(isNegative, digits: small, exponent: exponent, at: room)
            }
            return NumberText.long(isNegative, significand, exponent, at: room)
        }
    }
}

/// Numbers as JSON text, written through a pointer with room for ``room`` bytes. Every function returns the bytes used.
enum NumberText {
    /// The longest spelling: sign, 39 digits, point, and 21 zeros or an exponent.
    static let room = 72

    private static let zero = UInt8(ascii: "0")
    private static let point = UInt8(ascii: ".")

    /// sign * digits * 10^exponent; trailing zeros of `digits` are harmless.
    static func decimal(_ isNegative: Bool, digits: UInt64, exponent: Int, at room: UnsafeMutablePointer<UInt8>) -> Int
    {
        var rest = digits
        var power = exponent
        while rest != 0 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            if digit != 0 { break }
            rest = quotient
            power += 1
        }
        guard rest != 0 else {
            room.pointee = zero
            return 1
        }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { scratch in
            let start = fill(rest, before: scratch.count, of: scratch)
            return layOut(isNegative, UnsafeBufferPointer(rebasing: scratch[start...]), power, at: room)
        }
    }

    /// The same for a significand past 64 bits.
    static func long(
        _ isNegative: Bool, _ significand: UInt128, _ exponent: Int, at room: UnsafeMutablePointer<UInt8>
    ) -> Int {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { scratch in
            var start = scratch.count
            var rest = significand
            while rest != 0 {
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                start -= 1
                scratch[start] = zero + UInt8(digit)
                rest = quotient
            }
            return layOut(isNegative, UnsafeBufferPointer(rebasing: scratch[start...]), exponent, at: room)
        }
    }

    /// The plain digits of `value`.
    @inline(__always)
    static func integer(_ value: UInt64, at room: UnsafeMutablePointer<UInt8>) -> Int {
        if value < 10 {
            room.pointee = zero + UInt8(truncatingIfNeeded: value)
            return 1
        }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { scratch in
            let start = fill(value, before: scratch.count, of: scratch)
            room.update(from: scratch.baseAddress.unsafelyUnwrapped + start, count: scratch.count - start)
            return scratch.count - start
        }
    }

    /// Digits of `value`, which is not 0, ending before `end`; returns where they start.
    @inline(__always)
    private static func fill(_ value: UInt64, before end: Int, of scratch: UnsafeMutableBufferPointer<UInt8>) -> Int {
        var start = end
        var rest = value
        while rest != 0 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            start -= 1
            scratch[start] = zero + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        }
        return start
    }

    /// `digits` has no leading and no trailing zero.
    private static func layOut(
        _ isNegative: Bool, _ digits: UnsafeBufferPointer<UInt8>, _ exponent: Int, at room: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let source = digits.baseAddress.unsafelyUnwrapped
        let first = exponent + digits.count - 1
        var used = 0
        if isNegative {
            room[0] = UInt8(ascii: "-")
            used = 1
        }
        if exponent >= 0, first < 21 {
            (room + used).update(from: source, count: digits.count)
            (room + used + digits.count).update(repeating: zero, count: exponent)
            return used + digits.count + exponent
        }
        if first >= 0, first < 21 {
            (room + used).update(from: source, count: first + 1)
            room[used + first + 1] = point
            (room + used + first + 2).update(from: source + first + 1, count: digits.count - first - 1)
            return used + digits.count + 1
        }
        if first < 0, first >= -7 {
            room[used] = zero
            room[used + 1] = point
            (room + used + 2).update(repeating: zero, count: -first - 1)
            (room + used + 1 - first).update(from: source, count: digits.count)
            return used + 1 - first + digits.count
        }
        room[used] = source[0]
        used += 1
        if digits.count > 1 {
            room[used] = point
            (room + used + 1).update(from: source + 1, count: digits.count - 1)
            used += digits.count
        }
        room[used] = UInt8(ascii: "e")
        room[used + 1] = first < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")
        return used + 2 + integer(UInt64(abs(first)), at: room + used + 2)
    }
}
