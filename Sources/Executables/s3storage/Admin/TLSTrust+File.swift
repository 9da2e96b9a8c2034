import Crypto
import Disk

extension TLSTrust {
  /// The authorities of a file in PEM, or those of the system when there is no file.
  init(caFile: String?) throws {
    guard let caFile, !caFile.isEmpty else {
      self = .system
      return
    }
    let path = DiskPath(caFile, kind: "CA file")
    guard let bytes = try SmallFile(files: SystemFileSystem()).read(path) else {
      throw AdminFailure("there is no file \(caFile)")
    }
    do throws(CertificateError) {
      self = .authorities(try Certificate.parse(pem: String(decoding: bytes, as: UTF8.self)))
    } catch {
      throw AdminFailure("\(caFile): \(error)")
    }
  }
}
