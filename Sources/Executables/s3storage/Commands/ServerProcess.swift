import Base
import GRPC
import Runtime
import Telemetry

/// What all commands that run until they are stopped have in common.
enum ServerProcess {
  /// Reads the configuration, runs `body` and reports why it ended; the exit status.
  nonisolated static func run(
    _ component: String, _ options: [ConfigurationOption], _ arguments: [String],
    _ environment: [String: String],
    _ body: (Configuration, Log) async throws -> Void
  ) async -> Int32 {
    if OptionHelp.isAsked(arguments) {
      Terminal.out(OptionHelp.text(component, options))
      return 0
    }
    let configuration: Configuration
    let cipher: CipherChoice
    do throws(ConfigurationError) {
      configuration = try Configuration(
        options: options, arguments: arguments, environment: environment)
      cipher = try CipherChoice(configuration[CipherChoice.option.name])
    } catch {
      Terminal.err("s3storage: \(error)\n")
      return 2
    }
    let level = Log.Level.allCases.first { $0.name == configuration["LOG_LEVEL"] }
    guard let level else {
      Terminal.err("s3storage: LOG_LEVEL is debug, info, warning, error or fatal\n")
      return 2
    }
    ProcessEnvironment.raiseDescriptorLimit()
    let implementation = cipher.install()
    let log = Log(component: component, minimum: level)
    log.debug("AES-GCM", [("of", implementation)])
    let transport = log.named("grpc")
    GRPCLibrary.routeLog { severity, text in
      // Lost connections are told where they are felt.
      if severity == .error { transport.debug("transport", [("message", text)]) }
    }
    do {
      try await body(configuration, log)
      return 0
    } catch {
      log.error("the process could not start or had to stop", [("error", "\(error)")])
      Terminal.err("s3storage: \(error)\n")
      return 1
    }
  }
}
