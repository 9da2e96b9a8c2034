internal import Base
internal import Crypto

/// Puts a body into `aws-chunked` framing as a client does: for tests and benchmarks.
public enum ChunkedBodyEncoder {
  /// The framed body.
  ///
  /// - Parameters:
  ///   - signer: signs the chunks; nil leaves them unsigned.
  ///   - trailers: fields behind the last chunk; nil for the mode without a trailer.
  ///   - chunkBytes: payload of each chunk but the last, positive.
  public static func encode(
    _ payload: [UInt8], signer: ChunkSigner?, trailers: [(name: String, value: String)]?,
    chunkBytes: Int = 65_536
  ) -> [UInt8] {
    precondition(chunkBytes > 0, "a chunk holds something")
    var signer = signer
    var output: [UInt8] = []
    output.reserveCapacity(payload.count + payload.count / chunkBytes * 96 + 512)
    var start = 0
    repeat {
      let end = min(payload.count, start + chunkBytes)
      let chunk = payload[start..<end]
      output.append(contentsOf: String(chunk.count, radix: 16).utf8)
      if let signature = signer?.chunk(digest: Digest.hash(.sha256, chunk)) {
        output.append(contentsOf: ";chunk-signature=\(Hex.encode(signature))".utf8)
      }
      output.append(contentsOf: "\r\n".utf8)
      output.append(contentsOf: chunk)
      start = end
      if chunk.isEmpty { break }
      output.append(contentsOf: "\r\n".utf8)
    } while true
    if let trailers {
      let lines = Array(trailers.map { "\($0.name):\($0.value)\n" }.joined().utf8)
      output.append(contentsOf: trailers.map { "\($0.name):\($0.value)\r\n" }.joined().utf8)
      if let signature = signer?.trailer(lines) {
        output.append(contentsOf: "x-amz-trailer-signature:\(Hex.encode(signature))\r\n".utf8)
      }
    }
    output.append(contentsOf: "\r\n".utf8)
    return output
  }
}
