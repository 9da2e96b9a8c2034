import Base
public import Metadata
public import Runtime
public import Sealing

/// Which extents a version has and where their chunks lie, in a cache that gateways share.
///
/// The extents of a version never change; where their chunks lie may, so that whoever finds a
/// chunk missing forgets the version and asks the database. What is kept is sealed for its
/// version: a cache that was tampered with is a cache that does not answer.
public struct ExtentCache: Sendable {
  /// How long the extents of a version are kept, in seconds: 5 min.
  public static let standardLife = 300
  /// Versions of more extents are not kept: they would be larger than what they save.
  static let maximumExtents = 96

  private let cache: any FactCache
  private let keys: KeyRing
  private let random: any RandomSource
  private let life: Int

  /// Keeps extents in `cache`, sealed by `keys`, for `life` seconds.
  public init(
    cache: any FactCache, keys: KeyRing, random: any RandomSource, life: Int = standardLife
  ) {
    self.cache = cache
    self.keys = keys
    self.random = random
    self.life = life
  }

  private static func name(_ version: VersionNumber) -> String { "extents/\(version.rawValue)" }

  /// All extents of a version, as they were a while ago; nil when they are not there.
  func links(of version: VersionNumber) async -> [ExtentLink]? {
    let name = Self.name(version)
    guard let sealed = await cache.value(of: name) else { return nil }
    do {
      return try ExtentLink.decode(try keys.openSecret(sealed, context: Array(name.utf8)))
    } catch {
      return nil
    }
  }

  /// Keeps all extents of a version.
  func keep(_ links: [ExtentLink], of version: VersionNumber) async {
    let bytes = ExtentLink.encode(links)
    guard bytes.count <= KeyRing.maximumSecretByteCount else { return }
    let name = Self.name(version)
    let sealed = keys.sealSecret(bytes, context: Array(name.utf8), random: random.bytes)
    await cache.keep(sealed, as: name, seconds: life)
  }

  /// Forgets the extents of a version: chunks are not where they were.
  func forget(_ version: VersionNumber) async {
    await cache.forget([Self.name(version)])
  }
}
