import HTTP
import Telemetry

/// Every operation that the daemon serves. Routes, access actions, `openapi.yaml` and the tests all follow this list;
/// a raw value is the operation's `operationId`.
enum Operation: String, Sendable, CaseIterable {
    case getHealth, getReadiness, getMetrics, getOpenAPI, getAuthzenConfiguration
    case postEvents, listQuarantine, listSources
    case getFeatures, queryFeatures, getFeatureStatistics
    case postDecision, getDecisionRecord, listDecisionRecords, replayDecisionRecord, postOutcome, getDecisionHealth
    case getKPI, listKPIs, queryMeasures, getQuality, listQuality
    case applyDefinitions, listDefinitions, getDefinition, listDefinitionVersions, retireDefinition, putArtifact
    case createKey, listKeys, revokeKey
    case listAccessLog, evaluateAccess, evaluateAccessBatch
    case postHistoricalFeatures, verifyFeatures
    case listTrainingSets, getTrainingSet, deleteTrainingSet, getTrainingSetData
    case listJobs, getJob, cancelJob, retryJob
    case evaluateFEEL
    case listModels, getModel, getModelVersion, getModelCard, getModelDrift
    case postModelVersion, promoteModel, rollbackModel, scoreModel
    case getUsage
    case getInferenceServer, getInferenceLiveness, getInferenceReadiness, listInferenceModels
    case getInferenceModel, getInferenceModelVersion, getInferenceModelReadiness, getInferenceModelVersionReadiness
    case inferModel, inferModelVersion
    case postInvocations, postModelInvocations, getScoringPing, getScoringHealth, getScoringVersion

    /// Method and path template, as in `openapi.yaml`.
    var route: (method: Method, path: String) {
        switch self {
        case .getHealth: (.get, "/healthz")
        case .getReadiness: (.get, "/readyz")
        case .getMetrics: (.get, "/metrics")
        case .getOpenAPI: (.get, "/openapi.yaml")
        case .getAuthzenConfiguration: (.get, "/.well-known/authzen-configuration")
        case .postEvents: (.post, "/v1/events")
        case .listQuarantine: (.get, "/v1/quarantine")
        case .listSources: (.get, "/v1/sources")
        case .getFeatures: (.get, "/v1/features/{view}")
        case .queryFeatures: (.post, "/v1/features/query")
        case .getFeatureStatistics: (.get, "/v1/features/{view}/statistics")
        case .postDecision: (.post, "/v1/decide/{decision}")
        case .getDecisionHealth: (.get, "/v1/decide/{decision}/health")
        case .listDecisionRecords: (.get, "/v1/decision-records")
        case .getDecisionRecord: (.get, "/v1/decision-records/{id}")
        case .replayDecisionRecord: (.post, "/v1/decision-records/{id}/replay")
        case .postOutcome: (.post, "/v1/decision-records/{id}/outcomes")
        case .listKPIs: (.get, "/v1/kpis")
        case .getKPI: (.get, "/v1/kpis/{name}")
        case .queryMeasures: (.post, "/v1/measures/query")
        case .listQuality: (.get, "/v1/quality")
        case .getQuality: (.get, "/v1/quality/{contract}")
        case .applyDefinitions: (.post, "/v1/definitions/apply")
        case .listDefinitions: (.get, "/v1/definitions")
        case .getDefinition: (.get, "/v1/definitions/{kind}/{name}")
        case .listDefinitionVersions: (.get, "/v1/definitions/{kind}/{name}/versions")
        case .retireDefinition: (.delete, "/v1/definitions/{kind}/{name}")
        case .putArtifact: (.put, "/v1/artifacts/{sha256}")
        case .createKey: (.post, "/v1/keys")
        case .listKeys: (.get, "/v1/keys")
        case .revokeKey: (.delete, "/v1/keys/{id}")
        case .listAccessLog: (.get, "/v1/access-log")
        case .evaluateAccess: (.post, "/access/v1/evaluation")
        case .evaluateAccessBatch: (.post, "/access/v1/evaluations")
        case .postHistoricalFeatures: (.post, "/v1/features/historical")
        case .verifyFeatures: (.post, "/v1/features/{view}/verify")
        case .listTrainingSets: (.get, "/v1/training-sets")
        case .getTrainingSet: (.get, "/v1/training-sets/{id}")
        case .deleteTrainingSet: (.delete, "/v1/training-sets/{id}")
        case .getTrainingSetData: (.get, "/v1/training-sets/{id}/data")
        case .listJobs: (.get, "/v1/jobs")
        case .getJob: (.get, "/v1/jobs/{id}")
        case .cancelJob: (.delete, "/v1/jobs/{id}")
        case .evaluateFEEL: (.post, "/v1/feel/evaluate")
        case .retryJob: (.post, "/v1/jobs/{id}/retry")
        case .listModels: (.get, "/v1/models")
        case .getModel: (.get, "/v1/models/{name}")
        case .postModelVersion: (.post, "/v1/models/{name}/versions")
        case .getModelVersion: (.get, "/v1/models/{name}/versions/{version}")
        case .promoteModel: (.post, "/v1/models/{name}/promote")
        case .rollbackModel: (.post, "/v1/models/{name}/rollback")
        case .getModelCard: (.get, "/v1/models/{name}/card")
        case .getModelDrift: (.get, "/v1/models/{name}/drift")
        case .scoreModel: (.post, "/v1/models/{name}/score")
        case .getUsage: (.get, "/v1/usage")
        case .getInferenceServer: (.get, "/v2")
        case .getInferenceLiveness: (.get, "/v2/health/live")
        case .getInferenceReadiness: (.get, "/v2/health/ready")
        case .listInferenceModels: (.post, "/v2/repository/index")
        case .getInferenceModel: (.get, "/v2/models/{model}")
        case .getInferenceModelVersion: (.get, "/v2/models/{model}/versions/{version}")
        case .getInferenceModelReadiness: (.get, "/v2/models/{model}/ready")
        case .getInferenceModelVersionReadiness: (.get, "/v2/models/{model}/versions/{version}/ready")
        case .inferModel: (.post, "/v2/models/{model}/infer")
        case .inferModelVersion: (.post, "/v2/models/{model}/versions/{version}/infer")
        case .postInvocations: (.post, "/invocations")
        case .postModelInvocations: (.post, "/v1/models/{name}/invocations")
        case .getScoringPing: (.get, "/ping")
        case .getScoringHealth: (.get, "/health")
        case .getScoringVersion: (.get, "/version")
        }
    }

