import Base
import Runtime

/// `s3storage config`: every setting with unit, default and value.
enum ConfigCommand {
  nonisolated static func run(_ arguments: [String], _ environment: [String: String]) -> Int32 {
    if OptionHelp.isAsked(arguments) {
      Terminal.out(OptionHelp.text("config [--json]", Settings.all))
      return 0
    }
    let isJSON = arguments.contains("--json")
    do {
      let configuration = try Configuration(
        options: Settings.all, arguments: arguments.filter { $0 != "--json" },
        environment: environment)
      Terminal.out(isJSON ? json(configuration) : table(configuration))
      return 0
    } catch {
      Terminal.err("s3storage: \(error)\n")
      return 2
    }
  }

  private nonisolated static func table(_ configuration: Configuration) -> String {
    var text = ""
    for option in configuration.options {
      let origin = configuration.origin(option.name)
      text += "\(option.name)=\(configuration.shown(option))\n"
      text += "    \(option.summary)\n"
      text += "    unit: \(option.unit)  default: \(option.standard)  set by: \(origin.rawValue)"
      text += "  flag: \(option.flag)\n"
    }
    return text
  }

  private nonisolated static func json(_ configuration: Configuration) -> String {
    let rows = configuration.options.map { option in
      let fields = [
        ("name", option.name), ("value", configuration.shown(option)), ("unit", option.unit),
        ("default", option.standard), ("origin", configuration.origin(option.name).rawValue),
        ("summary", option.summary),
      ]
      let members = fields.map { "\(JSONText.quote($0.0)):\(JSONText.quote($0.1))" }
      return "{\(members.joined(separator: ","))}"
    }
    return "[\(rows.joined(separator: ",\n"))]\n"
  }
}
