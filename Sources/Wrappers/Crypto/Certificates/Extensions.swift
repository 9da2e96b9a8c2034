import Base
internal import COpenSSL

/// Reading and making of X.509 extensions.
@safe
enum Extensions {
  /// The names of a list of general names; nil unless all of them are DNS names in plain ASCII.
  @unsafe
  static func dnsNames(_ list: OpaquePointer) -> [String]? {
    var names: [String] = []
    for index in 0..<max(0, unsafe OPENSSL_sk_num(list)) {
      guard let item = unsafe OPENSSL_sk_value(list, index) else { return nil }
      let name = unsafe item.assumingMemoryBound(to: GENERAL_NAME.self)
      var kind: Int32 = 0
      guard let value = unsafe GENERAL_NAME_get0_value(name, &kind), kind == GEN_DNS else {
        return nil
      }
      let bytes = unsafe string(value.assumingMemoryBound(to: ASN1_STRING.self))
      guard bytes.count <= 253, bytes.allSatisfy({ (0x21..<0x7f).contains($0) }) else {
        return nil
      }
      names.append(String(decoding: bytes, as: UTF8.self))
    }
    return names
  }

  /// The bytes of an ASN.1 string.
  @unsafe
  static func string(_ value: UnsafePointer<ASN1_STRING>) -> [UInt8] {
    let count = unsafe Int(ASN1_STRING_length(value))
    guard let start = unsafe ASN1_STRING_get0_data(value), count > 0 else { return [] }
    return unsafe Array(UnsafeBufferPointer(start: start, count: count))
  }

  /// Makes an extension from its text form, which the caller has made: never from outside.
  @unsafe
  static func make(
    _ kind: Int32, _ value: String, issuer: OpaquePointer?, subject: OpaquePointer?
  ) -> OpaquePointer {
    var context = unsafe X509V3_CTX()
    unsafe X509V3_set_ctx(&context, issuer, subject, nil, nil, 0)
    guard let made = unsafe X509V3_EXT_nconf_nid(nil, &context, kind, value) else {
      fatalError("an extension cannot be made")
    }
    return unsafe made
  }

  /// Whether a name can stand in the text form of an extension: letters, digits, dots, hyphens.
  static func isPlain(_ name: String) -> Bool {
    let bytes = name.utf8
    return (1...253).contains(bytes.count)
      && bytes.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e: true
        default: false
        }
      }
  }
}