    /// Other paths that lead here: the text and the schema of the Open Inference Protocol do not agree on its root.
    var aliases: [String] { self == .getInferenceServer ? ["/v2/"] : [] }

    /// The action that a policy must permit; nil for the public operations.
    var action: String? {
        switch self {
        case .getHealth, .getReadiness, .getOpenAPI, .getAuthzenConfiguration: nil
        case .getMetrics, .listSources: "operate.read"
        case .postEvents: "events.write"
        case .listQuarantine: "quarantine.read"
        case .getFeatures, .queryFeatures, .getFeatureStatistics: "features.read"
        case .postDecision: "decide"
        case .getDecisionHealth: "definitions.read"
        case .getDecisionRecord, .listDecisionRecords: "decision_records.read"
        case .replayDecisionRecord: "decision_records.replay"
        case .postOutcome: "outcomes.write"
        case .getKPI, .listKPIs: "kpis.read"
        case .queryMeasures: "measures.query"
        case .getQuality, .listQuality: "quality.read"
        case .applyDefinitions, .retireDefinition: "definitions.apply"
        case .listDefinitions, .getDefinition, .listDefinitionVersions: "definitions.read"
        case .putArtifact: "artifacts.write"
        case .createKey, .revokeKey: "keys.write"
        case .listKeys: "keys.read"
        case .listAccessLog: "access_log.read"
        case .evaluateAccess, .evaluateAccessBatch: "access.evaluate"
        case .postHistoricalFeatures: "features.historical"
        case .verifyFeatures: "features.verify"
        case .listTrainingSets, .getTrainingSet, .getTrainingSetData: "training_sets.read"
        case .deleteTrainingSet: "training_sets.delete"
        case .listJobs, .getJob: "jobs.read"
        case .cancelJob: "jobs.cancel"
        case .evaluateFEEL: "feel.evaluate"
        case .retryJob: "jobs.retry"
        case .listModels, .getModel, .getModelVersion, .getModelCard, .getModelDrift: "models.read"
        case .postModelVersion: "models.write"
        case .promoteModel, .rollbackModel: "models.promote"
        case .scoreModel: "models.score"
        case .getUsage: "usage.read"
        case .getInferenceServer, .getInferenceLiveness, .getInferenceReadiness, .listInferenceModels,
            .getInferenceModel, .getInferenceModelVersion, .getInferenceModelReadiness,
            .getInferenceModelVersionReadiness, .getScoringPing, .getScoringHealth, .getScoringVersion:
            "models.read"
        case .inferModel, .inferModelVersion, .postInvocations, .postModelInvocations: "models.score"
        }
    }

