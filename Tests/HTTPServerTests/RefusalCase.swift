import Testing

/// Requests that must be refused: what two servers could read differently, and what is no request.
struct RefusalCase: Sendable, CustomTestStringConvertible {
  let name: String
  let request: String
  /// The status of the one answer; the connection ends behind it.
  let status: Int
  var testDescription: String { name }

  init(_ name: String, _ request: String, _ status: Int = 400) {
    self.name = name
    self.request = request
    self.status = status
  }

  static let all = framing + heads + chunks

  private static let framing: [RefusalCase] = [
    RefusalCase(
      "CL+TE",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"),
    RefusalCase(
      "TE+CL",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "Content-Length: 6\r\n\r\n0\r\n\r\nX"),
    RefusalCase(
      "dup CL differing",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        + "Content-Length: 5\r\n\r\nabcde"),
    RefusalCase(
      "dup CL same",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        + "Content-Length: 3\r\n\r\nabc"),
    RefusalCase(
      "CL list 3, 3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n"
        + "\r\nabc"),
    RefusalCase(
      "CL +3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n"
        + "\r\nabc"),
    RefusalCase(
      "CL -1",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n"
        + "\r\nabc"),
    RefusalCase(
      "CL 0x3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n"
        + "\r\nabc"),
    RefusalCase(
      "CL 3 4",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3 4\r\n"
        + "\r\nabcd"),
    RefusalCase(
      "CL empty",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n"
        + "\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "CL overflow 2^64+3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551619\r\n"
        + "\r\nabc"),
    RefusalCase(
      "TE xchunked",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n"
        + "\r\n0\r\n\r\n", 501),
    RefusalCase(
      "TE chunked, identity",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n"
        + "\r\n0\r\n\r\n", 501),
    RefusalCase(
      "TE identity",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n"
        + "\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    RefusalCase(
      "TE gzip, chunked",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n"
        + "\r\n0\r\n\r\n", 501),
    RefusalCase(
      "TE twice",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    RefusalCase(
      "TE \"chunked\" VT",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \u{b}chunked\r\n"
        + "\r\n0\r\n\r\n"),
    RefusalCase(
      "TE in HTTP/1.0",
      "PUT /sink HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n0\r\n\r\n"),
    RefusalCase(
      "space before colon",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n"
        + "\r\n0\r\n\r\n"),
    RefusalCase(
      "CL space before colon",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n"
        + "\r\nabc"),
  ]

  private static let heads: [RefusalCase] = [
    RefusalCase(
      "bare LF line ends",
      "GET /small HTTP/1.1\nHost: x\n\n"),
    RefusalCase(
      "bare LF one header",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n"
        + "\r\n"),
    RefusalCase(
      "bare CR in value",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n"
        + "\r\n"),
    RefusalCase(
      "bare CR as line end",
      "GET /echo HTTP/1.1\rHost: x\r\r"),
    RefusalCase(
      "obs-fold",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n"
        + "\r\n"),
    RefusalCase(
      "obs-fold TE",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n"
        + " chunked\r\n\r\n0\r\n\r\n", 501),
    RefusalCase(
      "NUL in value",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"),
    RefusalCase(
      "NUL in name",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n"),
    RefusalCase(
      "NUL in target",
      "GET /echo\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "CTL in value",
      "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\u{1}c\r\n"
        + "\r\n"),
    RefusalCase(
      "space in target",
      "GET /echo x HTTP/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "tab separator",
      "GET\t/echo\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "no Host",
      "GET /small HTTP/1.1\r\n\r\n"),
    RefusalCase(
      "two Hosts",
      "GET /small HTTP/1.1\r\nHost: x\r\nHost: y\r\n"
        + "\r\n"),
    RefusalCase(
      "HTTP/2.0 version",
      "GET /small HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    RefusalCase(
      "HTTP/1.10",
      "GET /small HTTP/1.10\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "version http/1.1",
      "GET /small http/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "no version (0.9)",
      "GET /small\r\n\r\n"),
    RefusalCase(
      "bad method",
      "G(T /small HTTP/1.1\r\nHost: x\r\n\r\n"),
    RefusalCase(
      "empty name",
      "GET /echo HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
    RefusalCase(
      "line without colon",
      "GET /echo HTTP/1.1\r\nHost: x\r\nAbc\r\n\r\n"),
    RefusalCase(
      "first header folded",
      "GET /echo HTTP/1.1\r\n Host: x\r\nHost: x\r\n"
        + "\r\n"),
  ]

  private static let chunks: [RefusalCase] = [
    RefusalCase(
      "chunk size 0x3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk size -1",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n-1\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk size +3",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n+3\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk size \" 3\"",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n 3\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk size overflow",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n10000000000000003\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk bare LF size",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n3\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk data no CRLF",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n3\r\nabcXX0\r\n\r\n"),
    RefusalCase(
      "chunk data bare LF",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n3\r\nabc\n0\r\n\r\n"),
    RefusalCase(
      "chunk ext with LF",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n3;a\nb\r\nabc\r\n0\r\n\r\n"),
    RefusalCase(
      "chunk last bare LF",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n3\r\nabc\r\n0\n\n"),
    RefusalCase(
      "chunk empty size",
      "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "\r\n\r\nabc\r\n0\r\n\r\n"),
  ]
}
