import Base
import Disk
import GRPC
import Runtime

/// The certificates that a bench is given: a directory of `ca.pem`, and of a `.pem` and a `.key` for
/// each end.
enum BenchCertificates {
  /// Who one end is.
  static func identity(_ directory: String, _ end: String) throws -> TLSIdentity {
    func text(_ file: String) throws -> String {
      let handle = try SystemFileSystem().open(
        DiskPath("\(directory)/\(file)", kind: "certificate"), FileMode(.read))
      let buffer = AlignedBuffer(count: 64 * ByteCount.kibibyte)
      let count = try unsafe buffer.withMutableBytes(0..<buffer.count) {
        bytes throws(DiskError) in try unsafe handle.read(into: bytes, at: 0)
      }
      return String(decoding: buffer.bytes(0..<count), as: UTF8.self)
    }
    return TLSIdentity(
      TLSMaterial(
        authorities: try text("ca.pem"), certificateChain: try text("\(end).pem"),
        privateKey: try text("\(end).key")))
  }
}
