import HTTPServer
import Testing

@Suite("Refusals")
struct RefusalTests {
  @Test("A malformed or ambiguous request is refused and its connection closed")
  func refusesCorpus() async throws {
    try await withServer { _, port in
      for item in RefusalCase.all {
        let (statuses, end) = try await asClient {
          let client = try TestClient(port: port)
          client.send(item.request)
          let end = client.receiveAll()
          return (client.statuses, end)
        }
        #expect(end != .timedOut, "\(item.name)")
        #expect(statuses.first ?? 400 >= 400 && !statuses.contains(200), "\(item.name) \(statuses)")
      }
    }
  }
}
