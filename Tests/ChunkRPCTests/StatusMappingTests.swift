import ChunkStore
import GRPC
import Testing

@testable import ChunkRPC

@Suite("Errors of stores on the wire")
struct StatusMappingTests {
  @Test(
    "every error comes back as it was",
    arguments: [
      ChunkStoreError.missing, .corrupt("a"), .offline("b"), .full, .fenced("c"), .tooLarge("d"),
      .io("e"),
    ])
  func comesBack(error: ChunkStoreError) {
    #expect(StatusMapping.error(StatusMapping.status(error)) == error)
  }

  @Test(
    "what a server cannot do now says nothing about its chunks",
    arguments: [
      RPCStatus(.resourceExhausted, "memory quota"), RPCStatus(.unknown, "?"),
      RPCStatus(.deadlineExceeded, "?"), RPCStatus(.cancelled, "?"),
      RPCStatus(.unavailable, "?"),
    ])
  func isAway(status: RPCStatus) {
    guard case .offline = StatusMapping.error(status) else {
      Issue.record("\(status) counts as \(StatusMapping.error(status))")
      return
    }
  }
}
