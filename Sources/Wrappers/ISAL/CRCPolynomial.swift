/// Arithmetic modulo the polynomial of a reflected CRC: the highest bit is the term of x^0.
struct CRCPolynomial<Word: FixedWidthInteger & UnsignedInteger> {
  private let polynomial: Word

  /// Takes the polynomial without its leading term, its bits in reverse.
  init(reflected polynomial: Word) {
    self.polynomial = polynomial
  }

  /// The checksum `crc` as if `count` zero bytes had followed, without the inversions.
  ///
  /// Costs one multiplication for each bit of `count`. Precondition: `count` is not negative.
  func shift(_ crc: Word, byBytes count: Int) -> Word {
    precondition(count >= 0, "a length is not negative")
    var result = crc
    // x^8, squared once for each bit of the count.
    var power = Word(1) << Word(Word.bitWidth - 9)
    var rest = UInt(count)
    while rest > 0 {
      if rest & 1 == 1 { result = multiply(power, result) }
      power = multiply(power, power)
      rest >>= 1
    }
    return result
  }

  private func multiply(_ left: Word, _ right: Word) -> Word {
    var product: Word = 0
    var left = left
    var right = right
    while left != 0 {
      if left.leadingZeroBitCount == 0 { product ^= right }
      left <<= 1
      right = right & 1 == 1 ? right >> 1 ^ polynomial : right >> 1
    }
    return product
  }
}
