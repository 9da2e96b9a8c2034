import Base
import Runtime
import Trust

/// The words and options behind `s3storage cluster`.
struct ClusterArguments {
  private static let flags: Set<String> = ["--json", "--help", "--retire", "--force", "--new-key"]
  private static let options: Set<String> = [
    "--gateway", "--token", "--data-dir", "--advertise", "--zone", "--weight", "--ca-file",
    "--expires", "--uses", "--server",
  ]

  /// What is no option, in order.
  private(set) var words: [String] = []
  private var values: [String: String] = [:]
  private let environment: [String: String]

  /// Splits a command line. Throws for an option that there is not or whose value is missing.
  init(_ arguments: [String], environment: [String: String]) throws(AdminUsageError) {
    self.environment = environment
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-"), argument.count > 1 else {
        words.append(argument)
        continue
      }
      let pieces = argument.split(separator: "=", maxSplits: 1).map(String.init)
      let name = pieces[0] == "-h" ? "--help" : pieces[0]
      var value = ""
      if Self.options.contains(name) {
        guard let given = pieces.count == 2 ? pieces[1] : rest.popFirst() else {
          throw AdminUsageError("\(name) needs a value")
        }
        value = given
      } else if !Self.flags.contains(name) {
        throw AdminUsageError("unknown option \(name)")
      } else if pieces.count != 1 {
        throw AdminUsageError("\(name) takes no value")
      }
      guard values.updateValue(value, forKey: name) == nil else {
        throw AdminUsageError("\(name) is given twice")
      }
    }
  }

  var isJSON: Bool { has("--json") }

  /// Whether a flag is given.
  func has(_ name: String) -> Bool { values[name] != nil }

  /// The value of an option, or of an environment variable; nil when neither is set to something.
  func value(_ name: String, _ variable: String? = nil) -> String? {
    if let value = values[name] { return value }
    guard let value = variable.flatMap({ environment[$0] }), !value.isEmpty else { return nil }
    return value
  }

  /// A value that must be there.
  func required(_ name: String, _ variable: String? = nil) throws(AdminUsageError) -> String {
    guard let value = value(name, variable), !value.isEmpty else {
      throw AdminUsageError("\(words.joined(separator: " ")) needs \(name)")
    }
    return value
  }

  /// A number within bounds; nil when it is not given.
  func number(_ name: String, _ range: ClosedRange<Int>) throws(AdminUsageError) -> Int? {
    guard let text = value(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw AdminUsageError("\(name) is \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Throws unless the command has no other words and options than these.
  func expect(words count: Int, _ allowed: Set<String> = []) throws(AdminUsageError) {
    guard words.count == count else {
      throw AdminUsageError(
        "\(words.joined(separator: " ")): too \(words.count < count ? "little" : "much")")
    }
    for name in values.keys where !allowed.contains(name) && name != "--json" {
      throw AdminUsageError("\(words.joined(separator: " ")) has no option \(name)")
    }
  }
}
