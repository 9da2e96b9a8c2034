internal import CPlatform

/// The thread that runs just now.
public enum CurrentThread {
  /// Sets the name that it carries in a profile: the first 15 bytes of `name`.
  public static func setName(_ name: String) {
    unsafe platform_name_thread(String(decoding: name.utf8.prefix(15), as: UTF8.self))
  }
}
