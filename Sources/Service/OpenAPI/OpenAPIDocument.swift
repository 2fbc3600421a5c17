import Decisions

/// `openapi.yaml` as it is served: the text in the repository with one typed path per active decision and model.
///
/// Text goes into text, so that the order and the comments of the file stay and no YAML library is needed to serve it.
enum OpenAPIDocument {
    /// The text of `openapi.yaml`, as built into the program.
    static let base = String(decoding: PackageResources.openapi_yaml, as: UTF8.self)

    /// The line, at the end of `paths`, before which typed paths stand.
    static let pathsMarker = "  # decisiond:typed-paths"
    /// The line, at the end of `components/schemas`, before which their schemas stand.
    static let schemasMarker = "    # decisiond:typed-schemas"

    /// The document for these decisions and models. Equal ones give equal bytes, in whatever order they come.
    ///
    /// - Parameters:
    ///   - base: the text of `openapi.yaml`, with both marker lines.
    ///   - decisions: the active decisions.
    ///   - models: the champions.
    static func render(base: String, decisions: [CompiledDecision], models: [ServedModel] = []) -> [UInt8] {
        var paths = YAMLLines()
        var schemas = YAMLLines()
        for named in TypedDecision.naming(decisions) {
            named.writePath(&paths)
            named.writeSchemas(&schemas)
        }
        for named in TypedModel.naming(models) {
            named.writePath(&paths)
            named.writeSchemas(&schemas)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(base.utf8.count + paths.text.utf8.count + schemas.text.utf8.count)
        var markersLeft = 2
        for line in base.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.elementsEqual(pathsMarker.utf8) {
                bytes.append(contentsOf: paths.text.utf8)
                markersLeft -= 1
            } else if line.elementsEqual(schemasMarker.utf8) {
                bytes.append(contentsOf: schemas.text.utf8)
                markersLeft -= 1
            }
            bytes.append(contentsOf: line)
            bytes.append(UInt8(ascii: "\n"))
        }
        precondition(markersLeft == 0, "openapi.yaml has each marker line once")
        // The last line ended with a line feed already, and so gave an empty one after it.
        bytes.removeLast()
        return bytes
    }
}
