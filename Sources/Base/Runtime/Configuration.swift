import Base

/// One thing an operator may set: by a flag, by an environment variable of the same name, or not.
public struct ConfigurationOption: Sendable, Hashable {
  /// What a value must look like.
  public enum Kind: Sendable, Hashable {
    /// Any text.
    case text
    /// A whole number within the range.
    case number(ClosedRange<Int>)
    /// A text that is never shown.
    case secret
  }

  /// The environment variable, such as `DATA_DIR`; the flag is `--data-dir`.
  public var name: String
  /// What a value must look like.
  public var kind: Kind
  /// The unit of a number, or what a text is; for people.
  public var unit: String
  /// The value without any setting; empty for none.
  public var standard: String
  /// One sentence for people.
  public var summary: String

  /// Makes an option.
  public init(
    _ name: String, _ kind: Kind, unit: String, standard: String, _ summary: String
  ) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.standard = standard
    self.summary = summary
  }

  /// The flag, such as `--data-dir`.
  public var flag: String {
    "--" + name.lowercased().replacing("_", with: "-")
  }
}

/// A setting that cannot be used, said so that an operator can mend it.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong and what would be right.
  public var description: String

  /// Makes an error.
  public init(_ description: String) { self.description = description }
}

/// The values of a list of options: flags before environment before defaults.
public struct Configuration: Sendable {
  /// Where a value came from.
  public enum Origin: String, Sendable {
    /// A flag.
    case flag
    /// An environment variable.
    case environment
    /// Nobody set it.
    case standard = "default"
  }

  /// The options.
  public let options: [ConfigurationOption]
  private let values: [String: (text: String, origin: Origin)]

  /// Reads `arguments` (`--name value` or `--name=value`) and `environment`.
  ///
  /// Throws for an unknown flag, a flag without a value and a value out of bounds.
  public init(
    options: [ConfigurationOption], arguments: [String], environment: [String: String]
  ) throws(ConfigurationError) {
    self.options = options
    var values: [String: (text: String, origin: Origin)] = [:]
    for option in options {
      if let text = environment[option.name] {
        values[option.name] = (text, .environment)
      } else {
        values[option.name] = (option.standard, .standard)
      }
    }
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let option = options.first(where: { $0.flag == parts[0] }) else {
        throw ConfigurationError("unknown option \(argument); `s3storage config` lists them")
      }
      guard let text = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
        throw ConfigurationError("\(option.flag) needs a value")
      }
      values[option.name] = (text, .flag)
    }
    self.values = values
    for option in options { try check(option) }
  }

  /// The text of an option. Precondition: it is one of `options`.
  public subscript(name: String) -> String {
    guard let value = values[name] else { preconditionFailure("no option \(name)") }
    return value.text
  }

  /// Whether a text names one of `options`.
  public func has(_ name: String) -> Bool { values[name] != nil }

  /// The number of an option of that kind. Precondition: it is one of `options`.
  public func number(_ name: String) -> Int {
    guard let number = Int(self[name]) else { preconditionFailure("\(name) is no number") }
    return number
  }

  /// Where an option's value came from.
  public func origin(_ name: String) -> Origin { values[name]?.origin ?? .standard }

  /// The value as it may be shown.
  public func shown(_ option: ConfigurationOption) -> String {
    let text = self[option.name]
    return option.kind == .secret && !text.isEmpty ? "(hidden)" : text
  }

  private func check(_ option: ConfigurationOption) throws(ConfigurationError) {
    guard case .number(let range) = option.kind else { return }
    let text = self[option.name]
    guard let number = Int(text), range.contains(number) else {
      throw ConfigurationError(
        "\(option.name) is a number from \(range.lowerBound) to \(range.upperBound) "
          + "(\(option.unit)), not \"\(text.prefix(64))\"")
    }
  }
}
