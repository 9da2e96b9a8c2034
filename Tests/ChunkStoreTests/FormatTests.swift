import Base
import Crypto
import Disk
import Runtime
import TestSupport
import Testing

@testable import ChunkStore

/// Format 1 as bytes. The digests were computed by a second implementation of `docs/format.md`:
/// they never change while format 1 is read.
@Suite struct FormatTests {
  private let extent = ExtentID(high: 0x1011_1213_1415_1617, low: 0x1819_1a1b_1c1d_1e1f)
  private let cluster = ClusterID(high: 0x2021_2223_2425_2627, low: 0x2829_2a2b_2c2d_2e2f)
  private let storeID = StoreID(high: 0x3031_3233_3435_3637, low: 0x3839_3a3b_3c3d_3e3f)

  private func store(_ system: LossyFileSystem) throws -> LocalChunkStore {
    try LocalChunkStore.create(
      directory: "/store", fileSystem: system, cluster: cluster, store: storeID)
    return try LocalChunkStore.open(
      directory: "/store", fileSystem: system, cluster: cluster,
      options: StoreHarness.smallOptions)
  }

  private func sample(
    _ index: UInt8, length: Int
  ) -> (header: ChunkHeader, buffer: AlignedBuffer, trailer: ChunkTrailer) {
    let id = ChunkID(extent: extent, index: index)
    let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 256) }
    let buffer = AlignedBuffer(count: length)
    buffer.copy(bytes)
    let digester = ChunkDigester(id: id)
    // In odd pieces: the table does not depend on how the data comes.
    for start in stride(from: 0, to: length, by: 10_007) {
      bytes[start..<min(start + 10_007, length)].withUnsafeBytes { digester.append($0) }
    }
    let trailer = digester.finish(
      extentLength: length * 4 - 100, storedLength: length * 4 - 20,
      wrappedKey: Array("wrapped key".utf8), descriptor: Array("descriptor".utf8))
    return (ChunkHeader(id: id, scheme: .standard, cluster: cluster), buffer, trailer)
  }

  private func digest(_ bytes: [UInt8]?) -> String {
    Hex.encode(Digest.hash(.sha256, bytes ?? []))
  }

  @Test("a chunk file is frozen")
  func chunkFile() async throws {
    let system = LossyFileSystem()
    let store = try store(system)
    let sample = sample(3, length: 200_000)
    let writer = try await store.beginChunk(sample.header)
    try await writer.append(sample.buffer, 0..<200_000)
    try await writer.finish(sample.trailer)
    let file = system.contents(
      "/store/chunks/101112131415/101112131415161718191a1b1c1d1e1f-3")
    #expect(file?.count == 208_896)
    #expect(digest(file) == "18b551f62cc6b9acc061906fcc81661249cf5230a48b0361364540dd65a4e740")
    #expect(
      Hex.encode(file?.prefix(52) ?? [])
        == "53334348554e4b310100000003040200202122232425262728292a2b2c2d2e2f"
        + "101112131415161718191a1b1c1d1e1f00000000")
    #expect(
      Hex.encode(file?.suffix(32) ?? [])
        == "5333434b454e443100200300000000007500000001000000000000001cbb4f63")
  }

  @Test("a volume and the index are frozen")
  func volume() async throws {
    let system = LossyFileSystem()
    let store = try store(system)
    let sample = sample(1, length: 6400)
    try await store.putSmall(
      sample.header, data: sample.buffer, range: 0..<6400, trailer: sample.trailer)
    try await store.checkpoint(always: true)
    #expect(
      digest(system.contents("/store/volumes/index"))
        == "136e79b5798d163efed75f94c78383f0787e094f99da42cd69d7a257a43c5924")
    let volume = system.contents("/store/volumes/00000001")
    #expect(
      Hex.encode(volume?.prefix(128) ?? [])
        == "5333565201000000000000000000000000000000000000000000000000000000"
        + "40000000000000000000000000000000010000000000000001000000bcd5cd7f"
        + "5333565202010402101112131415161718191a1b1c1d1e1f6900000000190000"
        + "c019000000000000000000000000000001000000000000000000000033467b2c")
  }

  @Test("a volume with a chunk and its delete record is frozen to the last byte")
  func wholeVolume() async throws {
    let system = LossyFileSystem()
    let store = try store(system)
    let sample = sample(1, length: 6400)
    try await store.putSmall(
      sample.header, data: sample.buffer, range: 0..<6400, trailer: sample.trailer)
    try await store.delete([sample.header.id])
    let volume = system.contents("/store/volumes/00000001")
    #expect(volume?.count == 12_288)
    #expect(
      digest(volume) == "b3a90a3470066f014a409f347e89b53e3d2a01cbb24d6bbdb39a43e5f2c35434")
  }

  @Test("a trailer is frozen")
  func trailer() throws {
    let sample = sample(1, length: 6400)
    let bytes = sample.trailer.encoded(for: sample.header.id)
    #expect(
      Hex.encode(bytes)
        == "53334354010000009c63000000000000ec6300000000000000190000000000001f2b3c7f11207a5d"
        + "11523e2a1afb8ec39a32dac42e9c2b49b6f8b52941ef2d3f01000000b0517cf90b00000077726170"
        + "706564206b65790a00000064657363726970746f729eae61b9")
    #expect(try ChunkTrailer(decoding: bytes, of: sample.header.id) == sample.trailer)
    // The trailer of one chunk is not that of another.
    #expect(throws: FormatError.self) {
      try ChunkTrailer(decoding: bytes, of: ChunkID(extent: extent, index: 2))
    }
  }

  @Test("no decoder takes changed, cut or random bytes, and none traps")
  func decoders() throws {
    let random = SeededRandom(seed: SystemRandom().next())
    let sample = sample(1, length: 70_016)
    let id = sample.header.id
    let location = RecordLocation(volume: 3, offset: 640)
    let record = RecordHeader.chunk(
      id, scheme: .standard, trailerLength: 120, dataLength: 6400, batch: 9)
    let decoders: [(name: String, valid: [UInt8], decode: ([UInt8]) throws -> Void)] = [
      (
        "trailer", sample.trailer.encoded(for: id),
        { _ = try ChunkTrailer(decoding: $0, of: id) }
      ),
      (
        "start page", ChunkFileFormat.startPage(sample.header),
        { _ = try ChunkFileFormat.header(fromStartPage: $0) }
      ),
      (
        "footer", ChunkFileFormat.footer(dataLength: 70_016, trailerLength: 117),
        { _ = try ChunkFileFormat.trailerRange(footer: $0, fileLength: 81_920) }
      ),
      (
        "record header", record.encoded(store: storeID, at: location),
        { [storeID] in _ = try RecordHeader(decoding: $0, store: storeID, at: location) }
      ),
    ]
    for decoder in decoders {
      #expect(throws: Never.self, "\(decoder.name)") { try decoder.decode(decoder.valid) }
      for round in 0..<3000 {
        var bytes = decoder.valid
        switch round % 4 {
        case 0: bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
        case 1: bytes.removeLast(1 + Int(random.next() % UInt64(bytes.count)))
        case 2: bytes = random.bytes(Int(random.next() % 200))
        default: bytes += random.bytes(1 + Int(random.next() % 40))
        }
        #expect(throws: FormatError.self, "\(decoder.name)") { try decoder.decode(bytes) }
      }
    }
  }

  @Test("store.json is read in any order and spacing, and nothing else is")
  func storeDescription() throws {
    let description = StoreDescription(cluster: cluster, store: storeID)
    #expect(try StoreDescription(decoding: description.encoded) == description)
    let text = "\t{ \"store\":\"\(storeID)\" ,\n\"cluster\" : \"\(cluster)\",\"format\":1 } "
    #expect(try StoreDescription(decoding: Array(text.utf8)) == description)
    let random = SeededRandom(seed: 3)
    for _ in 0..<2000 {
      var bytes = description.encoded
      let position = Int(random.next() % UInt64(bytes.count - 1))
      bytes[position] = UInt8(truncatingIfNeeded: random.next())
      let decoded = try? StoreDescription(decoding: bytes)
      // A digit may have become another one; nothing may have trapped.
      #expect(decoded == nil || decoded?.encoded.count == description.encoded.count)
    }
  }

  @Test("a damaged file is corrupt or reads as it was; nothing traps", arguments: [6400, 200_000])
  func damagedChunks(length: Int) async throws {
    let system = LossyFileSystem()
    let store = try store(system)
    let sample = sample(1, length: length / 64 * 64)
    let length = length / 64 * 64
    let path: String
    if length < 131_072 {
      try await store.putSmall(
        sample.header, data: sample.buffer, range: 0..<length, trailer: sample.trailer)
      path = "/store/volumes/00000001"
    } else {
      let writer = try await store.beginChunk(sample.header)
      try await writer.append(sample.buffer, 0..<length)
      try await writer.finish(sample.trailer)
      path = "/store/chunks/101112131415/101112131415161718191a1b1c1d1e1f-1"
    }
    await store.shutdown()
    let whole = try #require(system.contents(path))
    let random = SeededRandom(seed: SystemRandom().next())
    for round in 0..<120 {
      var bytes = whole
      switch round % 3 {
      case 0:
        bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
      case 1:
        bytes.removeLast(1 + Int(random.next() % UInt64(bytes.count)))
      default:
        let start = Int(random.next() % UInt64(bytes.count))
        for offset in start..<min(start + 512, bytes.count) {
          bytes[offset] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      let copy = system.afterCrash()
      copy.replace(path, with: bytes)
      if round % 2 == 0 { try? copy.delete(DiskPath("/store/volumes/index", kind: "index")) }
      let opened = try LocalChunkStore.open(
        directory: "/store", fileSystem: copy, cluster: cluster,
        options: StoreHarness.smallOptions)
      do throws(ChunkStoreError) {
        let read = try await readAll(sample.header.id, from: opened)
        #expect(read == sample.buffer.bytes(0..<length))
      } catch {
        #expect(error == .missing || { if case .corrupt = error { true } else { false } }())
      }
    }
  }

  @Test("the file of another chunk, under this one's name, is corrupt")
  func swappedFiles() async throws {
    let system = LossyFileSystem()
    let store = try store(system)
    for index in [UInt8(1), 2] {
      let sample = sample(index, length: 200_000)
      let writer = try await store.beginChunk(sample.header)
      try await writer.append(sample.buffer, 0..<200_000)
      try await writer.finish(sample.trailer)
    }
    let directory = "/store/chunks/101112131415/101112131415161718191a1b1c1d1e1f-"
    let first = try #require(system.contents(directory + "1"))
    system.replace(directory + "2", with: first)
    let error = await failure {
      try await store.openChunk(ChunkID(extent: extent, index: 2))
    }
    if case .corrupt = error {} else { Issue.record("\(String(describing: error))") }
  }

  @Test("positions of a list come back from their bytes, and nothing else does")
  func positions() throws {
    let id = ChunkID(extent: extent, index: 5)
    for position in [
      ChunkListPosition(area: .volumes, last: id), ChunkListPosition(area: .files, last: nil),
    ] {
      #expect(try ChunkListPosition(bytes: position.bytes) == position)
      #expect(throws: FormatError.self) { try ChunkListPosition(bytes: position.bytes + [0]) }
    }
    #expect(throws: FormatError.self) { try ChunkListPosition(bytes: []) }
    #expect(throws: FormatError.self) { try ChunkListPosition(bytes: [2]) }
  }
}
