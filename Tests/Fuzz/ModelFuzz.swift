import Models

/// libFuzzer's entry: bytes as a model file of any format. What loads predicts extreme rows the same twice and in a batch,
/// names its leaves and explains them; nothing traps, and errors say why.
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
    var rows: [Double] = []
    var margins: [Double] = []
    for value in [0, .nan, -1, 2.5, 1e300, -Double.infinity] {
        let row = [Double](repeating: value, count: model.featureCount)
        model.predict(row, into: &prediction)
        let bits = prediction.values.map(\.bitPattern)
        model.predict(row, into: &prediction)
        precondition(prediction.values.map(\.bitPattern) == bits, "predicting twice gives the same")
        rows += row
        margins += prediction.margin
        if let leaves = model.leafIndices(row, using: &prediction) {
            precondition(leaves.count == model.treeCount, "a leaf per tree")
        }
        if let contributions = model.contributions(row) {
            precondition(
                contributions.count == model.outputCount * (model.featureCount + 1), "a number per input, and the bias")
        }
        _ = model.partialPoints(row)
    }
    if model.featureCount > 0 { check(model, rows, margins, &prediction) }
    return 0
}

/// A batch gives the very numbers of single rows.
private func check(_ model: Model, _ rows: [Double], _ margins: [Double], _ prediction: inout Prediction) {
    var batch = [Double](repeating: 0, count: margins.count)
    var values = [Double](repeating: 0, count: margins.count / model.outputCount * model.predictionCount)
    rows.withUnsafeBufferPointer { rows in
        batch.withUnsafeMutableBufferPointer { batch in
            values.withUnsafeMutableBufferPointer { values in
                model.predictBatch(rows, using: &prediction, margins: batch, values: values)
            }
        }
    }
    precondition(
        zip(batch, margins).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }, "batches and single rows agree")
}
