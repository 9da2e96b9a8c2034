import Base
public import ChunkStore
import Erasure
public import Metadata
import Runtime
import Sealing

extension ObjectEngine {
  /// What the quarantine is to say of the extent of a chunk that nothing names, and that lies in
  /// `store`: its descriptor tells what it was, where that opens. Nil where the chunk cannot be read,
  /// or is none that could be.
  public func quarantineRecord(
    of chunk: ChunkID, at store: any ChunkStore
  ) async -> QuarantinedExtent? {
    guard let status = try? await store.stat(chunk) else { return nil }
    let (scheme, index) = (status.header.scheme, Int(chunk.index))
    guard scheme.total <= 32, index < scheme.total else { return nil }
    var places = [StoreID?](repeating: nil, count: scheme.total)
    places[index] = store.id
    var item = QuarantinedExtent(
      id: chunk.extent, kind: 0, bucket: "", key: [], version: "", partNumber: 0,
      size: Int64(clamping: status.trailer.extentLength), modified: Timestamp(milliseconds: 0),
      dataCount: scheme.data, parityCount: scheme.parity, stores: places, found: clock.now)
    if let wrapped = try? WrappedExtentKey(status.trailer.wrappedKey),
      let descriptor = try? keys.openDescriptor(
        status.trailer.descriptor, of: chunk.extent, wrappedKey: wrapped)
    {
      item.kind = descriptor.kind.rawValue
      (item.bucket, item.key) = (descriptor.bucketName, descriptor.key)
      item.version = descriptor.versionID ?? descriptor.uploadID ?? ""
      item.partNumber = descriptor.partNumber ?? 0
      (item.size, item.modified) = (Int64(descriptor.byteCount), descriptor.lastModified)
    }
    return item
  }
}
