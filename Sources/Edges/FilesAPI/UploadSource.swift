import Metadata
import ObjectEngine
import Runtime

/// The file of a form as the source of a write. It records that the upload runs, first when its
/// first byte has come and then from time to time, so that no clean-up takes it for abandoned.
final class UploadSource: ObjectSource {
  let expectedLength: Int64? = nil

  private let form: UploadForm
  private let metadata: any MetadataStore
  private let file: FileID
  private let touchNanoseconds: UInt64
  private var touched: UInt64?

  init(
    _ form: UploadForm, metadata: any MetadataStore, file: FileID, touchMilliseconds: Int
  ) {
    self.form = form
    self.metadata = metadata
    self.file = file
    touchNanoseconds = UInt64(max(1, touchMilliseconds)) * 1_000_000
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    let received = try await form.readFile(into: buffer, at: offset, count: count)
    let now = MonotonicTime.nanoseconds
    if touched.map({ now &- $0 >= touchNanoseconds }) ?? true {
      try await metadata.updateFile(file, state: .uploading, size: 0, sha256: nil)
      touched = now
    }
    return received
  }
}
