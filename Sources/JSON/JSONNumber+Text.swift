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
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends ``text``.
    func append(to bytes: inout [UInt8]) {
        if let small = UInt64(exactly: significand) {
            appendDecimal(isNegative, digits: small, exponent: Int(exponent), to: &bytes)
        } else {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { room in
                var start = room.count
                var rest = significand
                while rest != 0 {
                    let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                    start -= 1
                    room[start] = UInt8(ascii: "0") + UInt8(digit)
                    rest = quotient
                }
                layOut(isNegative, UnsafeBufferPointer(rebasing: room[start...]), Int(exponent), &bytes)
            }
        }
    }
}

/// Appends sign * digits * 10^exponent in JSON; trailing zeros of `digits` are harmless.
func appendDecimal(_ isNegative: Bool, digits: UInt64, exponent: Int, to bytes: inout [UInt8]) {
    var rest = digits
    var power = exponent
    while rest != 0, rest % 10 == 0 {
        rest /= 10
        power += 1
    }
    guard rest != 0 else {
        bytes.append(UInt8(ascii: "0"))
        return
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { room in
        var start = room.count
        while rest != 0 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            start -= 1
            room[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        }
        layOut(isNegative, UnsafeBufferPointer(rebasing: room[start...]), power, &bytes)
    }
}

/// `digits` has no leading and no trailing zero.
private func layOut(
    _ isNegative: Bool, _ digits: UnsafeBufferPointer<UInt8>, _ exponent: Int, _ bytes: inout [UInt8]
) {
    let zero = UInt8(ascii: "0")
    let point = UInt8(ascii: ".")
    let first = exponent + digits.count - 1
    if isNegative { bytes.append(UInt8(ascii: "-")) }
    if exponent >= 0, first < 21 {
        bytes.append(contentsOf: digits)
        bytes.append(contentsOf: repeatElement(zero, count: exponent))
    } else if first >= 0, first < 21 {
        bytes.append(contentsOf: digits[...first])
        bytes.append(point)
        bytes.append(contentsOf: digits[(first + 1)...])
    } else if first < 0, first >= -7 {
        bytes.append(zero)
        bytes.append(point)
        bytes.append(contentsOf: repeatElement(zero, count: -first - 1))
        bytes.append(contentsOf: digits)
    } else {
        bytes.append(digits[0])
        if digits.count > 1 {
            bytes.append(point)
            bytes.append(contentsOf: digits[1...])
        }
        bytes.append(UInt8(ascii: "e"))
        bytes.append(first < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
        appendInteger(UInt64(abs(first)), to: &bytes)
    }
}

/// Appends the plain digits of `value`.
func appendInteger(_ value: UInt64, to bytes: inout [UInt8]) {
    if value < 10 {
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value))
        return
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { room in
        var start = room.count
        var rest = value
        while rest != 0 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            start -= 1
            room[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        }
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: room[start...]))
    }
}
