import Runtime
import Testing

@Suite("Settings")
struct ConfigurationTests {
  private let options = [
    ConfigurationOption("DATA_DIR", .text, unit: "directory", standard: "./data", "Where."),
    ConfigurationOption("S3_PORT", .number(0...65_535), unit: "port", standard: "9000", "Port."),
    ConfigurationOption("ROOT_SECRET_KEY", .secret, unit: "key", standard: "", "Secret."),
  ]

  @Test("flags come before the environment, which comes before defaults")
  func precedence() throws {
    let configuration = try Configuration(
      options: options, arguments: ["--s3-port", "1", "--data-dir=/x"],
      environment: ["S3_PORT": "2", "ROOT_SECRET_KEY": "hush"])
    #expect(configuration.number("S3_PORT") == 1)
    #expect(configuration["DATA_DIR"] == "/x")
    #expect(configuration.origin("ROOT_SECRET_KEY") == .environment)
    #expect(configuration.shown(options[2]) == "(hidden)")
  }

  @Test(
    "what cannot be used is named",
    arguments: [
      ["--nope", "1"], ["--s3-port"], ["--s3-port", "65536"], ["--s3-port", "x"], ["x"],
    ])
  func refusals(arguments: [String]) {
    #expect(throws: ConfigurationError.self) {
      try Configuration(options: options, arguments: arguments, environment: [:])
    }
  }

  @Test("the same seed gives the same numbers, the system never")
  func random() {
    #expect(SeededRandom(seed: 7).bytes(33) == SeededRandom(seed: 7).bytes(33))
    #expect(SeededRandom(seed: 7).next() != SeededRandom(seed: 8).next())
    #expect(SystemRandom().bytes(32) != SystemRandom().bytes(32))
    #expect(SystemRandom().bytes(0).isEmpty)
  }
}
