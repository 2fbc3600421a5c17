import ArgumentParser
import Foundation
import Service

/// Options that every command with a configuration takes.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "YAML configuration file; DECISIOND_* variables override its keys.")
    var config: String?

    /// The configuration, or a validation error that names the key.
    func read() throws -> ServiceConfiguration {
        do {
            return try ConfigurationReader(file: config, environment: ProcessInfo.processInfo.environment)
                .configuration()
        } catch let error as ConfigurationError {
            throw ValidationError(error.description)
        }
    }
}

/// `decisiond serve`.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve until SIGTERM or SIGINT.")

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let configuration = try options.read()
        // Blocked before any thread starts, so that only the wait below takes them.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
        let daemon: Daemon
        do throws(ServiceError) {
            daemon = try Daemon(configuration: configuration)
            try daemon.start()
        } catch {
            Console.error("decisiond cannot start: \(error.code): \(error.description)")
            throw ExitCode(1)
        }
        for address in daemon.addresses { print("listening on \(address)") }
        if let key = daemon.freshKey {
            print("first API key (role admin), kept in \(configuration.dataDirectory)/bootstrap.key: \(key)")
        }
        fflush(nil)
        var received: Int32 = 0
        sigwait(&signals, &received)
        // A second signal ends at once; the journal is complete at every moment.
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        daemon.stop()
    }
}

/// Lines for people on standard error.
enum Console {
    /// Writes one line.
    static func error(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
