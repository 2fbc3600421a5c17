extension JSONNumber: Comparable {
    /// Exact order by value, at any magnitude.
    public static func < (left: JSONNumber, right: JSONNumber) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        return left.isNegative ? magnitude(right, isLessThan: left) : magnitude(left, isLessThan: right)
    }

    private static func magnitude(_ left: JSONNumber, isLessThan right: JSONNumber) -> Bool {
        if left.significand == 0 || right.significand == 0 { return left.significand == 0 && right.significand != 0 }
        let leftDigits = digitCount(left.significand)
        let rightDigits = digitCount(right.significand)
        let leftPower = Int(left.exponent) + leftDigits
        let rightPower = Int(right.exponent) + rightDigits
        if leftPower != rightPower { return leftPower < rightPower }
        // Same magnitude: pad the shorter one to as many digits, which stays within 34.
        let padding = leftDigits - rightDigits
        let leftPadded = padded(left.significand, by: max(0, -padding))
        return leftPadded < padded(right.significand, by: max(0, padding))
    }

    private static func padded(_ digits: UInt128, by zeros: Int) -> UInt128 {
        var digits = digits
        for _ in 0..<zeros { digits *= 10 }
        return digits
    }

    private static func digitCount(_ value: UInt128) -> Int {
        var count = 1
        var bound: UInt128 = 10
        while value >= bound {
            bound *= 10
            count += 1
        }
        return count
    }
}
