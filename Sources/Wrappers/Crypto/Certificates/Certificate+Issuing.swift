public import Base
internal import COpenSSL

/// What a certificate is made to say.
public struct CertificateTemplate: Sendable {
  /// What its holder may do.
  public enum Purpose: Sendable {
    /// Sign certificates, and authorities below it, so many levels deep.
    case authority(depth: Int)
    /// Serve TLS.
    case server
    /// Be a client of TLS.
    case client
    /// Both.
    case serverAndClient
  }

  /// The common name of the subject.
  public var commonName: String
  /// The DNS names that it vouches for; none for an authority.
  public var dnsNames: [String]
  /// What its holder may do.
  public var purpose: Purpose
  /// From when it is good.
  public var notBefore: Timestamp
  /// Until when it is good.
  public var notAfter: Timestamp
  /// The serial number: 16 bytes, the first below 0x80 and not zero.
  public var serial: [UInt8]

  /// Makes a template of its fields.
  public init(
    commonName: String, dnsNames: [String], purpose: Purpose, notBefore: Timestamp,
    notAfter: Timestamp, serial: [UInt8]
  ) {
    self.commonName = commonName
    self.dnsNames = dnsNames
    self.purpose = purpose
    self.notBefore = notBefore
    self.notAfter = notAfter
    self.serial = serial
  }
}

extension Certificate {
  /// Makes a certificate that its own key signs: the root of a cluster.
  ///
  /// Precondition: as for `issue`.
  public static func selfSigned(_ template: CertificateTemplate, key: PrivateKey) -> Certificate {
    unsafe make(template, publicKey: key.pointer, issuer: nil, issuerKey: key)
  }

  /// Makes a certificate for the key of a request; of the request nothing but the key is taken.
  ///
  /// Precondition: the receiver is of `key`; names are of letters, digits, dots and hyphens, the
  /// common name of these, blanks apart, at most 64; the serial has 16 bytes.
  public func issue(
    _ template: CertificateTemplate, for request: CertificateRequest, key: PrivateKey
  ) -> Certificate {
    guard let publicKey = unsafe X509_REQ_get0_pubkey(request.pointer) else {
      preconditionFailure("a request has a key")
    }
    return unsafe Self.make(template, publicKey: publicKey, issuer: self, issuerKey: key)
  }

  /// Makes a certificate for a key that is at hand. Precondition: as for the other form.
  public func issue(
    _ template: CertificateTemplate, for subject: PrivateKey, key: PrivateKey
  ) -> Certificate {
    unsafe Self.make(template, publicKey: subject.pointer, issuer: self, issuerKey: key)
  }

  @unsafe
  private static func make(
    _ template: CertificateTemplate, publicKey: OpaquePointer, issuer: Certificate?,
    issuerKey: PrivateKey
  ) -> Certificate {
    guard let made = unsafe X509_new() else { fatalError("out of memory") }
    requireSuccess(unsafe X509_set_version(made, 2), "X509_set_version")
    unsafe setSerial(made, template.serial)
    requireSuccess(unsafe X509_set_pubkey(made, publicKey), "X509_set_pubkey")
    unsafe setTimes(made, template)
    guard let subject = unsafe X509_get_subject_name(made) else { fatalError("out of memory") }
    precondition(
      Extensions.isPlain(template.commonName.replacing(" ", with: "-"))
        && template.commonName.utf8.count <= 64, "a plain common name")
    requireSuccess(
      unsafe X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_UTF8, Array(template.commonName.utf8),
        Int32(template.commonName.utf8.count), -1, 0), "X509_NAME_add_entry_by_txt")
    let parent = unsafe issuer?.pointer ?? made
    requireSuccess(
      unsafe X509_set_issuer_name(made, X509_get_subject_name(parent)), "X509_set_issuer_name")
    for (kind, value) in extensions(template) {
      let item = unsafe Extensions.make(kind, value, issuer: parent, subject: made)
      requireSuccess(unsafe X509_add_ext(made, item, -1), "X509_add_ext")
      unsafe X509_EXTENSION_free(item)
    }
    let size = unsafe X509_sign(made, issuerKey.pointer, EVP_sha256())
    precondition(size > 0, "a certificate cannot be signed")
    return unsafe Certificate(takingOwnershipOf: made)
  }

  private static func extensions(_ template: CertificateTemplate) -> [(Int32, String)] {
    var result: [(Int32, String)] = [(NID_subject_key_identifier, "hash")]
    switch template.purpose {
    case .authority(let depth):
      result.append((NID_basic_constraints, "critical,CA:TRUE,pathlen:\(max(0, depth))"))
      result.append((NID_key_usage, "critical,keyCertSign,cRLSign"))
    case .server:
      result += leaf("serverAuth")
    case .client:
      result += leaf("clientAuth")
    case .serverAndClient:
      result += leaf("serverAuth,clientAuth")
    }
    result.append((NID_authority_key_identifier, "keyid"))
    if !template.dnsNames.isEmpty {
      precondition(template.dnsNames.allSatisfy(Extensions.isPlain), "plain DNS names")
      let names = template.dnsNames.map { "DNS:\($0)" }.joined(separator: ",")
      result.append((NID_subject_alt_name, names))
    }
    return result
  }

  private static func leaf(_ usage: String) -> [(Int32, String)] {
    [
      (NID_basic_constraints, "critical,CA:FALSE"),
      (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, usage),
    ]
  }

  @unsafe
  private static func setSerial(_ certificate: OpaquePointer, _ serial: [UInt8]) {
    precondition(
      serial.count == 16 && (1..<0x80).contains(serial[0]), "a serial is positive, of 16 bytes")
    guard let number = unsafe BN_bin2bn(serial, Int32(serial.count), nil) else {
      fatalError("out of memory")
    }
    defer { unsafe BN_free(number) }
    guard
      unsafe BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
    else { fatalError("out of memory") }
  }

  @unsafe
  private static func setTimes(_ certificate: OpaquePointer, _ template: CertificateTemplate) {
    let set =
      unsafe ASN1_TIME_set(X509_getm_notBefore(certificate), Int(template.notBefore.seconds))
      != nil
      && ASN1_TIME_set(X509_getm_notAfter(certificate), Int(template.notAfter.seconds)) != nil
    precondition(set, "a time of a certificate lies before the year 10000")
  }
}
