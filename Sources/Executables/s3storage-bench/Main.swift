import Base
import Crypto
import Glibc
import Runtime

/// Prints, as JSON, what this machine's parts cost by themselves: the floors that the server's
/// figures are set beside.
///
///     s3storage-bench [directory] [MiB]
///     s3storage-bench sql [DATABASE_URL]
///     s3storage-bench chunk-server memory|DIRECTORY [directory of certificates]
///     s3storage-bench chunk-client PORT MiB [directory of certificates]
///     s3storage-bench library-server [directory of certificates]
///     s3storage-bench library-client PORT MiB [directory of certificates]
///
/// `chunk-server` serves chunks, `library-server` what the RPC library does by itself; both print
/// their port and serve until their standard input ends.
@main
enum Main {
  static func main() async {
    let arguments = Array(CommandLine.arguments.dropFirst())
    // As servers do.
    _ = CipherAcceleration.install()
    if arguments.first == "sql" { return await sql(arguments.dropFirst().first) }
    if arguments.first == "chunk-server" { return await serve(Array(arguments.dropFirst())) }
    if arguments.first == "library-server" {
      return await serveLibrary(arguments.dropFirst().first)
    }
    if let first = arguments.first, first == "chunk-client" || first == "library-client" {
      return await call(Array(arguments.dropFirst()), library: first == "library-client")
    }
    let directory = arguments.first ?? "."
    guard let mebibytes = arguments.count > 1 ? Int(arguments[1]) : 512, (8...65_536) ~= mebibytes
    else { return fail("usage: s3storage-bench [directory] [MiB, 8 to 65536]") }
    do {
      let disk = try DiskFloors.measure(directory: directory, byteCount: mebibytes << 20)
      let processor = try ProcessorFloors.measure(byteCount: mebibytes << 20)
      let fields = (disk + processor).map { floor in
        "  \"\(floor.name)\": {\"cpu_seconds_per_gib\": \(text(floor.processorSeconds)), "
          + "\"mib_per_second\": \(text(floor.rate))}"
      }
      write("{\n" + fields.joined(separator: ",\n") + "\n}\n", to: 1)
    } catch {
      fail("the directory cannot be measured: \(error)")
    }
  }

  private static func sql(_ argument: String?) async {
    guard let url = argument ?? ProcessEnvironment.variables["DATABASE_URL"] else {
      return fail("usage: s3storage-bench sql DATABASE_URL")
    }
    do {
      write(try await SQLFigures.run(url: url), to: 1)
    } catch {
      fail("the database cannot be measured: \(error)")
    }
  }

  private static func serve(_ arguments: [String]) async {
    guard let place = arguments.first else {
      return fail("usage: s3storage-bench chunk-server memory|DIRECTORY [certificates]")
    }
    ProcessEnvironment.tuneAllocator()
    do {
      try await ChunkServiceFigures.serve(
        directory: place == "memory" ? nil : place, tls: arguments.count > 1 ? arguments[1] : nil
      ) { write("\($0)\n", to: 1) }
    } catch {
      fail("the chunk service cannot be served: \(error)")
    }
  }

  private static func serveLibrary(_ tls: String?) async {
    ProcessEnvironment.tuneAllocator()
    do {
      try await LibraryFloor.serve(
        identity: tls.map { try BenchCertificates.identity($0, "server") }
      ) { write("\($0)\n", to: 1) }
    } catch {
      fail("the library cannot be served: \(error)")
    }
  }

  private static func call(_ arguments: [String], library: Bool) async {
    guard arguments.count >= 2, let port = Int(arguments[0]), (1...65_535) ~= port,
      let mebibytes = Int(arguments[1]), (256...65_536) ~= mebibytes
    else {
      return fail(
        "usage: s3storage-bench chunk-client|library-client PORT MiB, 256 to 65536 [certificates]")
    }
    ProcessEnvironment.tuneAllocator()
    do {
      let tls = arguments.count > 2 ? arguments[2] : nil
      let figures =
        library
        ? try await LibraryFloor.measure(
          port: port, byteCount: mebibytes << 20,
          identity: tls.map { try BenchCertificates.identity($0, "gateway") },
          name: ClusterNames.server(ChunkServiceFigures.server))
        : try await ChunkServiceFigures.measure(port: port, byteCount: mebibytes << 20, tls: tls)
      let fields = figures.map { "  \"\($0.name)\": \(text($0.value))" }
      write("{\n" + fields.joined(separator: ",\n") + "\n}\n", to: 1)
    } catch {
      fail("the service cannot be measured: \(error)")
    }
  }

  /// Three digits after the point.
  private static func text(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    let rest = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }

  private static func fail(_ message: String) {
    write(message + "\n", to: 2)
    exit(1)
  }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count <= 0 { return }
      done += count
    }
  }
}
