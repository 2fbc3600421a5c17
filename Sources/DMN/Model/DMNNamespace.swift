/// The namespaces of DMN's versions.
public enum DMNNamespace {
    /// DMN 1.5's model namespace; what is written.
    public static let current = "https://www.omg.org/spec/DMN/20230324/MODEL/"
    /// DMN 1.5's layout namespace.
    static let currentLayout = "https://www.omg.org/spec/DMN/20230324/DMNDI/"
    /// DMN 1.5's name of the language FEEL.
    static let currentLanguage = "https://www.omg.org/spec/DMN/20230324/FEEL/"

    private static let models = [
        "http://www.omg.org/spec/DMN/20151101/dmn.xsd": "1.1",
        "http://www.omg.org/spec/DMN/20180521/MODEL/": "1.2",
        "https://www.omg.org/spec/DMN/20191111/MODEL/": "1.3",
        "https://www.omg.org/spec/DMN/20211108/MODEL/": "1.4",
        current: "1.5",
    ]
    private static let layouts = [
        "http://www.omg.org/spec/DMN/20180521/DMNDI/", "https://www.omg.org/spec/DMN/20191111/DMNDI/",
        "https://www.omg.org/spec/DMN/20211108/DMNDI/", currentLayout,
    ]
    private static let languages = [
        "http://www.omg.org/spec/FEEL/20140401", "http://www.omg.org/spec/DMN/20180521/FEEL/",
        "https://www.omg.org/spec/DMN/20191111/FEEL/", "https://www.omg.org/spec/DMN/20211108/FEEL/", currentLanguage,
    ]

    /// DMN's version of a model namespace, such as `1.5`; nil for any other namespace.
    public static func version(ofModel namespace: String) -> String? { models[namespace] }

    /// Whether a name of an expression language means FEEL.
    static func isFEEL(_ language: String) -> Bool {
        languages.contains(language) || language.lowercased() == "feel"
    }

    /// The namespace of DMN 1.5 that takes the place of an older one; nil for a namespace that is not DMN's.
    static func upgraded(_ namespace: String) -> String? {
        if models[namespace] != nil { return current }
        if layouts.contains(namespace) { return currentLayout }
        if languages.contains(namespace) { return currentLanguage }
        return nil
    }

    /// A piece of a file with every older namespace of DMN in it replaced; a piece of DMN 1.5 stays byte for byte.
    static func upgradedAll(in source: String) -> String {
        var source = source
        for old in Array(models.keys) + layouts + languages {
            guard let new = upgraded(old), new != old, source.contains(old) else { continue }
            source = source.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
        }
        return source
    }
}
