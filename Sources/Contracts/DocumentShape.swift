import JSON

/// What the standard (ODCS v3.1.0) allows at one place of a document: the keys, their JSON types, which ones
/// are required. Null counts as absent, as YAML authors expect of a key without a value.
struct DocumentShape {
    indirect enum Content {
        case anything, text, identifier, number, integer, truth, scalar, texts
        case textOrTexts
        case oneOf([String])
        case element(Element)
        case elements(Element)
        case team
    }

    /// The kinds of object in a document.
    enum Element {
        case contract, description, server, schemaObject, property, item, quality, relationship, propertyRelationship
        case definition, support, price, team, member, role, level, customProperty
    }

    var keys: [String: Content]
    var required: [String] = []
    /// Whether keys that are not listed are allowed.
    var isOpen = false
}

extension DocumentShape.Element {
    var shape: DocumentShape {
        switch self {
        case .contract: Self.contractShape
        case .description: Self.descriptionShape
        case .server: Self.serverShape
        case .schemaObject: Self.schemaShape
        case .property: Self.propertyShape
        case .item: Self.itemShape
        case .quality: Self.qualityShape
        case .relationship: Self.relationshipShape
        case .propertyRelationship: Self.propertyRelationshipShape
        case .definition: Self.definitionShape
        case .support: Self.supportShape
        case .price: Self.priceShape
        case .team: Self.teamShape
        case .member: Self.memberShape
        case .role: Self.roleShape
        case .level: Self.levelShape
        case .customProperty: Self.customPropertyShape
        }
    }

    private static let contractShape = DocumentShape(
        keys: [
            "version": .text, "kind": .oneOf(["DataContract"]),
            "apiVersion": .oneOf(["v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0", "v2.2.2", "v2.2.1", "v2.2.0"]),
            "id": .text, "name": .text, "tenant": .text, "tags": .texts, "status": .text, "servers": .elements(.server),
            "dataProduct": .text, "description": .element(.description), "domain": .text,
            "schema": .elements(.schemaObject), "support": .elements(.support), "price": .element(.price),
            "team": .team, "roles": .elements(.role), "slaDefaultElement": .text, "slaProperties": .elements(.level),
            "authoritativeDefinitions": .elements(.definition), "customProperties": .elements(.customProperty),
            "contractCreatedTs": .text,
        ],
        required: ["version", "apiVersion", "kind", "id", "status"])

    private static let descriptionShape = DocumentShape(
        keys: [
            "usage": .text, "purpose": .text, "limitations": .text, "authoritativeDefinitions": .elements(.definition),
            "customProperties": .elements(.customProperty),
        ], isOpen: true)

    /// The union of the keys of every server type.
    private static let serverShape = DocumentShape(
        keys: [
            "id": .identifier, "server": .text, "description": .text, "environment": .text, "roles": .elements(.role),
            "customProperties": .elements(.customProperty), "account": .text, "catalog": .text, "database": .text,
            "dataset": .text, "delimiter": .text, "endpointUrl": .text, "format": .text, "host": .text,
            "location": .text, "path": .text, "port": .anything, "project": .text, "region": .text,
            "regionName": .text, "schema": .text, "serviceName": .text, "stagingDir": .text, "stream": .text,
            "warehouse": .text,
            "type": .oneOf([
                "api", "athena", "azure", "bigquery", "clickhouse", "databricks", "denodo", "dremio", "duckdb", "glue",
                "cloudsql", "db2", "hive", "impala", "informix", "kafka", "kinesis", "local", "mysql", "oracle",
                "postgresql", "postgres", "presto", "pubsub", "redshift", "s3", "sftp", "snowflake", "sqlserver",
                "synapse", "trino", "vertica", "zen", "custom",
            ]),
        ],
        required: ["server", "type"])

    private static let elementKeys: [String: DocumentShape.Content] = [
        "id": .identifier, "name": .text, "physicalType": .text, "description": .text, "businessName": .text,
        "authoritativeDefinitions": .elements(.definition), "tags": .texts,
        "customProperties": .elements(.customProperty), "physicalName": .text, "quality": .elements(.quality),
    ]

    private static let schemaShape = DocumentShape(
        keys: elementKeys.merging(
            [
                "logicalType": .oneOf(["object"]), "dataGranularityDescription": .text,
                "properties": .elements(.property), "relationships": .elements(.relationship),
            ]
        ) { _, new in new },
        required: ["name"])

