import JSON

/// What long work a job is. A raw value is part of the API and of the state files: never reuse one.
enum JobKind: String, Sendable, CaseIterable {
    /// A training set is being made.
    case historicalFeatures = "historical_features"
    /// Served features are compared with what PostgreSQL computes.
    case featureVerification = "feature_verification"
    /// A new or changed view is being filled from stored events.
    case viewBackFill = "view_back_fill"
}

/// The version of a definition that a job is about.
struct JobSubject: Sendable, Equatable {
    let kind: DefinitionKind
    let name: String
    let version: Int
}

/// Where a job stands.
enum JobState: String, Sendable, CaseIterable {
    /// Waits for a thread.
    case queued
    case running
    /// Ended with its result.
    case done
    /// Ended with an error; `interrupted` when the process ended first. Submit it again.
    case failed
    /// Ended because somebody asked for that.
    case cancelled

    var isFinished: Bool { self == .done || self == .failed || self == .cancelled }
}

/// What a job made.
struct JobResult: Sendable, Equatable {
    /// Path of the resource that it made; nil when the result is all there is.
    var link: String?
    /// The result as it stands in the answer: an object whose member `kind` is the job's kind.
    var body: JSONTree
}

/// Why a job failed: the same code, text and places as a refusal.
struct JobError: Sendable, Equatable {
    var code: String
    var detail: String
    var errors: [DocumentProblem] = []

    init(code: String, detail: String, errors: [DocumentProblem] = []) {
        self.code = code
        self.detail = detail
        self.errors = errors
    }

    init(_ problem: Problem) {
        self.init(code: problem.code, detail: problem.detail, errors: problem.errors)
    }

    /// The process ended before the job did.
    static let interrupted = JobError(
        code: "interrupted",
        detail: "The daemon stopped while the job waited or ran; nothing was kept. Submit it again.")

    /// The same for a view's back-fill, which needs nobody to submit it.
    static let interruptedBackFill = JobError(
        code: "interrupted",
        detail: "The daemon stopped before the view had every stored event. It is filled anew, by a new job.")

    /// The process ended before a job of this kind did.
    static func interrupted(_ kind: JobKind) -> JobError {
        kind == .viewBackFill ? interruptedBackFill : interrupted
    }
}

/// One piece of long work and what became of it.
struct Job: Sendable, Equatable {
    let id: RecordID
    let kind: JobKind
    /// Who asked for it.
    let principal: String
    let createdMicros: Int64
    /// What `done` and `total` count.
    let unit: String
    /// What it is about; nil when its parameters say so.
    var subject: JobSubject?
    var state = JobState.queued
    var startedMicros: Int64?
    var finishedMicros: Int64?
    var done: Int64 = 0
    /// nil until it is known.
    var total: Int64?
    var error: JobError?
    var result: JobResult?

    /// Its resource.
    var path: String { "/v1/jobs/\(id.text)" }

    /// Writes the job as the API shows it and as its state file holds it.
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string(id.text)
        writer.key("kind")
        writer.string(kind.rawValue)
        writer.key("state")
        writer.string(state.rawValue)
        writer.key("principal")
        writer.string(principal)
        writer.key("subject")
        if let subject { subject.write(to: &writer) } else { writer.null() }
        writer.key("progress")
        writer.beginObject()
        writer.key("done")
        writer.integer(done)
        writer.key("total")
        if let total { writer.integer(total) } else { writer.null() }
        writer.key("unit")
        writer.string(unit)
        writer.endObject()
        Self.write("created_at", createdMicros, to: &writer)
        Self.write("started_at", startedMicros, to: &writer)
        Self.write("finished_at", finishedMicros, to: &writer)
        writer.key("error")
        if let error { error.write(to: &writer) } else { writer.null() }
        writer.key("result")
        if let result { writer.raw(result.body.bytes) } else { writer.null() }
        writer.key("links")
        writer.beginObject()
        writer.key("self")
        writer.string(path)
        writer.key("result")
        if let link = result?.link { writer.string(link) } else { writer.null() }
        writer.endObject()
        writer.endObject()
    }

    private static func write(_ key: StaticString, _ micros: Int64?, to writer: inout JSONWriter) {
        writer.key(key)
        if let micros { writer.timestamp(micros) } else { writer.null() }
    }

    /// The job as JSON.
    var bytes: [UInt8] {
        var writer = JSONWriter(capacity: 512)
        write(to: &writer)
        return writer.bytes
    }
}

extension JobSubject {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("kind")
        writer.string(kind.rawValue)
        writer.key("name")
        writer.string(name)
        writer.key("version")
        writer.integer(version)
        writer.endObject()
    }

    fileprivate init?(_ tree: JSONTree) {
        guard let kind = tree["kind"]?.string.flatMap(DefinitionKind.init), let name = tree["name"]?.string,
            let version = tree["version"]?.int64.flatMap({ Int(exactly: $0) })
        else { return nil }
        self.init(kind: kind, name: name, version: version)
    }
}

extension JobError {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("code")
        writer.string(code)
        writer.key("detail")
        writer.string(detail)
        writer.key("errors")
        writer.beginArray()
        for error in errors {
            writer.beginObject()
            writer.key("code")
            writer.string(error.code)
            writer.key("pointer")
            writer.string(error.pointer)
            writer.key("detail")
            writer.string(error.message)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }

    fileprivate init?(_ tree: JSONTree) {
        guard let code = tree["code"]?.string, let detail = tree["detail"]?.string else { return nil }
        let errors = (tree["errors"]?.array ?? []).compactMap { error -> DocumentProblem? in
            guard let code = error["code"]?.string, let pointer = error["pointer"]?.string else { return nil }
            return DocumentProblem(pointer: pointer, code: code, message: error["detail"]?.string ?? "")
        }
        self.init(code: code, detail: detail, errors: errors)
    }
}

extension Job {
    /// Reads a state file; nil when it is not one.
    init?(_ bytes: [UInt8]) {
        guard let tree = try? JSONTree(parsing: bytes), let id = tree["id"]?.string.flatMap({ RecordID($0) }),
            let kind = tree["kind"]?.string.flatMap(JobKind.init),
            let state = tree["state"]?.string.flatMap(JobState.init), let principal = tree["principal"]?.string,
            let created = tree["created_at"]?.string.flatMap(Timestamp.parse),
            let unit = tree["progress"]?["unit"]?.string, let done = tree["progress"]?["done"]?.int64
        else { return nil }
        self.init(id: id, kind: kind, principal: principal, createdMicros: created, unit: unit)
        self.state = state
        self.done = done
        subject = tree["subject"].flatMap(JobSubject.init)
        total = tree["progress"]?["total"]?.int64
        startedMicros = tree["started_at"]?.string.flatMap(Timestamp.parse)
        finishedMicros = tree["finished_at"]?.string.flatMap(Timestamp.parse)
        error = tree["error"].flatMap(JobError.init)
        if let body = tree["result"], !body.isNull {
            result = JobResult(link: tree["links"]?["result"]?.string, body: body)
        }
    }

    fileprivate init(id: RecordID, kind: JobKind, principal: String, createdMicros: Int64, unit: String) {
        self.init(
            id: id, kind: kind, principal: principal, createdMicros: createdMicros, unit: unit, subject: nil,
            state: .queued,
            startedMicros: nil, finishedMicros: nil, done: 0, total: nil, error: nil, result: nil)
    }
}
