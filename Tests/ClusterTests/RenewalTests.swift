import Base
import Cluster
import Metadata
import Runtime
import Synchronization
import Testing

/// When the lease of a writer is renewed, and until when it is used.
@Suite("Renewals of a lease")
struct RenewalTests {
  private static func keeper(
    of gateway: TestGateway, _ length: Duration = .seconds(30)
  ) -> WriterKeeper {
    WriterKeeper(engine: gateway.engine, metadata: gateway.store, length: length, log: .none)
  }

  /// Renews once; how long until the next time.
  private static func renew(_ keeper: WriterKeeper) async throws -> Duration {
    guard case .idle(let pause) = try await keeper.step() else {
      Issue.record("a renewal has nothing more to do at once")
      return .zero
    }
    return pause
  }

  @Test(
    "one renewal that fails, and the next that succeeds, keep the lease",
    arguments: [2, 5, 30, 600])
  func renewalsInTime(length: Int) async throws {
    let cluster = try await TestCluster(seed: 1, servers: 6)
    let gateway = try await cluster.gateway()
    let length = Duration.seconds(length)
    let keeper = Self.keeper(of: gateway, length)
    let interval = try await Self.renew(keeper)
    #expect(interval + keeper.longestDelay < WriterKeeper.end(from: .zero, length: length))
    await cluster.close()
  }

  @Test(
    "a slow renewal is followed by the next in time", arguments: SharedDriver.Moment.allCases)
  func slow(at moment: SharedDriver.Moment) async throws {
    let cluster = try await TestCluster(seed: 2, servers: 6)
    let gateway = try await cluster.gateway()
    let keeper = Self.keeper(of: gateway)
    gateway.driver.delays.withLock { $0[moment] = { cluster.time.advance(20) } }
    let pause = try await Self.renew(keeper)
    cluster.time.advance(pause.components.seconds)
    #expect(gateway.engine.writer.isLive)
    await cluster.close()
  }

  @Test("no read is told to have begun later than it did, however long the database takes")
  func reads() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 6)
    let gateway = try await cluster.gateway()
    let keeper = Self.keeper(of: gateway)
    _ = try await Self.renew(keeper)
    cluster.time.advance(1)
    let begun = cluster.time.wall.now
    let read = gateway.engine.reads.begin(at: begun)
    for moment in SharedDriver.Moment.allCases {
      gateway.driver.delays.withLock { $0 = [moment: { cluster.time.advance(5) }] }
      _ = try await Self.renew(keeper)
      let writer = try #require(
        await gateway.store.liveWriters().first { $0.epoch == gateway.engine.writer.epoch })
      #expect(try #require(writer.oldestRead) <= begun)
    }
    gateway.engine.reads.end(read)
    _ = try await Self.renew(keeper)
    #expect(try await gateway.store.liveWriters().allSatisfy { $0.oldestRead == nil })
    await cluster.close()
  }
}
