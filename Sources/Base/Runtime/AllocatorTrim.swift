import CPlatform

extension ProcessEnvironment {
  /// Gives the allocator's free memory back to the system; takes some milliseconds.
  public static func trimAllocator() {
    platform_trim_allocator()
  }

  /// Bytes of memory that the process has; 0 where the system does not tell.
  public static var residentBytes: Int { Int(platform_resident_bytes()) }
}
