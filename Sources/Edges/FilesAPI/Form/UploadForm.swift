import Runtime

/// The form of an upload: one field `file`, and others that are read and dropped.
final class UploadForm {
  /// The name of the field that holds the file.
  private static let fileField = "file"

  private let reader: FormReader
  private let configuration: FilesConfiguration
  private var fieldCount = 0
  private var fieldBytes = 0
  private var hasEnded = false
  private lazy var scratch = AlignedBuffer(count: 4096)

  init(_ reader: FormReader, _ configuration: FilesConfiguration) {
    self.reader = reader
    self.configuration = configuration
  }

  /// Reads up to the file; throws when there is none.
  func findFile() async throws -> FormPart {
    while let part = try await reader.nextPart() {
      if part.name == Self.fileField { return part }
      try await drop()
    }
    throw FormError("the form has no field named \(Self.fileField)")
  }

  /// The next bytes of the file; 0 at its end, which comes only when the form has ended too, so
  /// that nothing is kept of a form that is broken behind the file.
  func readFile(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    if hasEnded { return 0 }
    let received = try await reader.readContent(into: buffer, at: offset, count: count)
    if received > 0 { return received }
    while let part = try await reader.nextPart() {
      guard part.name != Self.fileField else { throw FormError("the form has two files") }
      try await drop()
    }
    hasEnded = true
    return 0
  }

  private func drop() async throws {
    fieldCount += 1
    guard fieldCount <= configuration.maximumFields else {
      throw FormError("the form has too many fields")
    }
    while true {
      let received = try await reader.readContent(into: scratch, at: 0, count: scratch.count)
      if received == 0 { return }
      fieldBytes += received
      guard fieldBytes <= configuration.maximumFieldBytes else {
        throw FormError("the form's fields besides the file are too large")
      }
    }
  }
}
