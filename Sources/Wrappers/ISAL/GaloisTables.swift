internal import CISAL
internal import CPlatform

/// Multiplication tables for one matrix: `rows` output blocks out of `columns` input blocks.
///
/// Immutable after its creation, hence usable from any thread.
@safe
final class GaloisTables: @unchecked Sendable {
  let columns: Int
  let rows: Int
  private let tables: UnsafeMutablePointer<UInt8>

  /// Precondition: `coefficients` has `rows` × `columns` bytes, row by row.
  init(columns: Int, rows: Int, coefficients: [UInt8]) {
    precondition(coefficients.count == columns * rows, "one coefficient for each pair of blocks")
    self.columns = columns
    self.rows = rows
    unsafe tables = .allocate(capacity: max(1, 32 * columns * rows))
    guard rows > 0 else { return }
    var coefficients = coefficients
    unsafe coefficients.withUnsafeMutableBufferPointer { coefficients in
      unsafe ec_init_tables(Int32(columns), Int32(rows), coefficients.baseAddress, tables)
    }
  }

  deinit {
    unsafe tables.deallocate()
  }

  /// Computes every output block from the input blocks; all have the same length.
  func apply(
    _ inputs: [UnsafeRawBufferPointer], to outputs: [UnsafeMutableRawBufferPointer]
  ) throws(ErasureError) {
    guard unsafe inputs.count == columns, unsafe outputs.count == rows,
      let length = unsafe inputs.first?.count, length <= Int32.max,
      unsafe inputs.allSatisfy({ $0.count == length }),
      unsafe outputs.allSatisfy({ $0.count == length })
    else { throw .mismatchedBlocks }
    guard rows > 0, length > 0 else { return }
    defer { platform_clear_upper_halves() }
    var sources = unsafe inputs.map {
      unsafe Self.pointer(UnsafeMutableRawBufferPointer(mutating: $0))
    }
    var targets = unsafe outputs.map { unsafe Self.pointer($0) }
    unsafe sources.withUnsafeMutableBufferPointer { sources in
      unsafe targets.withUnsafeMutableBufferPointer { targets in
        unsafe ec_encode_data(
          Int32(length), Int32(columns), Int32(rows), tables, sources.baseAddress,
          targets.baseAddress)
      }
    }
  }

  private static func pointer(
    _ block: UnsafeMutableRawBufferPointer
  ) -> UnsafeMutablePointer<UInt8>? {
    unsafe block.baseAddress?.assumingMemoryBound(to: UInt8.self)
  }
}
