import FilesAPI
import Foundation
import Testing

/// The document that is served and the one that is read.
struct OpenAPITests {
  @Test("The served document is docs/openapi.yaml; scripts/openapi.py brings them together")
  func sameDocument() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = try Data(contentsOf: root.appending(path: "docs/openapi.yaml"))
    #expect(Array(file) == OpenAPIDocument.bytes)
  }
}
