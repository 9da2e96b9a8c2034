/// The methods that S3 knows.
public enum S3Method: String, Hashable, Sendable, CaseIterable {
  /// GET.
  case get = "GET"
  /// HEAD.
  case head = "HEAD"
  /// PUT.
  case put = "PUT"
  /// POST.
  case post = "POST"
  /// DELETE.
  case delete = "DELETE"
  /// OPTIONS: the preflight of cross-origin requests.
  case options = "OPTIONS"
}

/// What a request names.
public enum S3TargetKind: Hashable, Sendable {
  /// The service itself: `/`.
  case service
  /// A bucket.
  case bucket
  /// A key in a bucket.
  case object
}

/// The body that an operation takes.
public enum S3BodyRule: Hashable, Sendable {
  /// None; one that is sent is not read.
  case none
  /// A document of at most so many bytes, or nothing.
  case optional(limit: Int)
  /// A document of at most so many bytes.
  case required(limit: Int)
  /// Object data: streamed, limited by the operation.
  case stream

  /// For configuration documents: 1 MiB.
  static let configurationLimit = 1 << 20
  /// For DeleteObjects: 1000 keys of 1024 bytes, each byte up to six characters of XML, and conditions.
  static let deleteLimit = 8 << 20
  /// For CompleteMultipartUpload: 10,000 parts with every checksum.
  static let completeLimit = 8 << 20
  /// For policies: 20 KiB.
  static let policyLimit = 20 << 10
}

/// How one operation looks on the wire and what it needs.
public struct S3OperationRule: Sendable {
  /// The operation.
  public let operation: S3Operation
  /// Its method.
  public let method: S3Method
  /// What its path names.
  public let target: S3TargetKind
  /// Query parameters that must be there, each as a name or as `name=value`.
  let markers: [[UInt8]]
  /// A header that must be there, in lower case.
  let header: String?
  /// The body it takes.
  public let body: S3BodyRule
  /// The IAM actions the caller needs on the target, all of them.
  public let actions: [String]

  init(
    _ operation: S3Operation, _ method: S3Method, _ target: S3TargetKind,
    _ markers: [String] = [], header: String? = nil, body: S3BodyRule = .none, actions: [String]
  ) {
    self.operation = operation
    self.method = method
    self.target = target
    self.markers = markers.map { Array($0.utf8) }
    self.header = header
    self.body = body
    self.actions = actions
  }

  /// All rules; within one method and target those that ask for more come first.
  static let all: [S3OperationRule] = object + bucket + bucketConfiguration

  /// The rules of one method and target, in the order in which they are tried.
  static func candidates(_ method: S3Method, _ target: S3TargetKind) -> [S3OperationRule] {
    ordered[Key(method: method, target: target)] ?? []
  }

  static let byOperation = Dictionary(
    all.map { ($0.operation, $0) }, uniquingKeysWith: { first, _ in first })

  private struct Key: Hashable {
    var method: S3Method
    var target: S3TargetKind
  }

  private static let ordered: [Key: [S3OperationRule]] = {
    let weighed = all.enumerated().sorted { left, right in
      (right.element.weight, left.offset) < (left.element.weight, right.offset)
    }
    return Dictionary(grouping: weighed.map(\.element)) {
      Key(method: $0.method, target: $0.target)
    }
  }()

  private var weight: Int { markers.count * 2 + (header == nil ? 0 : 1) }
}
