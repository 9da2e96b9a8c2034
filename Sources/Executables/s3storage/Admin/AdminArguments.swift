import Crypto

/// The words and options behind `s3storage admin`.
struct AdminArguments {
  private static let flags: Set<String> = [
    "--json", "--admin", "--no-wait", "--force", "--help", "--replace",
  ]
  private static let options: Set<String> = [
    "--endpoint", "--access-key", "--secret-key", "--email", "--expires", "--note", "--data-dir",
    "--ca-file", "--database-url", "--servers",
    "--drives", "--master-key-file", "--bucket", "--key",
  ]
  private static let general: Set<String> = [
    "--endpoint", "--access-key", "--secret-key", "--ca-file", "--json", "--help",
  ]

  /// What is no option, in order.
  private(set) var words: [String] = []
  private let environment: [String: String]
  /// Options before the first word, and those behind it.
  private var leading: [String: String] = [:]
  private var trailing: [String: String] = [:]

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
      let value: String
      if Self.flags.contains(name) {
        guard pieces.count == 1 else { throw AdminUsageError("\(name) takes no value") }
        value = ""
      } else if Self.options.contains(name) {
        guard let given = pieces.count == 2 ? pieces[1] : rest.popFirst() else {
          throw AdminUsageError("\(name) needs a value")
        }
        value = given
      } else {
        throw AdminUsageError("unknown option \(name)")
      }
      let isRepeated =
        words.isEmpty
        ? leading.updateValue(value, forKey: name) != nil
        : trailing.updateValue(value, forKey: name) != nil
      guard !isRepeated else { throw AdminUsageError("\(name) is given twice") }
    }
  }

  var isJSON: Bool { has("--json") }
  var isHelp: Bool { has("--help") }

  /// Whether a flag is given.
  func has(_ name: String) -> Bool { leading[name] != nil || trailing[name] != nil }

  /// The value of an option wherever it stands.
  func value(_ name: String) -> String? { trailing[name] ?? leading[name] }

  /// The value of an option behind the command, where it means another thing than before it.
  func ownValue(_ name: String) -> String? { trailing[name] }

  /// Throws unless the command has that many words behind its name and no options but these
  /// besides the general ones.
  func expect(
    _ count: ClosedRange<Int>, after name: Int, options allowed: Set<String> = []
  ) throws(AdminUsageError) {
    let given = words.count - name
    let command = words.prefix(name).joined(separator: " ")
    guard given >= count.lowerBound else {
      throw AdminUsageError("\(command): something is missing behind it")
    }
    guard given <= count.upperBound else {
      throw AdminUsageError("\(command): too much behind it")
    }
    for option in [leading.keys, trailing.keys].joined()
    where !allowed.contains(option) && !Self.general.contains(option) {
      throw AdminUsageError("\(command) has no option \(option)")
    }
  }

  /// The word at a place. Precondition: `expect` has found it there.
  func word(_ index: Int) -> String { words[index] }

  /// The first of some environment variables that is set to something.
  func variable(_ names: String...) -> String? {
    for name in names {
      if let value = environment[name], !value.isEmpty { return value }
    }
    return nil
  }

  /// The Admin API and whose key to use. `takesOwnKeys` says that the key options behind the
  /// command are the command's own.
  func client(takesOwnKeys: Bool = false) throws -> AdminClient {
    let endpoint =
      value("--endpoint") ?? variable("S3STORAGE_ENDPOINT", "ADMIN_ENDPOINT")
      ?? "http://127.0.0.1:9001"
    let option = { (name: String) in takesOwnKeys ? leading[name] : value(name) }
    guard let id = option("--access-key") ?? variable("ROOT_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
      let secret =
        option("--secret-key") ?? variable("ROOT_SECRET_KEY", "AWS_SECRET_ACCESS_KEY")
    else {
      throw AdminFailure(
        "an administrator's key is needed: --access-key and --secret-key, or ROOT_ACCESS_KEY and "
          + "ROOT_SECRET_KEY")
    }
    return AdminClient(
      endpoint: try AdminEndpoint(endpoint),
      trust: try TLSTrust(caFile: value("--ca-file") ?? variable("ADMIN_CA_FILE")),
      accessKeyID: id, secretKey: secret)
  }
}
