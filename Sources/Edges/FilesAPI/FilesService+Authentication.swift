import Access
import Base
import HTTPServer

extension FilesService {
  /// Who sends a request, by a bearer key or by Basic with the same pair (RFC 6750, RFC 7617).
  ///
  /// Throws `unauthorized` alike for whatever is wrong.
  func authenticate(_ head: HTTPRequestHead) async throws -> Identity {
    guard head.fields.count(of: "authorization") == 1,
      let value = head.value(of: "authorization"), value.count <= 1024,
      let token = Self.token(value)
    else { throw FilesError.unauthorized }
    do {
      return try await access.bearer(token)
    } catch is AccessError {
      throw FilesError.unauthorized
    }
  }

  /// `<access key>:<secret key>` of either scheme.
  private static func token(_ value: ArraySlice<UInt8>) -> String? {
    guard let blank = value.firstIndex(of: 0x20) else { return nil }
    let rest = value[blank...].drop { $0 == 0x20 }
    guard let credentials = String(validating: rest, as: UTF8.self) else { return nil }
    switch FieldValue.lowercased(value[..<blank]) {
    case "bearer": return credentials
    case "basic":
      return Base64.decode(credentials).flatMap { String(validating: $0, as: UTF8.self) }
    default: return nil
    }
  }
}
