/// The lines of a LightGBM text model, split into header, trees and the trailing category list; nothing is
/// interpreted yet. (Layout: LightGBM `gbdt_model_text.cpp`; versions 2 to 4.)
struct LightGBMText {
    /// `key=value` lines of one block, and bare lines with an empty value.
    struct Block {
        var name: String
        var values: [Substring: Substring] = [:]
    }

    var header = Block(name: "header")
    var trees: [Block] = []
    /// The JSON after `pandas_categorical:`.
    var categories: Substring?

    /// Parses UTF-8 text; `treesMax` bounds the number of blocks.
    init(_ text: String, limits: ModelLimits) throws(ModelError) {
        var hasEnd = false
        var isFirst = true
        // Split by bytes: as characters, "\r\n" would be one.
        for bytes in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let line = Substring(bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes)
            if line.isEmpty { continue }
            if isFirst {
                guard line == "tree" else { throw ModelError(.unrecognizedFormat, "the first line is not 'tree'") }
                isFirst = false
                continue
            }
            if hasEnd {
                if line.hasPrefix("pandas_categorical:") { categories = line.dropFirst("pandas_categorical:".count) }
                continue
            }
            if line == "end of trees" {
                hasEnd = true
            } else if line.hasPrefix("Tree=") {
                guard line.dropFirst(5) == "\(trees.count)" else {
                    throw ModelError(.invalidText, "'\(line.prefix(32))' where Tree=\(trees.count) is due")
                }
                guard trees.count < limits.treesMax else {
                    throw ModelError(.limitExceeded, "more than \(limits.treesMax) trees")
                }
                trees.append(Block(name: "Tree=\(trees.count)"))
            } else {
                try add(line)
            }
        }
        guard hasEnd else { throw ModelError(.invalidText, "'end of trees' is missing: the file is cut") }
    }

    private mutating func add(_ line: Substring) throws(ModelError) {
        let separator = line.utf8.firstIndex(of: UInt8(ascii: "="))
        let key = separator.map { line[..<$0] } ?? line
        let value = separator.map { line[line.utf8.index(after: $0)...] } ?? ""
        let previous: Substring?
        let name: String
        if trees.isEmpty {
            previous = header.values.updateValue(value, forKey: key)
            name = header.name
        } else {
            previous = trees[trees.count - 1].values.updateValue(value, forKey: key)
            name = trees[trees.count - 1].name
        }
        guard previous == nil else { throw ModelError(.invalidText, "'\(key.prefix(64))' is written twice", at: name) }
    }
}

extension LightGBMText.Block {
    /// The parts of a value between spaces.
    static func words(_ value: Substring) -> [Substring] {
        value.utf8.split(separator: UInt8(ascii: " ")).map { Substring($0) }
    }

    func location(_ key: Substring) -> String { "\(name) \(key)" }

    func text(_ key: Substring) throws(ModelError) -> Substring {
        guard let value = values[key] else { throw ModelError(.missingField, "'\(key)' is missing", at: name) }
        return value
    }

    func integer(_ key: Substring, in range: ClosedRange<Int>) throws(ModelError) -> Int {
        let text = try text(key)
        guard let integer = Int(text) else {
            throw ModelError(.invalidValue, "'\(text.prefix(32))' is not an integer", at: location(key))
        }
        guard integer >= range.lowerBound else {
            throw ModelError(.invalidValue, "\(integer) is below \(range.lowerBound)", at: location(key))
        }
        guard integer <= range.upperBound else {
            throw ModelError(.limitExceeded, "\(integer) is above \(range.upperBound)", at: location(key))
        }
        return integer
    }

    /// `count` numbers separated by spaces: finite ones, or infinite too where the format has a use for them.
    func numbers(_ key: Substring, count: Int, allowsInfinity: Bool = false) throws(ModelError) -> [Double] {
        let parts = Self.words(try text(key))
        guard parts.count == count else {
            throw ModelError(.countMismatch, "\(parts.count) elements where \(count) are needed", at: location(key))
        }
        var numbers: [Double] = []
        numbers.reserveCapacity(count)
        for part in parts {
            guard let number = Double(part) else {
                throw ModelError(.invalidValue, "'\(part.prefix(32))' is not a number", at: location(key))
            }
            guard number.isFinite || (allowsInfinity && number.isInfinite) else {
                throw ModelError(.notFinite, "'\(part.prefix(32))' is not finite", at: location(key))
            }
            numbers.append(number)
        }
        return numbers
    }

    /// Integers separated by spaces; `count` of them when it is given.
    func integers<I: FixedWidthInteger>(
        _ key: Substring, count: Int? = nil, as type: I.Type = Int32.self
    ) throws(ModelError) -> [I] {
        let parts = Self.words(try text(key))
        if let count, parts.count != count {
            throw ModelError(.countMismatch, "\(parts.count) elements where \(count) are needed", at: location(key))
        }
        var integers: [I] = []
        integers.reserveCapacity(parts.count)
        for part in parts {
            guard let integer = I(part) else {
                throw ModelError(.invalidValue, "'\(part.prefix(32))' is not an integer", at: location(key))
            }
            integers.append(integer)
        }
        return integers
    }
}
