/// Every limit of this target, in one place.
public enum PostgresLimits {
    /// Bytes handed to the server in one piece of a COPY before the connection is flushed; bounds libpq's own buffer.
    public static let copyChunkBytes = 1 << 20

    /// Time that a cancelled statement gets to answer before its connection is closed.
    public static let cancelGrace: Duration = .seconds(1)

    /// Stack of the short-lived thread that sends a cancel request, in bytes.
    public static let cancelStackBytes = 256 * 1024

    /// Warnings kept per connection until ``PostgresConnection/takeWarnings()``; more are counted, not kept.
    public static let warningsMax = 16

    /// Hosts tried for one connection string.
    public static let hostsMax = 16

    /// Parameters of one statement (the protocol's own limit).
    public static let parametersMax = 65_535

    /// Bytes of a server message that are kept in an error.
    public static let messageBytesMax = 1_000

    /// Poison rows that one ``PostgresConnection/isolatingPoison(in:until:_:)`` takes out before it gives
    /// up: when so many rows are refused, the fault is not in the rows.
    public static let poisonRowsMax = 1_000
}
