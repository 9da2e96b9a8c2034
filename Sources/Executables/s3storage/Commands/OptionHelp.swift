import Runtime

/// What `--help` says of a command that takes settings.
enum OptionHelp {
  /// Whether a command line asks for help instead of anything else.
  nonisolated static func isAsked(_ arguments: [String]) -> Bool {
    arguments.contains("--help") || arguments.contains("-h")
  }

  /// The options with their units, meanings and defaults.
  nonisolated static func text(_ command: String, _ options: [ConfigurationOption]) -> String {
    let lines = options.map { option in
      let standard = option.standard.isEmpty ? "" : " Default: \(option.standard)."
      return "  \(option.flag) <\(option.unit)>\n      \(option.summary)\(standard)\n"
    }
    return """
      s3storage \(command) [options]

      Each option is an environment variable too: --data-dir, DATA_DIR.

      \(lines.joined())
      """
  }
}
