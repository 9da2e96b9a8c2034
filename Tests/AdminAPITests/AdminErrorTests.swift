import Access
import Base
import HTTPServer
import Metadata
import ObjectEngine
import Recovery
import TestSupport
import Testing
import Trust

@testable import AdminAPI

/// What clients are told when something fails, and what they are not told.
struct AdminErrorTests {
  /// A failure that the Admin API knows nothing of.
  private struct Strange: Error {}

  @Test(
    "Each failure of the layers below has a status and a code",
    arguments: [
      (MetadataError.notFound("user x"), 404, "not_found"),
      (MetadataError.alreadyExists("user x"), 409, "already_exists"),
      (MetadataError.preconditionFailed, 409, "conflict"),
      (MetadataError.full, 503, "storage_full"),
      (MetadataError.fenced, 503, "metadata_unavailable"),
      (MetadataError.unavailable("x"), 503, "metadata_unavailable"),
      (MetadataError.noSuchKey, 500, "internal_error"),
      (EngineError.metadata(.preconditionFailed), 409, "conflict"),
      (EngineError.tooFewStores(available: 1, needed: 6), 503, "storage_unavailable"),
      (EngineError.storesFull, 503, "storage_full"),
      (EngineError.unreadable(available: 1, needed: 4), 503, "storage_unavailable"),
      (EngineError.corrupt, 500, "internal_error"),
      (AdoptionError.isTaken, 409, "conflict"),
      (AccessError.invalidInput("x"), 400, "invalid_request"),
      (MasterKeyError.rotationUnfinished, 409, "conflict"),
      (MasterKeyError.tooFewStores, 409, "conflict"),
      (HTTPTransferError.malformed("x"), 400, "invalid_request"),
      (HTTPTransferError.timedOut, 408, "timeout"),
      (HTTPTransferError.tooLarge, 413, "too_large"),
      (HTTPTransferError.misused, 500, "internal_error"), (Strange(), 500, "internal_error"),
    ] as [(any Error, Int, String)])
  func known(_ error: any Error, _ status: Int, _ code: String) throws {
    let answer = try #require(AdminError(error))
    #expect(answer.status == status && answer.code == code)
  }

  @Test(
    "A client that has gone is told nothing",
    arguments: [
      HTTPTransferError.disconnected, HTTPTransferError.cancelled, CancellationError(),
    ] as [any Error])
  func gone(_ error: any Error) { #expect(AdminError(error) == nil) }

  @Test(
    "Each refusal of trust has a status and a code",
    arguments: [
      (TrustError.malformed("x"), 400, "invalid_request"), (.unauthorized, 401, "unauthorized"),
      (.clock, 401, "clock_skew"), (.replayed, 401, "replayed"),
      (.refused("x"), 403, "forbidden"), (.conflict("x"), 409, "conflict"),
      (.notFound("x"), 404, "not_found"), (.tooMany, 429, "too_many_requests"),
      (.notReady("x"), 503, "not_ready"), (.damaged("secret"), 500, "internal_error"),
    ])
  func trust(_ error: TrustError, _ status: Int, _ code: String) {
    let answer = AdminError(trust: error)
    #expect(answer.status == status && answer.code == code)
    #expect(!answer.details.contains("secret"))
  }

  @Test("Without metadata all is 503 for now, and what is broken within is not shown")
  func metadata() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      fixture.metadata.fail("accessKey", .unavailable("the address of a database"))
      let away = try await root.send("GET", "users")
      #expect(away.status == 503 && away.json?["error"]?.text == "metadata_unavailable")
      #expect(away.header("retry-after") == "5" && !away.text.contains("address"))
      fixture.metadata.fail("accessKey", .invalidPart(3))
      let broken = try await root.send("GET", "users")
      #expect(broken.status == 500 && broken.json?["error"]?.text == "internal_error")
      #expect(broken.header("retry-after") == nil && !broken.text.contains("art"))
      fixture.metadata.fail("accessKey", nil)
      _ = try await root.fetch("GET", "users")
    }
  }

  @Test("Every answer has a name of its own, and headers that keep browsers and caches off it")
  func headers() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let good = try await root.send("GET", "users")
      let bad = try await root.send("GET", "nothing")
      for answer in [good, bad] {
        #expect(answer.header("cache-control") == "no-store")
        #expect(answer.header("x-content-type-options") == "nosniff")
        #expect(answer.header("x-frame-options") == "DENY")
        #expect(answer.header("content-security-policy")?.contains("default-src 'none'") == true)
        #expect(answer.header("content-type") == "application/json; charset=utf-8")
      }
      let name = try #require(bad.header("x-request-id"))
      #expect(name.count == 16 && name != good.header("x-request-id"))
      #expect(bad.json?["request_id"]?.text == name)
    }
  }

  @Test("Requests that are no HTTP, or whose path or query cannot be read, are refused with JSON")
  func malformed() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let garbage = try await FilesClient(fixture.port, bearer: nil).send("GET", "no path")
      #expect(garbage.status == 400 && garbage.json?["error"]?.text == "invalid_request")
      for path in ["users/%ff/disable", "users/a%c3/disable"] {
        try await root.expect(400, "invalid_request", "POST", path)
      }
      for query in ["user=chief&user=ann", "user=%ff", "user=%e2%82"] {
        try await root.expect(400, "invalid_request", "GET", "keys", query: query)
      }
      for (method, path) in [("PUT", "users"), ("POST", "status"), ("GET", ""), ("DELETE", "keys")]
      {
        try await root.expect(404, "not_found", method, path)
      }
    }
  }
}
