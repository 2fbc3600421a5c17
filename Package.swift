// swift-tools-version: 6.2
// decisiond: an HTTP decision service next to PostgreSQL. Targets depend strictly downward (README, "The house").
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny")
]

/// C bridges: a tiny shim each, saying why it exists; the library is linked here and named nowhere above.
let bridges: [Target] = [
    .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("stdc++")]),
    .target(name: "CDecimal", linkerSettings: [.linkedLibrary("bidgcc000"), .linkedLibrary("m")]),
    .target(name: "CPCRE2", linkerSettings: [.linkedLibrary("pcre2-8")]),
    .target(name: "CExpat", linkerSettings: [.linkedLibrary("expat")]),
    .target(name: "CMicroHTTPD", linkerSettings: [.linkedLibrary("microhttpd")]),
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
    .target(name: "CTreeKernel"),
    .target(name: "CJournalShims"),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
]

/// Pure targets do no I/O and read no clock.
let pure: [Target] = [
    .target(name: "JSON", dependencies: ["CSimdJSON"], swiftSettings: strict),
    .target(name: "Telemetry", dependencies: ["JSON"], swiftSettings: strict),
    .target(name: "FEEL", dependencies: ["CDecimal"], swiftSettings: strict),
    .target(name: "DMN", dependencies: ["FEEL", "CExpat"], swiftSettings: strict),
    .target(name: "Contracts", dependencies: ["JSON", "CPCRE2"], swiftSettings: strict),
    .target(name: "Models", dependencies: ["JSON", "CTreeKernel"], swiftSettings: strict),
    .target(name: "Features", swiftSettings: strict),
    .target(name: "Measures", dependencies: ["FEEL"], swiftSettings: strict),
    .target(
        name: "Access", dependencies: ["JSON", "FEEL", .product(name: "Crypto", package: "swift-crypto")],
        swiftSettings: strict),
    .target(
        name: "Decisions", dependencies: ["JSON", "FEEL", "DMN", "Models", "Features"], swiftSettings: strict),
]

let outside: [Target] = [
    .target(name: "Journal", dependencies: ["CJournalShims"], swiftSettings: strict),
    .target(name: "HTTP", dependencies: ["CMicroHTTPD", "CZlib"], swiftSettings: strict),
    .target(
        name: "Postgres", dependencies: ["CLibPQ"], resources: [.embedInCode("migrations")], swiftSettings: strict),
    .target(
        name: "Service",
        dependencies: [
            "JSON", "Telemetry", "FEEL", "DMN", "Contracts", "Models", "Features", "Measures", "Access", "Decisions",
            "Journal",
            "HTTP", "Postgres", .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "Yams", package: "Yams"),
        ],
        resources: [.embedInCode("openapi.yaml")], swiftSettings: strict),
    .executableTarget(
        name: "decisiond",
        dependencies: ["Service", "JSON", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: strict),
]

let tests: [Target] = [
    .testTarget(name: "JSONTests", dependencies: ["JSON"]),
    .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "JSON"]),
    .testTarget(name: "FEELTests", dependencies: ["FEEL"], exclude: ["Fixtures"]),
    .testTarget(name: "DMNTests", dependencies: ["DMN"]),
    .testTarget(
        name: "ContractsTests", dependencies: ["Contracts", "JSON", .product(name: "Yams", package: "Yams")]),
    .testTarget(
        name: "ModelsTests", dependencies: ["Models", "JSON"], exclude: ["Fixtures", "make_onnx_fixtures.py"]),
    .testTarget(name: "FeaturesTests", dependencies: ["Features"]),
    .testTarget(name: "MeasuresTests", dependencies: ["FEEL", "Measures"]),
    .testTarget(name: "AccessTests", dependencies: ["Access"], resources: [.copy("Fixtures")]),
    .target(name: "JournalSimulation", dependencies: ["Journal"], path: "Tests/JournalSimulation"),
    .executableTarget(
        name: "journal-append-forever", dependencies: ["Journal"], path: "Tests/JournalAppendForever"),
    .executableTarget(
        name: "decisiond-microbench", dependencies: ["Contracts", "Features", "JSON", "Models"],
        path: "Tests/Benchmarks/Micro"),
    .target(name: "CAllocationCount", path: "Tests/Benchmarks/CAllocationCount"),
    .executableTarget(
        name: "rule-benchmark", dependencies: ["CAllocationCount", "DMN", "FEEL"],
        path: "Tests/Benchmarks/RuleBenchmark"),
    .testTarget(name: "JournalTests", dependencies: ["Journal", "JournalSimulation", "journal-append-forever"]),
    .testTarget(name: "HTTPTests", dependencies: ["HTTP"]),
    .target(name: "PostgresTestCluster", dependencies: ["Postgres"], path: "Tests/PostgresTestCluster"),
    .testTarget(name: "PostgresTests", dependencies: ["Postgres", "PostgresTestCluster"]),
    .testTarget(name: "PushdownTests", dependencies: ["FEEL", "Postgres", "PostgresTestCluster"]),
    .testTarget(
        name: "DecisionsTests", dependencies: ["Decisions", "DMN", "FEEL", "Features", "JSON", "Models"]),
    .testTarget(
        name: "ServiceTests",
        dependencies: [
            "Service", "Contracts", "Decisions", "FEEL", "Features", "HTTP", "JSON", "Journal", "Measures", "Models",
            "Telemetry",
        ]),
    .testTarget(
        name: "ShipSimulationTests", dependencies: ["Service", "Journal", "JournalSimulation", "Postgres"]),
    .testTarget(name: "ConformanceTests", dependencies: ["DMN"]),
]

let package = Package(
    name: "decisiond",
    products: [.executable(name: "decisiond", targets: ["decisiond"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: bridges + pure + outside + tests,
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
