import Base
import HTTPServer
import Metadata

/// What a request is for.
enum FilesRoute {
  /// `/health`
  case health
  /// `/openapi.yaml`
  case document
  /// `/files`
  case files
  /// `/files/{id}`
  case file(FileID)
  /// `/files/{id}/metadata`
  case metadata(FileID)
  /// A path below `/files/` whose id is none.
  case malformedID
  /// Anything else below `/files`.
  case unknownFile
  /// Anything else.
  case unknown

  init(path: ArraySlice<UInt8>) {
    guard path.count <= 1024 else {
      self = .unknown
      return
    }
    let segments = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .dropFirst().map { String(decoding: $0, as: UTF8.self) }
    switch segments.first {
    case "health" where segments.count == 1: self = .health
    case "openapi.yaml" where segments.count == 1: self = .document
    case "files" where segments.count == 1: self = .files
    case "files" where segments.count == 2:
      self = Self.id(segments[1]).map { .file($0) } ?? .malformedID
    case "files" where segments.count == 3 && segments[2] == "metadata":
      self = Self.id(segments[1]).map { .metadata($0) } ?? .malformedID
    case "files": self = .unknownFile
    default: self = .unknown
    }
  }

  /// The methods that the route takes; empty when there is no such thing.
  var methods: [HTTPMethod] {
    switch self {
    case .health, .document, .metadata: [.get, .head]
    case .files: [.get, .head, .post]
    case .file: [.get, .head, .delete]
    case .malformedID, .unknownFile, .unknown: []
    }
  }

  /// Whether it is open to strangers.
  var isPublic: Bool {
    switch self {
    case .health, .document, .unknown: true
    case .files, .file, .metadata, .malformedID, .unknownFile: false
    }
  }

  private static func id(_ text: String) -> FileID? { FileID(hex: text) }
}
