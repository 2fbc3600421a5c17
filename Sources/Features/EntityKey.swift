/// The one text that names an entity whose key has several parts.
///
/// One part is the key as it is. Several parts are written one after the other, each as its length in bytes of UTF-8 in
/// decimal, a colon, and the part: `12748` and `85123A` give `5:127486:85123A`. Different parts never give the same
/// text. In SQL: `octet_length(a) || ':' || a || octet_length(b) || ':' || b`.
public enum EntityKey {
    /// The key of these parts; at least one.
    public static func encode(_ parts: [String]) -> String {
        if parts.count == 1 { return parts[0] }
        var key = ""
        for part in parts { key += "\(part.utf8.count):\(part)" }
        return key
    }

    /// The parts of a key that `encode` made of `count` parts.
    public static func decode(_ key: String, count: Int) -> [String] {
        if count == 1 { return [key] }
        var parts: [String] = []
        var rest = Array(key.utf8)[...]
        while let colon = rest.firstIndex(of: UInt8(ascii: ":")),
            let length = Int(String(decoding: rest[..<colon], as: UTF8.self)), length < rest.endIndex - colon
        {
            let end = colon + 1 + length
            parts.append(String(decoding: rest[(colon + 1)..<end], as: UTF8.self))
            rest = rest[end...]
        }
        precondition(parts.count == count, "a key of the view's parts")
        return parts
    }
}