    private static let propertyKeys = elementKeys.merging(
        [
            "primaryKey": .truth, "primaryKeyPosition": .integer,
            "logicalType": .oneOf(LogicalType.allCases.map(\.rawValue)), "logicalTypeOptions": .anything,
            "required": .truth, "unique": .truth, "partitioned": .truth, "partitionKeyPosition": .integer,
            "classification": .text, "encryptedName": .text, "transformSourceObjects": .texts,
            "transformLogic": .text, "transformDescription": .text, "examples": .anything,
            "criticalDataElement": .truth, "relationships": .elements(.propertyRelationship),
            "properties": .elements(.property), "items": .element(.item),
        ]
    ) { _, new in new }

    private static let propertyShape = DocumentShape(keys: propertyKeys, required: ["name"])
    private static let itemShape = DocumentShape(keys: propertyKeys)

    private static let qualityShape = DocumentShape(
        keys: [
            "id": .identifier, "authoritativeDefinitions": .elements(.definition), "businessImpact": .text,
            "customProperties": .elements(.customProperty), "description": .text, "method": .text, "name": .text,
            "dimension": .oneOf([
                "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness",
            ]),
            "schedule": .text, "scheduler": .text, "severity": .text, "tags": .texts, "unit": .text,
            "type": .oneOf(["text", "library", "sql", "custom"]), "metric": .text, "rule": .text,
            "arguments": .anything, "query": .text, "engine": .text, "implementation": .anything,
            "mustBe": .anything, "mustNotBe": .anything, "mustBeGreaterThan": .number,
            "mustBeGreaterOrEqualTo": .number, "mustBeLessThan": .number, "mustBeLessOrEqualTo": .number,
            "mustBeBetween": .anything, "mustNotBeBetween": .anything,
        ])

    private static let relationshipShape = DocumentShape(
        keys: [
            "type": .oneOf(["foreignKey"]), "from": .textOrTexts, "to": .textOrTexts,
            "customProperties": .elements(.customProperty),
        ],
        required: ["from", "to"])

    private static let propertyRelationshipShape = DocumentShape(
        keys: [
            "type": .oneOf(["foreignKey"]), "to": .textOrTexts, "customProperties": .elements(.customProperty),
        ],
        required: ["to"])

    private static let definitionShape = DocumentShape(
        keys: ["id": .identifier, "url": .text, "type": .text, "description": .text], required: ["url", "type"])

    private static let supportShape = DocumentShape(
        keys: [
            "id": .identifier, "channel": .text, "url": .text, "description": .text, "tool": .text, "scope": .text,
            "invitationUrl": .text, "customProperties": .elements(.customProperty),
        ],
        required: ["channel"])

    private static let priceShape = DocumentShape(
        keys: ["id": .identifier, "priceAmount": .number, "priceCurrency": .text, "priceUnit": .text])

    private static let teamShape = DocumentShape(
        keys: [
            "id": .identifier, "name": .text, "description": .text, "members": .elements(.member), "tags": .texts,
            "customProperties": .elements(.customProperty), "authoritativeDefinitions": .elements(.definition),
        ])

    private static let memberShape = DocumentShape(
        keys: [
            "id": .identifier, "username": .text, "name": .text, "description": .text, "role": .text, "dateIn": .text,
            "dateOut": .text, "replacedByUsername": .text, "tags": .texts,
            "customProperties": .elements(.customProperty), "authoritativeDefinitions": .elements(.definition),
        ],
        required: ["username"])

    private static let roleShape = DocumentShape(
        keys: [
            "id": .identifier, "role": .text, "description": .text, "access": .text, "firstLevelApprovers": .text,
            "secondLevelApprovers": .text, "customProperties": .elements(.customProperty),
        ],
        required: ["role"])

    private static let levelShape = DocumentShape(
        keys: [
            "id": .identifier, "property": .text, "value": .scalar, "valueExt": .scalar, "unit": .text,
            "element": .text, "driver": .text, "description": .text, "scheduler": .text, "schedule": .text,
        ],
        required: ["property", "value"])

    private static let customPropertyShape = DocumentShape(
        keys: ["id": .identifier, "property": .text, "value": .anything, "description": .text],
        required: ["property"])
}
