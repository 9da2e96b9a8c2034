import Base
import Signing
import Testing

/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
/// sigv4-query-string-auth.html; the last group was made with botocore.
@Suite("Published signatures")
struct PublishedExampleTests {
  static let bucketHost = ("Host", "examplebucket.s3.amazonaws.com")
  static let date = ("x-amz-date", Example.time)

  static let examples: [TestRequest] = [
    TestRequest(
      "GET", "/test.txt",
      [
        bucketHost, ("Range", "bytes=0-9"), ("x-amz-content-sha256", Example.emptyHash), date,
        (
          "Authorization",
          Example.authorization(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        ),
      ]),
    TestRequest(
      "PUT", "/test$file.text",
      [
        bucketHost, ("Date", "Fri, 24 May 2013 00:00:00 GMT"), date,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        (
          "x-amz-content-sha256",
          "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
        ),
        (
          "Authorization",
          Example.authorization(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        ),
      ]),
    TestRequest(
      "GET", "/", query: "lifecycle",
      [
        bucketHost, date, ("x-amz-content-sha256", Example.emptyHash),
        (
          "Authorization",
          Example.authorization(
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        ),
      ]),
    TestRequest(
      "GET", "/", query: "max-keys=2&prefix=J",
      [
        bucketHost, date, ("x-amz-content-sha256", Example.emptyHash),
        (
          "Authorization",
          Example.authorization(
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        ),
      ]),
    TestRequest(
      "GET", "/test.txt",
      query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
        + "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
        + "&X-Amz-SignedHeaders=host&X-Amz-Signature="
        + "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
      [bucketHost]),
  ]

  @Test("AWS's examples verify, and with another secret they do not", arguments: examples.indices)
  func publishedExample(index: Int) throws {
    let request = Self.examples[index]
    let signed = try #require(try request.check())
    #expect(signed.accessKeyID == Example.accessKey)
    #expect(signed.isPresigned == (index == 4))
    #expect(request.code(key: "wrong") == .signatureDoesNotMatch)
  }

  @Test("the signer makes AWS's signatures")
  func signer() throws {
    let signed = try TestRequest(
      "GET", "/", query: "max-keys=2&prefix=J", [Self.bucketHost]
    ).signed(payload: #require(PayloadMode(Array(Example.emptyHash.utf8)[...])))
    let value = signed.fields.first { $0.0 == "Authorization" }?.1
    #expect(
      value?.hasSuffix("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7") == true)
    let presigned = try TestRequest("GET", "/test.txt", [Self.bucketHost])
      .presigned(expirySeconds: 86_400)
    #expect(presigned.query == Self.examples[4].query)
  }

  static let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
  static let now2026 = Timestamp(seconds: 1_767_323_045)

  static func authorization(_ signedHeaders: String, _ signature: String) -> (String, String) {
    (
      "Authorization",
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-north-1/s3/aws4_request, "
        + "SignedHeaders=\(signedHeaders), Signature=\(signature)"
    )
  }

  static let fromBotocore: [TestRequest] = [
    TestRequest(
      "GET", "/b/a%20b/%2B%2F..%2F%C3%A9//x~%21%27%28%29%2A",
      query: "versionId=null&prefix=a%2Fb%20c&list-type=2&empty=",
      [
        ("Host", "localhost:9000"), ("X-Amz-Date", "20260102T030405Z"),
        ("X-Amz-Content-SHA256", Example.emptyHash),
        authorization(
          "host;x-amz-content-sha256;x-amz-date",
          "6f44420f895fe957e3936bb40c323e57f816e5b6ca022fd4c0b0ee3432086adf"),
      ]),
    TestRequest(
      "PUT", "/b/../k",
      [
        ("Host", "localhost:9000"), ("x-amz-meta-a", "two   words"),
        ("Content-Type", "text/plain"), ("X-Amz-Date", "20260102T030405Z"),
        (
          "X-Amz-Content-SHA256",
          "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        ),
        authorization(
          "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a",
          "3704a0d824522f4244c37a350f84af9601201c871b0afe6f46d48bf1178af72a"),
      ]),
    TestRequest(
      "GET", "/",
      [
        ("Host", "localhost:9000"), ("X-Amz-Date", "20260102T030405Z"),
        ("X-Amz-Security-Token", "AQoTOKEN/with+odd==chars"),
        ("X-Amz-Content-SHA256", Example.emptyHash),
        authorization(
          "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
          "12167506acaef69918c6a868a105920330e1ce3c2843ead336fd750d5c3bd4f5"),
      ]),
    TestRequest(
      "GET", "/b/a%20b/%2B%C3%A9//x",
      query: "response-content-disposition=attachment%3B%20filename%3D%22a%2Bb.txt%22"
        + "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-north-1"
        + "%2Fs3%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600"
        + "&X-Amz-SignedHeaders=host&X-Amz-Signature="
        + "2b63d23c725003e67167d32b42766db0a76501d01cb3e382d36d126998245631",
      [("Host", "localhost:9000")]),
    TestRequest(
      "PUT", "/k%25",
      query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102"
        + "%2Feu-north-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=604800"
        + "&X-Amz-SignedHeaders=host%3Bx-amz-acl"
        + "&X-Amz-Security-Token=AQoTOKEN%2Fwith%2Bodd%3D%3Dchars&X-Amz-Signature="
        + "ed777b4b9ff5104bd61cdc4fbc4d7c06742c5dfc0364fed02f3fa60247577ee5",
      [("Host", "b.s3.example.org"), ("x-amz-acl", "private")]),
  ]

  @Test("botocore's signatures of odd keys and parameters verify", arguments: fromBotocore.indices)
  func otherSigner(index: Int) throws {
    let verifier = SignatureVerifier(region: "eu-north-1")
    let signed = try #require(
      try Self.fromBotocore[index].check(at: Self.now2026, key: Self.secret, verifier))
    let hasToken = index == 2 || index == 4
    #expect(signed.sessionToken == (hasToken ? "AQoTOKEN/with+odd==chars" : nil))
  }
}
