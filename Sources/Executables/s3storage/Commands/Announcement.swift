import Access
import Disk
import HTTPServer
import Runtime

/// What a newcomer reads after the start.
enum Announcement {
  static func show(_ gateway: Gateway, _ server: HTTPServer, _ configuration: Configuration) {
    let scheme = configuration["TLS_CERT"].isEmpty ? "http" : "https"
    let ports = server.addresses.map { Int($0.port) }
    var text = """

      s3storage \(CommandLineTool.version) is serving.
        S3 API      \(scheme)://127.0.0.1:\(ports[0])   region \(configuration["S3_REGION"])
        Files API   \(scheme)://127.0.0.1:\(ports[1])
        Admin API   \(scheme)://127.0.0.1:\(ports[2])

      """
    if let keys = gateway.rootKeys {
      text += """

        Root credentials, shown this once:
          AWS_ACCESS_KEY_ID=\(keys.id)
          AWS_SECRET_ACCESS_KEY=\(keys.secret)

        """
    }
    if gateway.keys.isNew {
      text += """

        A master key was made: \(gateway.masterKey.path.text)
        Without it nothing can be read. Keep a copy elsewhere: s3storage admin key export

        """
    }
    Terminal.out(text + "\n")
  }
}
