import Access
import Base
import FilesAPI
import Metadata
import Testing

/// Who may do what: every route with every kind of key.
struct AuthenticationTests {
  /// The routes that need a key, and what the file's user gets.
  static let routes: [(method: String, path: String, own: Int, foreign: Int)] = [
    ("GET", "/files", 200, 200), ("HEAD", "/files", 200, 200), ("POST", "/files", 201, 201),
    ("GET", "/files/ID", 200, 404), ("HEAD", "/files/ID", 200, 404),
    ("GET", "/files/ID/metadata", 200, 404), ("GET", "/files/x", 400, 400),
    ("GET", "/files/ID/other", 404, 404), ("PATCH", "/files", 405, 405),
    ("DELETE", "/files/ID", 204, 404),
  ]

  private static func call(
    _ fixture: FilesFixture, _ authorization: [String], _ method: String, _ target: String
  ) async throws -> Answer {
    let client = FilesClient(fixture.port, bearer: nil)
    let headers = authorization.map { ("Authorization", $0) }
    guard method == "POST" else { return try await client.send(method, target, headers: headers) }
    return try await client.send(
      method, target, headers: headers + [Form.contentType],
      body: Form.make([.file(name: "n", [1])]))
  }

  @Test("Strangers get 401 on every route, and learn nothing")
  func strangers() async throws {
    let fixture = try FilesFixture()
    let token = try await fixture.user("ann")
    let id = try #require(token.split(separator: ":").first)
    let secret = String(token.drop { $0 != ":" }.dropFirst())
    let disabled = try await fixture.user("dan")
    try await fixture.access.setDisabled("dan", true)
    let revoked = try await fixture.user("rev")
    try await fixture.access.revokeKey(String(revoked.prefix { $0 != ":" }))
    _ = try await fixture.access.createUser(name: "exp")
    let short = try await fixture.access.createKey(
      user: "exp", expires: fixture.clock.now.advanced(byMilliseconds: 1000))
    fixture.clock.advance(seconds: 2)
    let refused: [[String]] = [
      [], ["Bearer"], ["Bearer "], ["Bearer \(id)"], ["Bearer \(id):"], ["Bearer \(id):wrong"],
      ["Bearer \(token)x"], ["Bearer nobody:\(secret)"], ["Bearer :\(secret)"],
      ["Bearer \(disabled)"], ["Bearer \(revoked)"], ["Bearer \(short.id):\(short.secret)"],
      ["Basic \(token)"], ["Basic \(Base64.encode(Array("\(id):wrong".utf8)))"], ["Basic !!"],
      ["Digest \(token)"], [token], ["Bearer \(String(repeating: "x", count: 2000))"],
      ["Bearer \(token)", "Bearer \(token)"],
    ]
    try await fixture.serving {
      let file = try await FilesServiceTests.upload(
        FilesClient(fixture.port, bearer: token), [1, 2, 3])
      let before = fixture.metadata.state.withLock { $0.files }
      for authorization in refused {
        for route in Self.routes {
          let target = route.path.replacing("ID", with: file)
          let answer = try await Self.call(fixture, authorization, route.method, target)
          #expect(answer.status == 401, "\(route.method) \(target) with \(authorization)")
          #expect(answer.headers.count { $0.name == "WWW-Authenticate" } == 2)
          if route.method != "HEAD" {
            #expect(answer.json?["error"]?.text == "unauthorized")
          }
        }
      }
      #expect(fixture.metadata.state.withLock { $0.files } == before)
    }
  }

  @Test("Users see their own files only; administrators see all; Basic counts like a bearer key")
  func users() async throws {
    for role in ["own", "basic", "foreign", "administrator"] {
      let fixture = try FilesFixture()
      let owner = try await fixture.user("ann")
      let other = try await fixture.user("bob")
      let root = try await fixture.user("root", role: .administrator)
      let header =
        switch role {
        case "own": "Bearer \(owner)"
        case "basic": "basic \(Base64.encode(Array(owner.utf8)))"
        case "foreign": "Bearer \(other)"
        default: "bearer \(root)"
        }
      try await fixture.serving {
        let file = try await FilesServiceTests.upload(
          FilesClient(fixture.port, bearer: owner), [1, 2, 3])
        for route in Self.routes {
          let target = route.path.replacing("ID", with: file)
          let answer = try await Self.call(fixture, [header], route.method, target)
          let expected = role == "foreign" ? route.foreign : route.own
          #expect(answer.status == expected, "\(role): \(route.method) \(target)")
        }
      }
    }
  }

  @Test("What is open to strangers needs no key, and a wrong one does not matter")
  func publicRoutes() async throws {
    let fixture = try FilesFixture()
    try await fixture.serving {
      for authorization in [[], ["Bearer x:y"]] {
        for (target, status) in [("/health", 200), ("/openapi.yaml", 200), ("/x", 404)] {
          let answer = try await Self.call(fixture, authorization, "GET", target)
          #expect(answer.status == status)
        }
      }
    }
  }
}