    /// The type of the resource that the action is on.
    var resourceType: String {
        switch self {
        case .postDecision, .getDecisionHealth: "decision"
        case .getDecisionRecord, .listDecisionRecords, .replayDecisionRecord, .postOutcome: "decision_record"
        case .postEvents, .listQuarantine: "stream"
        case .getFeatures, .queryFeatures, .getFeatureStatistics, .postHistoricalFeatures, .verifyFeatures:
            "feature_view"
        case .getKPI, .listKPIs: "kpi"
        case .queryMeasures: "measure"
        case .getQuality, .listQuality: "contract"
        case .applyDefinitions, .retireDefinition, .listDefinitions, .getDefinition, .listDefinitionVersions:
            "definition"
        case .putArtifact, .listModels, .getModel, .getModelVersion, .getModelCard, .getModelDrift, .postModelVersion,
            .promoteModel, .rollbackModel, .scoreModel, .getInferenceServer, .getInferenceLiveness,
            .getInferenceReadiness, .listInferenceModels, .getInferenceModel, .getInferenceModelVersion,
            .getInferenceModelReadiness, .getInferenceModelVersionReadiness, .inferModel, .inferModelVersion,
            .postInvocations, .postModelInvocations, .getScoringPing, .getScoringHealth, .getScoringVersion:
            "model"
        case .createKey, .listKeys, .revokeKey: "key"
        case .listAccessLog, .evaluateAccess, .evaluateAccessBatch: "access"
        case .listTrainingSets, .getTrainingSet, .deleteTrainingSet, .getTrainingSetData: "training_set"
        case .listJobs, .getJob, .cancelJob, .retryJob: "job"
        case .getHealth, .getReadiness, .getMetrics, .getOpenAPI, .getAuthzenConfiguration, .getUsage, .listSources,
            .evaluateFEEL:
            "service"
        }
    }

    /// The path parameter that names the resource, if one does.
    var resourceParameter: String? {
        switch self {
        case .postDecision, .getDecisionHealth: "decision"
        case .getDecisionRecord, .replayDecisionRecord, .postOutcome, .revokeKey, .getJob, .cancelJob, .retryJob,
            .getTrainingSet, .deleteTrainingSet, .getTrainingSetData:
            "id"
        case .getFeatures, .getFeatureStatistics, .verifyFeatures: "view"
        case .getKPI: "name"
        case .getQuality: "contract"
        case .retireDefinition, .getDefinition, .listDefinitionVersions: "name"
        case .getModel, .getModelVersion, .getModelCard, .getModelDrift, .postModelVersion, .promoteModel,
            .rollbackModel, .scoreModel:
            "name"
        case .putArtifact: "sha256"
        case .getInferenceModel, .getInferenceModelVersion, .getInferenceModelReadiness,
            .getInferenceModelVersionReadiness, .inferModel, .inferModelVersion:
            "model"
        case .postModelInvocations: "name"
        default: nil
        }
    }

