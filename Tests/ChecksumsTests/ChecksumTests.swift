import Base
import Checksums
import Testing

@Suite("Checksums")
struct ChecksumTests {
  static let vectors: [(ChecksumAlgorithm, String, String)] = [
    (.crc32, "", "AAAAAA=="),
    (.crc32, "123456789", "y/Q5Jg=="),
    (.crc32c, "123456789", "4waSgw=="),
    (.crc64nvme, "123456789", "rosUhgp5mIg="),
    (.sha1, "abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
    (.sha256, "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    (.sha256, "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
  ]

  @Test("values as S3 sends them", arguments: vectors)
  func vector(_ algorithm: ChecksumAlgorithm, _ text: String, _ expected: String) throws {
    let bytes = Array(text.utf8)
    let checksum = ChecksumHasher.checksum(algorithm, of: bytes)
    #expect(checksum.description == expected)
    #expect(checksum.type == .fullObject)
    #expect(expected.utf8.count == algorithm.base64Count)
    #expect(Checksum(algorithm: algorithm, text: expected) == checksum)
    let hasher = ChecksumHasher(algorithm)
    for _ in 0..<2 {
      for byte in bytes { hasher.update([byte][...]) }
      #expect(hasher.finish() == checksum, "the same again after finish")
    }
  }

  @Test(
    "names are what S3 calls them",
    arguments: [
      (ChecksumAlgorithm.crc32, "CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 1),
      (.crc32c, "CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 2),
      (.crc64nvme, "CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 3),
      (.sha1, "SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 4),
      (.sha256, "SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 5),
    ])
  func names(
    _ algorithm: ChecksumAlgorithm, _ name: String, _ header: String, _ element: String,
    _ number: UInt8
  ) {
    #expect(algorithm.name == name)
    #expect(algorithm.headerName == header)
    #expect(algorithm.elementName == element)
    #expect(algorithm.rawValue == number)
    #expect(ChecksumAlgorithm(name: name) == algorithm)
    #expect(ChecksumAlgorithm(name: name.lowercased()) == algorithm)
    #expect(ChecksumAlgorithm(headerName: header) == algorithm)
    #expect(ChecksumAlgorithm(headerName: header.uppercased()) == algorithm)
  }

  @Test("other names are unknown", arguments: ["", "MD5", "CRC-32", "SHA512", "x-amz-checksum-"])
  func unknownNames(_ name: String) {
    #expect(ChecksumAlgorithm(name: name) == nil)
    #expect(ChecksumAlgorithm(headerName: name) == nil)
  }

  @Test("the types a multipart upload may ask for")
  func types() {
    #expect(ChecksumAlgorithm.crc64nvme.multipartTypes == [.fullObject])
    #expect(ChecksumAlgorithm.sha1.multipartTypes == [.composite])
    #expect(ChecksumAlgorithm.sha256.multipartTypes == [.composite])
    #expect(Set(ChecksumAlgorithm.crc32.multipartTypes) == [.fullObject, .composite])
    #expect(Set(ChecksumAlgorithm.crc32c.multipartTypes) == [.fullObject, .composite])
    for algorithm in ChecksumAlgorithm.allCases {
      #expect(algorithm.multipartTypes.first == algorithm.defaultMultipartType)
    }
    #expect(ChecksumType(rawValue: "FULL_OBJECT") == .fullObject)
    #expect(ChecksumType(rawValue: "COMPOSITE") == .composite)
  }

  @Test(
    "texts that are no value are refused",
    arguments: [
      "", "AAAAAA", "AAAAAA=", "AAAAAAA=", "AAAAAB==", "AAAAAA==-", "AAAAAA==-0", "AAAAAA==-01",
      "AAAAAA==-+1", "AAAAAA==--1", "AAAAAA==-10001", "AAAAAA==-1-1", "-1", "AAAA", "AAAAAAAAAAA=",
      " AAAAAA==", "AAAAAA==-99999999999999999999", "AAAAAA==-1 ",
    ])
  func refusals(_ text: String) {
    #expect(Checksum(algorithm: .crc32, text: text) == nil)
    #expect(Checksum(algorithm: .crc32, text: "AAAAAA==-10000")?.description == "AAAAAA==-10000")
  }

  @Test("values of a wrong length or part count are refused")
  func shapes() {
    #expect(Checksum(algorithm: .crc32, bytes: [1, 2, 3]) == nil)
    #expect(Checksum(algorithm: .crc32, bytes: [1, 2, 3, 4], partCount: 0) == nil)
    #expect(Checksum(algorithm: .crc32, bytes: [1, 2, 3, 4], partCount: 10_001) == nil)
    #expect(Checksum(algorithm: .crc32, bytes: [1, 2, 3, 4])?.base64 == "AQIDBA==")
  }
}

@Suite("Checksums of parts")
struct PartChecksumTests {
  private static let parts = [
    [UInt8](repeating: 1, count: 5000), [], Array("the middle".utf8), [9],
  ]

  @Test("the cyclic ones of all parts give that of the whole")
  func fullObject() throws {
    for algorithm in [ChecksumAlgorithm.crc32, .crc32c, .crc64nvme] {
      let parts = Self.parts.map {
        Checksum.Part(ChecksumHasher.checksum(algorithm, of: $0), byteCount: $0.count)
      }
      let whole = ChecksumHasher.checksum(algorithm, of: Self.parts.flatMap { $0 })
      #expect(try Checksum.fullObject(algorithm, of: parts) == whole)
      #expect(try Checksum.fullObject(algorithm, of: [parts[0]]) == parts[0].checksum)
    }
  }

  @Test("SHA-1 and SHA-256 of a whole are not made of parts")
  func notCombinable() {
    for algorithm in [ChecksumAlgorithm.sha1, .sha256] {
      let part = Checksum.Part(ChecksumHasher.checksum(algorithm, of: [1]), byteCount: 1)
      #expect(throws: ChecksumError.notCombinable(algorithm)) {
        try Checksum.fullObject(algorithm, of: [part])
      }
    }
  }

  @Test("the composite one is the checksum of the checksums and names their number")
  func composite() throws {
    for algorithm in ChecksumAlgorithm.allCases {
      let parts = Self.parts.map { ChecksumHasher.checksum(algorithm, of: $0) }
      let composite = try Checksum.composite(algorithm, of: parts)
      let expected = ChecksumHasher.checksum(algorithm, of: parts.flatMap(\.bytes))
      #expect(composite.description == "\(expected)-4")
      #expect(composite.type == .composite)
      #expect(Checksum(algorithm: algorithm, text: composite.description) == composite)
    }
  }

  @Test("no parts, too many, and parts with another checksum are refused")
  func refusals() throws {
    let crc = ChecksumHasher.checksum(.crc32, of: [1])
    let other = ChecksumHasher.checksum(.crc32c, of: [1])
    let composite = try Checksum.composite(.crc32, of: [crc])
    #expect(throws: ChecksumError.partCount(0)) { try Checksum.composite(.crc32, of: []) }
    #expect(throws: ChecksumError.partCount(10_001)) {
      try Checksum.composite(.crc32, of: Array(repeating: crc, count: 10_001))
    }
    #expect(throws: ChecksumError.mismatchedPart(1)) {
      try Checksum.composite(.crc32, of: [crc, other])
    }
    #expect(throws: ChecksumError.mismatchedPart(0)) {
      try Checksum.fullObject(.crc32, of: [.init(composite, byteCount: 1)])
    }
  }

  @Test("entity tags as S3 makes them")
  func entityTags() throws {
    let first = try #require(Hex.decode("5d41402abc4b2a76b9719d911017c592"))
    let second = try #require(Hex.decode("7d793037a0760186574b0282f2f435e7"))
    #expect(ETag.single(md5: first) == "5d41402abc4b2a76b9719d911017c592")
    #expect(ETag.multipart(partMD5s: [first]) == "62109206880d38a4010a98e11243924a-1")
    #expect(ETag.multipart(partMD5s: [first, second]) == "065947336a2f2a95ba8899f3675c3be6-2")
  }
}
