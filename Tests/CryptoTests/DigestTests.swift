import Base
import Crypto
import Testing

@Suite("Digests")
struct DigestTests {
  static let vectors: [(DigestAlgorithm, String, String)] = [
    (.md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
    (.md5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    (.sha1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    (.sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (.sha256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ]

  @Test("the published digests come out", arguments: vectors)
  func vector(_ algorithm: DigestAlgorithm, _ text: String, _ expected: String) {
    let bytes = Array(text.utf8)
    #expect(Hex.encode(Digest.hash(algorithm, bytes)) == expected)
    #expect(Hex.encode(Digest.hash(algorithm, bytes[...])) == expected)
    #expect(Hex.encode(Digest.hash(algorithm, text)) == expected)
    #expect(expected.utf8.count == 2 * algorithm.byteCount)
  }

  @Test("a million letters a by pieces of any size", arguments: DigestAlgorithm.allCases)
  func pieces(_ algorithm: DigestAlgorithm) {
    let expected =
      switch algorithm {
      case .md5: "7707d6ae4e027c70eea2a935c2296f21"
      case .sha1: "34aa973cd4c4daa4f61eeb2bdbad27316534016f"
      case .sha256: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      }
    for size in [1000, 4096, 65_521, 1_000_000] {
      let digest = Digest(algorithm)
      var left = 1_000_000
      while left > 0 {
        digest.update([UInt8](repeating: 0x61, count: min(size, left)))
        left -= min(size, left)
      }
      #expect(Hex.encode(digest.finish()) == expected)
    }
  }

  @Test("every way to add bytes adds the same bytes")
  func waysToAdd() {
    let digest = Digest(.sha256)
    digest.update([UInt8]("ab".utf8))
    digest.update("cd")
    digest.update([UInt8]("xxefxx".utf8)[2..<4])
    digest.update([UInt8]("gh".utf8).span.bytes)
    #expect(digest.finish() == Digest.hash(.sha256, "abcdefgh"))
  }

  @Test("after finish a digest starts anew")
  func reuse() {
    let digest = Digest(.sha256)
    digest.update("first")
    _ = digest.finish()
    digest.update("abc")
    #expect(digest.finish() == Digest.hash(.sha256, "abc"))
    #expect(digest.finish() == Digest.hash(.sha256, ""))
  }

  @Test("a copy goes its own way")
  func copy() {
    let digest = Digest(.md5)
    digest.update("message ")
    let other = digest.copy()
    digest.update("digest")
    other.update("other")
    #expect(digest.finish() == Digest.hash(.md5, "message digest"))
    #expect(other.finish() == Digest.hash(.md5, "message other"))
  }

  @Test("a digest survives the one it was copied from")
  func copyOutlives() {
    var digest: Digest? = Digest(.sha1)
    digest?.update("ab")
    let other = digest?.copy()
    digest = nil
    other?.update("c")
    #expect(other?.finish() == Digest.hash(.sha1, "abc"))
  }
}
