import HTTPServer
import Testing

@Suite("Refusals")
struct RefusalTests {
  /// Refused is: the one answer that the case states, and the end of the connection, so that
  /// nothing behind the request is taken for another.
  @Test("A malformed or ambiguous request gets the answer stated, and its connection is closed")
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
        #expect(statuses == [item.status], "\(item.name)")
      }
    }
  }
}
