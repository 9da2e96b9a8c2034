import Base
import Checksums
import Runtime
import S3Wire
import Testing

private let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
private let namespace = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
private let moment = Timestamp(milliseconds: 1_767_323_045_678)
private let owner = S3Owner(id: "1", displayName: "root")

@Suite("Answers")
struct ResponseTests {
  private func request(_ text: String, isVersion2: Bool) throws -> ListObjectsRequest {
    try ListObjectsRequest(RequestQuery(slice(text)), isVersion2: isVersion2)
  }

  private let objects = [
    ObjectRow(key: bytes("a b/<é>"), lastModified: moment, etag: "0123", size: 5, owner: owner),
    ObjectRow(
      key: bytes("c"), lastModified: Timestamp(seconds: 0), etag: "4-2", size: 0,
      storageClass: "GLACIER", checksum: ChecksumKind(algorithm: .crc32, type: .composite)),
  ]

  @Test("ListObjects")
  func listObjects() throws {
    let page = S3Response.ObjectPage(
      bucket: "bkt", request: try request("delimiter=/&prefix=x", isVersion2: false),
      objects: objects, commonPrefixes: [bytes("p&/")], next: bytes("p&/"))
    #expect(
      text(S3Response.listObjects(page))
        == head + "<ListBucketResult" + namespace + "<Name>bkt</Name><Prefix>x</Prefix>"
        + "<Marker></Marker><NextMarker>p&amp;/</NextMarker><MaxKeys>1000</MaxKeys>"
        + "<Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>"
        + "<Contents><Key>a b/&lt;é&gt;</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        + "<ETag>&quot;0123&quot;</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass>"
        + "<Owner><ID>1</ID><DisplayName>root</DisplayName></Owner></Contents>"
        + "<Contents><Key>c</Key><LastModified>1970-01-01T00:00:00.000Z</LastModified>"
        + "<ETag>&quot;4-2&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
        + "<ChecksumType>COMPOSITE</ChecksumType><Size>0</Size>"
        + "<StorageClass>GLACIER</StorageClass></Contents>"
        + "<CommonPrefixes><Prefix>p&amp;/</Prefix></CommonPrefixes></ListBucketResult>")
  }

  @Test("ListObjectsV2, keys percent-encoded")
  func listObjectsV2() throws {
    let token = ContinuationToken(after: bytes("0"))
    let next = ContinuationToken(after: bytes("c"))
    let page = S3Response.ObjectPage(
      bucket: "bkt",
      request: try request(
        "encoding-type=url&start-after=%20&max-keys=2&continuation-token=\(token.text)",
        isVersion2: true),
      objects: [objects[0]], commonPrefixes: [bytes("p&/")], next: bytes("c"))
    #expect(
      text(S3Response.listObjects(page))
        == head + "<ListBucketResult" + namespace + "<Name>bkt</Name><Prefix></Prefix>"
        + "<ContinuationToken>\(token.text)</ContinuationToken>"
        + "<NextContinuationToken>\(next.text)</NextContinuationToken>"
        + "<StartAfter>%20</StartAfter><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys>"
        + "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        + "<Contents><Key>a%20b/%3C%C3%A9%3E</Key>"
        + "<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;0123&quot;</ETag>"
        + "<Size>5</Size><StorageClass>STANDARD</StorageClass>"
        + "<Owner><ID>1</ID><DisplayName>root</DisplayName></Owner></Contents>"
        + "<CommonPrefixes><Prefix>p%26/</Prefix></CommonPrefixes></ListBucketResult>")
  }

  @Test("times are those of the calendar", arguments: 0..<4)
  func times(seed: UInt64) throws {
    print("Time seed \(seed)")
    var random = SeededRandom(seed: seed)
    for _ in 0..<300 {
      let seconds = Int64.random(in: 0...253_402_300_799, using: &random)
      let time = Timestamp(milliseconds: seconds * 1000 + 999)
      let body = text(S3Response.copyObject(etag: "e", lastModified: time))
      #expect(body.contains("<LastModified>\(Timestamp(seconds: seconds).iso8601)</LastModified>"))
    }
  }

  @Test("buckets and their location")
  func buckets() {
    #expect(
      text(
        S3Response.listBuckets(
          [BucketRow(name: "bkt", created: moment, region: "r")], owner: owner, prefix: "b"))
        == head + "<ListAllMyBucketsResult" + namespace
        + "<Owner><ID>1</ID><DisplayName>root</DisplayName></Owner><Buckets><Bucket>"
        + "<Name>bkt</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate>"
        + "<BucketRegion>r</BucketRegion></Bucket></Buckets><Prefix>b</Prefix>"
        + "</ListAllMyBucketsResult>")
    #expect(
      text(S3Response.bucketLocation(region: "us-east-1"))
        == head + "<LocationConstraint" + namespace + "</LocationConstraint>")
    #expect(text(S3Response.bucketLocation(region: "eu")).contains(">eu</LocationConstraint>"))
  }

  @Test("DeleteResult, loud and quiet")
  func delete() {
    let outcomes: [S3Response.DeleteOutcome] = [
      .deleted(key: bytes("a\u{1}")),
      .deleted(key: bytes("b"), versionID: "v", isDeleteMarker: true, markerVersionID: "m"),
      .failed(key: bytes("c"), S3Error(.accessDenied)),
    ]
    let failure =
      "<Error><Key>c</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    #expect(
      text(S3Response.deleteObjects(outcomes, isQuiet: false))
        == head + "<DeleteResult" + namespace + "<Deleted><Key>a&#x1;</Key></Deleted>"
        + "<Deleted><Key>b</Key><VersionId>v</VersionId><DeleteMarker>true</DeleteMarker>"
        + "<DeleteMarkerVersionId>m</DeleteMarkerVersionId></Deleted>" + failure
        + "</DeleteResult>")
    #expect(
      text(S3Response.deleteObjects(outcomes, isQuiet: true))
        == head + "<DeleteResult" + namespace + failure + "</DeleteResult>")
  }

  @Test("multipart answers")
  func multipart() throws {
    let checksum = try #require(Checksum(algorithm: .crc32, bytes: [0, 0, 0, 0]))
    let composite = try #require(
      Checksum(algorithm: .crc32, bytes: [0, 0, 0, 0], partCount: 2))
    #expect(
      text(S3Response.createMultipartUpload(bucket: "bkt", key: bytes("k&"), uploadID: "u"))
        == head + "<InitiateMultipartUploadResult" + namespace
        + "<Bucket>bkt</Bucket><Key>k&amp;</Key><UploadId>u</UploadId>"
        + "</InitiateMultipartUploadResult>")
    #expect(
      text(S3Response.copyPart(etag: "e", lastModified: moment, checksum: checksum))
        == head + "<CopyPartResult" + namespace
        + "<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
        + "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></CopyPartResult>")
    #expect(
      text(
        S3Response.completeMultipartUpload(
          location: "http://h/bkt/k", bucket: "bkt", key: bytes("k"), etag: "e-2",
          checksum: composite))
        == head + "<CompleteMultipartUploadResult" + namespace
        + "<Location>http://h/bkt/k</Location><Bucket>bkt</Bucket><Key>k</Key>"
        + "<ETag>&quot;e-2&quot;</ETag><ChecksumCRC32>AAAAAA==-2</ChecksumCRC32>"
        + "<ChecksumType>COMPOSITE</ChecksumType></CompleteMultipartUploadResult>")
  }

  private let upload = UploadRow(
    key: bytes("k"), uploadID: "u", initiated: moment, owner: owner, initiator: owner,
    checksum: ChecksumKind(algorithm: .sha256, type: .composite))

  @Test("lists of parts and uploads")
  func multipartLists() throws {
    let part = PartRow(number: 3, lastModified: moment, etag: "e", size: 9)
    let person = "<ID>1</ID><DisplayName>root</DisplayName>"
    let kind = "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>"
    #expect(
      text(
        S3Response.listParts(
          bucket: "bkt", upload: upload, marker: 2, pageSize: 1, next: 3, parts: [part]))
        == head + "<ListPartsResult" + namespace
        + "<Bucket>bkt</Bucket><Key>k</Key><UploadId>u</UploadId><Initiator>\(person)</Initiator>"
        + "<Owner>\(person)</Owner><StorageClass>STANDARD</StorageClass>"
        + "<PartNumberMarker>2</PartNumberMarker><NextPartNumberMarker>3</NextPartNumberMarker>"
        + "<MaxParts>1</MaxParts><IsTruncated>true</IsTruncated>\(kind)<Part>"
        + "<PartNumber>3</PartNumber><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        + "<ETag>&quot;e&quot;</ETag><Size>9</Size></Part></ListPartsResult>")
    let page = S3Response.UploadPage(
      bucket: "bkt", request: try ListUploadsRequest(RequestQuery(slice("encoding-type=url"))),
      uploads: [upload], commonPrefixes: [bytes("p /")], next: (bytes("k "), "u"))
    #expect(
      text(S3Response.listMultipartUploads(page))
        == head + "<ListMultipartUploadsResult" + namespace
        + "<Bucket>bkt</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>"
        + "<NextKeyMarker>k%20</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        + "<Prefix></Prefix><EncodingType>url</EncodingType><MaxUploads>1000</MaxUploads>"
        + "<IsTruncated>true</IsTruncated><Upload><Key>k</Key><UploadId>u</UploadId>"
        + "<Initiator>\(person)</Initiator><Owner>\(person)</Owner>"
        + "<StorageClass>STANDARD</StorageClass><Initiated>2026-01-02T03:04:05.000Z</Initiated>"
        + "\(kind)</Upload><CommonPrefixes><Prefix>p%20/</Prefix></CommonPrefixes>"
        + "</ListMultipartUploadsResult>")
  }

  @Test("GetObjectAttributesResponse holds what was asked for")
  func attributes() throws {
    var attributes = S3Response.Attributes()
    #expect(
      text(S3Response.objectAttributes(attributes))
        == head + "<GetObjectAttributesResponse" + namespace + "</GetObjectAttributesResponse>")
    attributes.etag = "e-1"
    attributes.checksum = Checksum(algorithm: .crc32, bytes: [0, 0, 0, 0], partCount: 1)
    attributes.parts = S3Response.PartPage(
      total: 1, marker: 0, pageSize: 1000, next: nil,
      parts: [
        PartRow(
          number: 1, lastModified: moment, etag: "e", size: 9,
          checksum: Checksum(algorithm: .crc32, bytes: [0, 0, 0, 0]))
      ])
    attributes.storageClass = "STANDARD"
    attributes.size = 9
    #expect(
      text(S3Response.objectAttributes(attributes))
        == head + "<GetObjectAttributesResponse" + namespace
        + "<ETag>e-1</ETag><Checksum><ChecksumCRC32>AAAAAA==-1</ChecksumCRC32>"
        + "<ChecksumType>COMPOSITE</ChecksumType></Checksum><ObjectParts>"
        + "<PartsCount>1</PartsCount><PartNumberMarker>0</PartNumberMarker>"
        + "<MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated><Part>"
        + "<PartNumber>1</PartNumber><Size>9</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
        + "</ObjectParts><StorageClass>STANDARD</StorageClass><ObjectSize>9</ObjectSize>"
        + "</GetObjectAttributesResponse>")
  }
}
