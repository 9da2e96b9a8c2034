import Base
import Crypto
import Foundation
import Testing

/// Certificates, judged by this library and by the `openssl` command.
struct CertificateTests {
  static let day: Int64 = 86_400_000
  static let now = Timestamp(seconds: 1_800_000_000)

  static func serial(_ number: UInt8) -> [UInt8] {
    [0x11] + [UInt8](repeating: number, count: 15)
  }

  static func template(
    _ name: String, _ purpose: CertificateTemplate.Purpose, names: [String] = [],
    days: Int64 = 30, serial number: UInt8 = 1
  ) -> CertificateTemplate {
    CertificateTemplate(
      commonName: name, dnsNames: names, purpose: purpose,
      notBefore: now.advanced(byMilliseconds: -60_000),
      notAfter: now.advanced(byMilliseconds: days * day), serial: serial(number))
  }

  struct Authority {
    let key = PrivateKey()
    let certificate: Certificate

    init(_ name: String = "test CA", depth: Int = 1) {
      certificate = Certificate.selfSigned(
        CertificateTests.template(name, .authority(depth: depth), days: 3650), key: key)
    }

    func leaf(
      _ name: String, _ purpose: CertificateTemplate.Purpose = .serverAndClient, days: Int64 = 30
    ) -> Certificate {
      certificate.issue(
        CertificateTests.template("leaf", purpose, names: [name], days: days, serial: 2),
        for: PrivateKey(), key: key)
    }
  }

