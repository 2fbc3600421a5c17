import Models

/// libFuzzer's entry: bytes as a model file of any format. What loads predicts extreme rows the same twice; nothing
/// traps, and errors say why.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzModel(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // What a file of 4 KiB may ask for is small; a forest of many outputs is not what is looked for here.
    var limits = ModelLimits.standard
    limits.featuresMax = 1_024
    limits.outputsMax = 64
    limits.onnxElementsMax = 65_536
    let model: Model
    do throws(ModelError) {
        model = try Model.load(UnsafeRawBufferPointer(start: start, count: count), limits: limits)
    } catch {
        precondition(!error.message.isEmpty, "a refusal says why")
        return 0
    }
    precondition(model.featureNames.count == model.categories.count)
    var prediction = model.makePrediction()
    for value in [0, .nan, -1, 2.5, 1e300, -Double.infinity] {
        let row = [Double](repeating: value, count: model.featureCount)
        model.predict(row, into: &prediction)
        let bits = prediction.values.map(\.bitPattern)
        model.predict(row, into: &prediction)
        precondition(prediction.values.map(\.bitPattern) == bits, "predicting twice gives the same")
        _ = model.leafIndices(row, using: &prediction)
    }
    return 0
}
