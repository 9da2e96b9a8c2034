import CPlatform

extension ProcessEnvironment {
  /// Lets the process have as many files and connections open as it may ask for. The limit that it
  /// starts with is 1024 by custom, for the sake of select(2), which nothing here calls.
  public static func raiseDescriptorLimit() {
    platform_raise_descriptor_limit()
  }

  /// How many connections the process may have open: three quarters of its descriptors. The others
  /// are left for files, so that those who are connected can be served.
  public static var connectionLimit: Int { Int(platform_connection_limit()) }
}
