import Base
public import Erasure

/// What an operator may change about how objects are kept. The defaults are the design's.
public struct EngineConfiguration: Sendable {
  /// How extents are coded: 4 + 2.
  public var scheme: ErasureScheme
  /// S3 objects up to so many bytes are kept in metadata: 16 KiB.
  public var inlineLimit: Int
  /// The largest object of one PUT and the largest part, in bytes: 5 GiB.
  public var maximumPutSize: Int64
  /// The largest object, in bytes: 5 TiB.
  public var maximumObjectSize: Int64
  /// Stripes that one download reads ahead at most: 3.
  public var readAhead: Int
  /// How long stores are waited for.
  public var faults: FaultTolerance

  /// Makes a configuration; every argument has the design's default.
  public init(
    scheme: ErasureScheme, inlineLimit: Int = 16 << 10, maximumPutSize: Int64 = 5 << 30,
    maximumObjectSize: Int64 = 5 << 40, readAhead: Int = 3,
    faults: FaultTolerance = FaultTolerance()
  ) {
    self.scheme = scheme
    self.inlineLimit = inlineLimit
    self.maximumPutSize = maximumPutSize
    self.maximumObjectSize = maximumObjectSize
    self.readAhead = readAhead
    self.faults = faults
  }
}
