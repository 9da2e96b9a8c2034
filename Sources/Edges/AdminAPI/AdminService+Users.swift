import Access
import Base
import HTTPServer
import Metadata

extension AdminService {
  /// `users` and what is below it.
  func users(_ call: AdminCall) async throws -> HTTPResponse {
    switch (call.method, call.path.count) {
    case (.get, 1):
      let users = try await access.users()
      return AdminResponse.json(200, ["users": .array(users.map(Self.user))])
    case (.post, 1): return try await createUser(call)
    case (.post, 3) where call.path[2] == "disable": return try await setDisabled(call, true)
    case (.post, 3) where call.path[2] == "enable": return try await setDisabled(call, false)
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
  }

  private func createUser(_ call: AdminCall) async throws -> HTTPResponse {
    try call.allow(["name", "email", "role"])
    let role: User.Role
    switch try call.text("role") ?? User.Role.user.rawValue {
    case User.Role.user.rawValue: role = .user
    case User.Role.administrator.rawValue: role = .administrator
    default: throw AdminError.badRequest("role is user or administrator")
    }
    let email = try call.text("email")
    if let email {
      guard (3...254).contains(email.utf8.count), email.contains("@"),
        email.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7f })
      else { throw AdminError.badRequest("email is a mail address") }
    }
    let user = try await access.createUser(
      name: try call.required("name"), email: email, role: role)
    return AdminResponse.json(201, Self.user(user))
  }

  private func setDisabled(_ call: AdminCall, _ isDisabled: Bool) async throws -> HTTPResponse {
    let name = call.path[1]
    guard !isDisabled || name != call.identity.user.name else {
      throw AdminError(409, "conflict", "nobody can disable the own user")
    }
    try await access.setDisabled(name, isDisabled)
    return AdminResponse.json(200, Self.user(try await access.user(named: name)))
  }

  private static func user(_ user: User) -> JSONValue {
    [
      "name": .string(user.name), "email": JSONValue(user.email),
      "role": .string(user.role.rawValue), "disabled": .bool(user.isDisabled),
      "created_at": .string(user.created.iso8601),
    ]
  }
}
