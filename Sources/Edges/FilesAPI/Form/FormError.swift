/// Why a form cannot be read.
struct FormError: Error, Hashable, Sendable {
  /// For the client; a fixed text.
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}
