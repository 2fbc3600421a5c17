import JSON
import Testing

@testable import Service

@Suite struct Hash128Tests {
    static func hash(_ parts: [String], key: [UInt8] = Array(0..<16)) -> Hash128 {
        var hasher = Hasher128(HashKey(key))
        for part in parts { hasher.add(part) }
        return hasher.finish()
    }

    @Test func partsAreSeparated() {
        let lists: [[String]] = [
            [], [""], ["", ""], ["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], ["\0"], ["\0\0"],
            ["12345678"], ["1234567", "8"], ["12345678", ""], ["123456789"], ["12345678\0"], ["\u{0}12345678"],
        ]
        #expect(Set(lists.map { Self.hash($0) }).count == lists.count)
    }

    @Test func keysSeparate() {
        #expect(Self.hash(["a"]) != Self.hash(["a"], key: Array(1..<17)))
        #expect(Self.hash(["a"]) == Self.hash(["a"]))
    }

    @Test func noCollisionAmongManyAndBitsAreSpread() {
        var seen: Set<Hash128> = []
        var ones = Array(repeating: 0, count: 128)
        for number in 0..<20_000 {
            let hash = Self.hash(["source", "\(number)"])
            seen.insert(hash)
            for bit in 0..<64 {
                ones[bit] += Int(hash.low >> UInt64(bit) & 1)
                ones[64 + bit] += Int(hash.high >> UInt64(bit) & 1)
            }
        }
        #expect(seen.count == 20_000)
        #expect(ones.allSatisfy { (9_000...11_000).contains($0) })
    }
}