    /// Query parameters that the operation takes; nil when it checks its own (the entity's name is one).
    var queryParameters: Set<String>? {
        switch self {
        case .getFeatures: nil
        case .postEvents: AckParameters.names.union(["results"])
        case .postOutcome: AckParameters.names
        case .postDecision: ["ack"]
        case .listQuarantine: ["contract", "class", "code", "state", "limit", "cursor"]
        case .listDecisionRecords: ["decision", "entity", "limit", "cursor"]
        case .listAccessLog: ["principal", "action", "limit", "cursor"]
        case .listSources: ["limit", "cursor"]
        case .getKPI: ["periods"]
        case .getQuality: ["hours"]
        case .applyDefinitions: ["dry_run"]
        case .listDefinitions: ["kind"]
        case .postHistoricalFeatures: ["view", "features", "known_at", "name", "null_reasons"]
        case .listTrainingSets: ["name", "limit", "cursor"]
        case .getTrainingSetData: ["format"]
        case .listJobs: ["state"]
        case .getModelCard: ["version", "format"]
        case .getModelDrift: ["version", "from", "to"]
        case .postInvocations: ["model", "version"]
        case .postModelInvocations: ["version"]
        default: []
        }
    }

    /// Media types of the body; nil when the operation checks its own, empty when it takes no body.
    var mediaTypes: [StaticString]? {
        switch self {
        case .postEvents, .postHistoricalFeatures: nil
        // AuthZEN answers 400, not 415, so it checks by itself.
        case .evaluateAccess, .evaluateAccessBatch: nil
        // MLflow is particular about the parameters, too.
        case .postInvocations, .postModelInvocations: nil
        case .applyDefinitions: ["application/json", "application/yaml", "application/x-yaml"]
        case .putArtifact: ["application/octet-stream"]
        case .postModelVersion: ["application/json", "multipart/form-data"]
        default: ["application/json"]
        }
    }

    /// Whether the AuthZEN error shape (a plain message, 400 for every unreadable request) applies.
    var speaksAuthzen: Bool {
        self == .evaluateAccess || self == .evaluateAccessBatch
    }

    /// How a refusal is told.
    var errorShape: ErrorShape {
        switch self {
        case .getInferenceServer, .getInferenceLiveness, .getInferenceReadiness, .listInferenceModels,
            .getInferenceModel, .getInferenceModelVersion, .getInferenceModelReadiness,
            .getInferenceModelVersionReadiness, .inferModel, .inferModelVersion:
            .inference
        case .postInvocations, .postModelInvocations, .getScoringPing, .getScoringHealth, .getScoringVersion: .mlflow
        default: .problem
        }
    }

    /// Whether the action may be permitted by what a DecisionRecord or a job says of itself.
    var isAboutOneRecord: Bool {
        switch self {
        case .getDecisionRecord, .replayDecisionRecord, .postOutcome, .getJob, .cancelJob, .retryJob: true
        default: false
        }
    }

    /// Whether the body names the resources, so that the operation asks the policies for each of them itself.
    var namesResourcesInBody: Bool { self == .queryFeatures }

    /// Names of the path's parameters, in order.
    var parameterNames: [String] {
        route.path.split(separator: "/").compactMap { segment in
            segment.hasPrefix("{") ? String(segment.dropFirst().dropLast()) : nil
        }
    }
}

/// What every request needs to know of its operation, looked up once.
final class OperationPlan: Sendable {
    let operation: Operation
    let action: String?
    let resourceType: String
    /// Which of the path's parameters names the resource.
    let resourceIndex: Int?
    let queryParameters: Set<String>?
    let mediaTypes: [StaticString]?
    let errorShape: ErrorShape
    /// Names of the path's parameters, in order.
    let parameterNames: [String]
    /// Counts the operation's requests.
    let requests: RequestSeries

    init(_ operation: Operation, metrics: Metrics) {
        self.operation = operation
        action = operation.action
        resourceType = operation.resourceType
        queryParameters = operation.queryParameters
        mediaTypes = operation.mediaTypes
        errorShape = operation.errorShape
        let (route, names) = (operation.route, operation.parameterNames)
        parameterNames = names
        resourceIndex = operation.resourceParameter.flatMap { names.firstIndex(of: $0) }
        requests = metrics.requests(method: route.method.token.description, route: route.path)
    }
}
