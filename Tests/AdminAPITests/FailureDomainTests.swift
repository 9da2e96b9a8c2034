import Erasure
import Testing

@testable import AdminAPI

/// What can be lost, judged by where stores really are.
struct FailureDomainTests {
  @Test(
    "Losses that are survived",
    arguments: [
      ([6], 2, 0, "six stores, one device: no protection against its loss"),
      ([1, 1, 1, 1, 1, 1], 2, 2, "six stores, six devices: any two devices can be lost"),
      ([2, 2, 2], 2, 1, "six stores, three devices: any one device can be lost"),
      ([3, 3], 2, 0, "six stores, two devices: not everything survives the loss of a device"),
      ([5, 1], 2, 0, "six stores, two devices: not everything survives the loss of a device"),
      ([1, 1, 1], 1, 1, "three stores, three devices: any one device can be lost"),
      ([1], 0, 0, "one store, one device: no protection against its loss"),
      ([12], 2, 0, "12 stores, one device: no protection against its loss"),
      ([], 0, 0, "no stores, no devices: no protection against its loss"),
    ])
  func losses(_ perDevice: [Int], _ stores: Int, _ devices: Int, _ summary: String) {
    let domain = FailureDomain(storesPerDevice: perDevice, scheme: .standard)
    #expect(domain.tolerableStores == stores)
    #expect(domain.tolerableDevices == devices)
    #expect(domain.summary == summary)
  }

  @Test("Without parity nothing can be lost")
  func noParity() throws {
    let scheme = try ErasureScheme(text: "1+0")
    let domain = FailureDomain(storesPerDevice: [1, 1], scheme: scheme)
    #expect(domain.tolerableStores == 0 && domain.tolerableDevices == 0)
  }
}
