import Decisions

enum OpenAPIDocument {
    static var base: String { "" }
    static func render(base: String, decisions: [CompiledDecision]) -> [UInt8] { [] }
}
