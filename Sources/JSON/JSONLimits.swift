/// Bounds that a parse enforces; past one of them it fails with a ``JSONError``.
public struct JSONLimits: Sendable, Equatable {
    /// Largest accepted document in bytes.
    public var bytesMax: Int
    /// Most containers that may be open at once.
    public var depthMax: Int
    /// Whether the bare tokens `NaN`, `Infinity` and `-Infinity` are numbers, as some model files write them.
    public var allowsNaN: Bool

    /// 64 MiB and 128 levels, strict numbers: for anything that arrives from outside.
    public static let standard = JSONLimits()

    /// Values beyond ``bytesCeiling`` and ``depthCeiling`` are lowered to them.
    public init(bytesMax: Int = 64 << 20, depthMax: Int = 128, allowsNaN: Bool = false) {
        self.bytesMax = max(0, min(bytesMax, Self.bytesCeiling))
        self.depthMax = max(0, min(depthMax, Self.depthCeiling))
        self.allowsNaN = allowsNaN
    }

    /// Positions on the tape have 32 bits; half of that range leaves room for every sum of them.
    public static let bytesCeiling = 1 << 31
    /// Walking a tree is recursive, so depth is bounded whatever the caller asks for.
    public static let depthCeiling = 1024
    /// Digits that an exact number keeps: those of IEEE decimal128.
    public static let significantDigitsMax = 34
    /// Exponents beyond this, either way, are clamped and the number is marked as not exact.
    public static let exponentMagnitudeMax: Int32 = 1_000_000_000
}
