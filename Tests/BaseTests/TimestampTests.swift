import Base
import Testing

@Suite("Times as text")
struct TimestampTests {
  @Test("the example of RFC 9110 §5.6.7 comes out in its three forms")
  func httpDates() throws {
    let time = Timestamp(seconds: 784_111_777)
    #expect(time.httpDate == "Sun, 06 Nov 1994 08:49:37 GMT")
    for text in [
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
    ] {
      #expect(Timestamp(httpDate: text) == time, "\(text)")
    }
  }

  @Test(
    "what is no date is refused",
    arguments: [
      "", "Sun", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 99999 08:49:37 GMT", "06 Nov 1994",
    ])
  func httpRefusals(text: String) {
    #expect(Timestamp(httpDate: text) == nil)
  }

  @Test("every day of four centuries comes back")
  func days() {
    for day in stride(from: -60_000, through: 90_000, by: 1) {
      let time = Timestamp(seconds: Int64(day) * 86_400 + 3_723)
      #expect(Timestamp(basicISO8601: time.basicISO8601) == time)
    }
  }

  @Test("ISO 8601 with and without milliseconds")
  func iso() {
    let time = Timestamp(milliseconds: 1_767_323_045_678)
    #expect(time.iso8601 == "2026-01-02T03:04:05.678Z")
    #expect(Timestamp(iso8601: "2026-01-02T03:04:05.678Z") == time)
    #expect(Timestamp(iso8601: "2026-01-02T03:04:05Z") == Timestamp(seconds: 1_767_323_045))
    #expect(Timestamp(iso8601: "2026-01-02") == Timestamp(seconds: 1_767_312_000))
    for text in ["2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05.Z"] {
      #expect(Timestamp(iso8601: text) == nil)
    }
  }
}
