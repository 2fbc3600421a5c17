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
}
