import CPlatform

extension ProcessEnvironment {
  /// Gives the allocator's free memory back to the system; takes some milliseconds.
  public static func trimAllocator() {
    platform_trim_allocator()
  }
}
