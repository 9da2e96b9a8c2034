/// Why a request is refused before any handler saw it.
struct HTTPRefusal: Error, Equatable {
  /// The status of the answer, 400 to 599.
  let status: Int
  /// A short fixed text; nothing of the request is repeated.
  let reason: String

  init(_ status: Int, _ reason: String) {
    self.status = status
    self.reason = reason
  }
}
