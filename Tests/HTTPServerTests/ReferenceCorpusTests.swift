import HTTPServer
import Testing

/// The reference corpus that servers were compared with: 53 requests that must be refused, 44 other
/// checks that must come out right. Here is which test holds each, so that none is lost.
@Suite("Reference corpus")
struct ReferenceCorpusTests {
  private static let refused = [
    "CL+TE", "TE+CL", "dup CL differing", "dup CL same", "CL list 3, 3", "CL +3", "CL -1", "CL 0x3",
    "CL 3 4", "CL empty", "CL overflow 2^64+3", "TE xchunked", "TE chunked, identity",
    "TE identity", "TE gzip, chunked", "TE twice", "TE \"chunked\" VT", "TE in HTTP/1.0",
    "space before colon", "CL space before colon", "bare LF line ends", "bare LF one header",
    "bare CR in value", "bare CR as line end", "obs-fold", "obs-fold TE", "NUL in value",
    "NUL in name", "NUL in target", "CTL in value", "space in target", "tab separator", "no Host",
    "two Hosts", "HTTP/2.0 version", "HTTP/1.10", "version http/1.1", "no version (0.9)",
    "bad method", "empty name", "line without colon", "first header folded", "chunk size 0x3",
    "chunk size -1", "chunk size +3", "chunk size \" 3\"", "chunk size overflow",
    "chunk bare LF size", "chunk data no CRLF", "chunk data bare LF", "chunk ext with LF",
    "chunk last bare LF", "chunk empty size",
  ]

  /// Cases of `AcceptanceCase.all`.
  private static let answered = [
    "lower/upper hex chunks", "TE Chunked (case)", "trailers", "pipelined 3", "pipelined PUT+GET",
    "pipelined chunked+GET", "HTTP/1.0 close", "leading CRLF", "absolute-form",
    "method DELETE w/o body", "unknown method token", "Connection: close", "obs-text in value",
    "empty header value", "value trimmed",
  ]

  /// Checks that have a test of their own, which is named so that it cannot go unnoticed.
  private static var others: [(check: String, test: Any)] {
    [
      ("HEAD", AcceptanceTests.answersHead), ("HEAD stream", AcceptanceTests.answersHead),
      ("100-continue granted", BodyTests.grantsContinue),
      ("100-continue early 403", BodyTests.refusesBeforeContinue),
      ("early 403, body anyway", BodyTests.answersEarly),
      ("answer within a 2 GB body", BodyTests.answersEarly),
      ("1 MB header", AcceptanceTests.boundsHeads), ("1 MB target", AcceptanceTests.boundsHeads),
      ("20000 headers", AcceptanceTests.boundsHeads),
      ("head byte by byte", AcceptanceTests.takesSingleBytes),
      ("chunked byte by byte", AcceptanceTests.takesSingleBytes),
      ("32 slow readers of 1 GiB", PressureTests.slowReaders),
      ("16 fast uploads, slow handler", PressureTests.fastUploads),
      ("disconnect noticed", BodyTests.noticesTruncation),
      ("disconnect noticed (chunked)", BodyTests.noticesTruncation),
      ("slow head cut off", LifecycleTests.boundsSlowHeads),
    ]
  }

  @Test("All 53 requests that must be refused are in the corpus, and nothing else is")
  func refusals() {
    #expect(Self.refused.count == 53 && Set(Self.refused).count == 53)
    #expect(RefusalCase.all.map(\.name).sorted() == Self.refused.sorted())
    #expect(RefusalCase.all.allSatisfy { [400, 501, 505].contains($0.status) })
  }

  @Test("All 44 other checks are held by a test")
  func right() {
    let names = Set(AcceptanceCase.all.map(\.name))
    #expect(Self.answered.allSatisfy(names.contains) && Set(Self.answered).count == 15)
    #expect(Set(AcceptanceCase.targets).count == 13)
    #expect(Set(Self.others.map(\.check)).count == 16)
    #expect(Self.answered.count + AcceptanceCase.targets.count + Self.others.count == 44)
  }
}