  private func openssl(_ arguments: [String], files: [String: String]) throws -> (Int32, String) {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "certificates-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, text) in files {
      try Data(text.utf8).write(to: directory.appending(path: name))
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/openssl")
    process.arguments = arguments
    process.currentDirectoryURL = directory
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  @Test("The openssl command reads what is made, and verifies it for its name and purpose")
  func outsideJudge() throws {
    let authority = Authority()
    let key = PrivateKey()
    let request = CertificateRequest(name: "a.example", key: key)
    let leaf = authority.certificate.issue(
      Self.template("leaf", .server, names: ["a.example"], serial: 7), for: request,
      key: authority.key)
    let files = [
      "ca.pem": authority.certificate.pem, "leaf.pem": leaf.pem, "key.pem": key.pem,
      "request.pem": request.pem,
    ]
    let text = try openssl(["x509", "-text", "-noout", "-in", "leaf.pem"], files: files).1
    for part in [
      "Version: 3", "11:07:07", "CA:FALSE", "TLS Web Server Authentication", "DNS:a.example",
      "Digital Signature", "prime256v1", "ecdsa-with-SHA256",
    ] { #expect(text.contains(part), "\(part) in \(text)") }
    #expect(!text.contains("Client Authentication"))
    let ca = try openssl(["x509", "-text", "-noout", "-in", "ca.pem"], files: files).1
    #expect(ca.contains("CA:TRUE, pathlen:1") && ca.contains("Certificate Sign"))
    func verify(_ more: [String]) throws -> Int32 {
      try openssl(
        ["verify", "-x509_strict", "-attime", "1800000000", "-CAfile", "ca.pem"] + more
          + ["leaf.pem"], files: files
      ).0
    }
    #expect(try verify(["-purpose", "sslserver", "-verify_hostname", "a.example"]) == 0)
    #expect(try verify(["-purpose", "sslclient"]) != 0)
    #expect(try verify(["-verify_hostname", "b.example"]) != 0)
    let requested = try openssl(
      ["req", "-text", "-noout", "-verify", "-in", "request.pem"], files: files)
    #expect(requested.0 == 0 && requested.1.contains("DNS:a.example"))
    #expect(try openssl(["pkey", "-check", "-noout", "-in", "key.pem"], files: files).0 == 0)
    let print = try openssl(
      ["x509", "-fingerprint", "-sha256", "-noout", "-in", "leaf.pem"], files: files
    ).1
    let digits = print.split(separator: "=").last?.filter { $0.isHexDigit }.lowercased()
    #expect(digits == Hex.encode(leaf.fingerprint))
  }

  @Test("What a certificate says is read back")
  func reading() throws {
    let authority = Authority()
    let key = PrivateKey()
    let leaf = authority.certificate.issue(
      Self.template("leaf", .client, names: ["a.example", "b.example"]), for: key,
      key: authority.key)
    let read = try #require(try Certificate.parse(pem: leaf.pem).first)
    #expect(read.der == leaf.der && read.dnsNames == ["a.example", "b.example"])
    #expect(read.notAfter == Self.now.advanced(byMilliseconds: 30 * Self.day))
    #expect(read.notBefore == Self.now.advanced(byMilliseconds: -60_000))
    #expect(read.belongs(to: key) && !read.belongs(to: authority.key))
    #expect(!read.isAuthority && authority.certificate.isAuthority)
    #expect(read.isSigned(by: authority.certificate) && !read.isSigned(by: Authority().certificate))
    let again = try PrivateKey(pem: key.pem)
    #expect(again.publicKeyFingerprint == key.publicKeyFingerprint)
    let signature = again.sign(Array("message".utf8))
    #expect(read.verify(signature, of: Array("message".utf8)))
    #expect(!read.verify(signature, of: Array("massage".utf8)))
    #expect(!read.verify([], of: Array("message".utf8)))
    #expect("\(key)" == "<private key>" && String(reflecting: key).contains("private key>"))
  }

  @Test("A chain is trusted for its authority, name, role and time only")
  func verification() throws {
    let authority = Authority()
    let verifier = CertificateVerifier(trusting: [authority.certificate])
    let leaf = authority.leaf("a.example", .server)
    try verifier.verify([leaf], as: .server, name: "a.example", at: Self.now)
    func refused(
      _ chain: [Certificate], as role: CertificateVerifier.Role = .server,
      name: String? = "a.example", at time: Timestamp = Self.now
    ) -> Bool {
      do {
        try verifier.verify(chain, as: role, name: name, at: time)
        return false
      } catch { return true }
    }
    #expect(refused([leaf], as: .client))
    #expect(refused([leaf], name: "b.example"))
    #expect(refused([leaf], name: "a.example/"))
    #expect(refused([leaf], at: Self.now.advanced(byMilliseconds: 31 * Self.day)))
    #expect(refused([leaf], at: Self.now.advanced(byMilliseconds: -Self.day)))
    #expect(refused([Authority().leaf("a.example")]))
    #expect(refused([Authority("test CA").leaf("a.example")]))
    #expect(refused([]))
    // A leaf signs nothing.
    let key = PrivateKey()
    let middle = authority.certificate.issue(
      Self.template("middle", .server, names: ["m.example"], serial: 4), for: key,
      key: authority.key)
    let below = middle.issue(
      Self.template("leaf", .server, names: ["a.example"], serial: 5), for: PrivateKey(), key: key)
    #expect(refused([below, middle]))
    #expect(refused([leaf, below, middle], name: "m.example"))
  }

  @Test("A new authority that the old one has signed is trusted by those who know the old one")
  func crossSigning() throws {
    let (old, new) = (Authority("old CA"), Authority("new CA", depth: 0))
    let cross = old.certificate.issue(
      Self.template("new CA", .authority(depth: 0), serial: 9), for: new.key, key: old.key)
    let leaf = new.leaf("a.example")
    let knowsOld = CertificateVerifier(trusting: [old.certificate])
    try knowsOld.verify([leaf, cross], as: .server, name: "a.example", at: Self.now)
    #expect(throws: CertificateError.self) {
      try knowsOld.verify([leaf], as: .server, name: "a.example", at: Self.now)
    }
    for trusted in [[new.certificate], [old.certificate, new.certificate]] {
      let verifier = CertificateVerifier(trusting: trusted)
      try verifier.verify([leaf, cross], as: .client, name: "a.example", at: Self.now)
    }
  }

  @Test("A request that asks for more than one name is refused, whoever signed it")
  func strictRequests() throws {
    let good = CertificateRequest(name: "a.example", key: PrivateKey())
    #expect(try CertificateRequest(pem: good.pem).name == "a.example")
    for option in [
      "subjectAltName=DNS:a.example,DNS:gateway.example", "basicConstraints=CA:TRUE",
      "subjectAltName=IP:127.0.0.1", "subjectAltName=email:a@example",
      "subjectAltName=DNS:*.example", "keyUsage=keyCertSign",
    ] {
      let more = option.hasPrefix("subjectAltName") ? [] : ["-addext", "subjectAltName=DNS:a"]
      let made = try openssl(
        [
          "req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-addext", option,
        ] + more, files: ["key.pem": PrivateKey().pem])
      #expect(made.0 == 0, "\(made.1)")
      #expect(throws: CertificateError.self, "\(option)") { try CertificateRequest(pem: made.1) }
    }
    let plain = try openssl(
      ["req", "-new", "-key", "key.pem", "-subj", "/CN=x"], files: ["key.pem": PrivateKey().pem])
    #expect(throws: CertificateError.self) { try CertificateRequest(pem: plain.1) }
    let rsa = try openssl(
      [
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x",
        "-addext", "subjectAltName=DNS:a.example",
      ], files: [:])
    let text = rsa.1.firstRange(of: "-----BEGIN CERT").map { String(rsa.1[$0.lowerBound...]) }
    #expect(throws: CertificateError.malformed("the request's key is not one on the curve P-256")) {
      try CertificateRequest(pem: try #require(text))
    }
  }

  @Test("Any changed byte of a request or certificate is an error or verifies no more, no trap")
  func fuzz() throws {
    let authority = Authority()
    let verifier = CertificateVerifier(trusting: [authority.certificate])
    let leaf = authority.leaf("a.example").der
    let request = CertificateRequest(name: "a.example", key: PrivateKey()).der
    let key = PrivateKey().der
    for index in request.indices {
      var changed = request
      changed[index] ^= 1 << UInt8(index % 8)
      #expect(throws: CertificateError.self, "byte \(index)") {
        try CertificateRequest(der: changed)
      }
      #expect(throws: CertificateError.self) {
        try CertificateRequest(der: Array(request[..<index]))
      }
    }
    for index in leaf.indices {
      var changed = leaf
      changed[index] ^= 1 << UInt8(index % 8)
      if let read = try? Certificate(der: changed) {
        _ = (read.dnsNames, read.notAfter, read.publicKeyFingerprint, read.isAuthority)
        _ = read.verify(changed, of: leaf)
        #expect(throws: CertificateError.self, "byte \(index)") {
          try verifier.verify([read], as: .server, name: "a.example", at: Self.now)
        }
      }
      #expect(throws: CertificateError.self) { try Certificate(der: Array(leaf[..<index])) }
    }
    for index in key.indices {
      var changed = key
      changed[index] ^= 1 << UInt8(index % 8)
      _ = try? PrivateKey(der: changed)
    }
    #expect(throws: CertificateError.self) { try Certificate(der: leaf + [0]) }
    #expect(throws: CertificateError.self) { try Certificate(der: []) }
  }

  @Test(
    "PEM texts with anything strange in them are refused",
    arguments: [
      "", "x", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n",
      "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
      "-----BEGIN CERTIFICATE-----\nA*==\n-----END CERTIFICATE-----\n",
      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\ntail",
      String(
        repeating: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", count: 17),
      String(repeating: "\n", count: PEM.maximumByteCount + 1),
    ])
  func strangePEM(_ text: String) {
    #expect(throws: CertificateError.self) { try PEM.decode(.certificate, text) }
  }
}
