#include "platform_crc64.h"

#include <string.h>

/* The polynomial with its bits in reverse, as a reflected CRC shifts to the right. */
#define POLYNOMIAL UINT64_C(0x9a6c9329ac4bc9b5)

/* tables[n][b]: the effect of byte b with n bytes after it. */
static uint64_t tables[8][256];

__attribute__((constructor)) static void fill_tables(void) {
  for (unsigned byte = 0; byte < 256; byte++) {
    uint64_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ POLYNOMIAL : value >> 1;
    tables[0][byte] = value;
  }
  for (int after = 1; after < 8; after++)
    for (unsigned byte = 0; byte < 256; byte++) {
      uint64_t value = tables[after - 1][byte];
      tables[after][byte] = tables[0][value & 255] ^ value >> 8;
    }
}

/* Works on the bare register, without the ones before and after. */
static uint64_t update_by_tables(uint64_t state, const unsigned char *bytes, size_t count) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    word ^= state;
    state = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
            tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^
            tables[2][word >> 40 & 255] ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
#endif
  for (; count > 0; bytes++, count--) state = tables[0][(state ^ *bytes) & 255] ^ state >> 8;
  return state;
}

uint64_t platform_crc64nvme_table(uint64_t previous, const void *bytes, size_t count) {
  return ~update_by_tables(~previous, bytes, count);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Folding: the message is a polynomial, its first byte the highest terms. A 16-byte run d bits
   before another may be replaced by its remainder there: the low eight bytes (higher terms) times
   x^(d+63) and the high ones times x^(d-1), both modulo the polynomial and reflected; one power
   less than the distance, because a product of reflected numbers is shifted by one bit. */
#define FOLD_128 UINT64_C(0xeadc41fd2ba3d420), UINT64_C(0x21e9761e252621ac)
#define FOLD_256 UINT64_C(0xb0bc2e589204f500), UINT64_C(0xe1e0bb9d45d7a44c)
#define FOLD_512 UINT64_C(0x0c32cdb31e18a84a), UINT64_C(0x62242240ace5045a)
#define FOLD_1024 UINT64_C(0xa1ca681e733f9c40), UINT64_C(0x5f852fb61e8d92dc)
#define FOLD_2048 UINT64_C(0x37ccd3e14069cabc), UINT64_C(0xa043808c0f782663)

#define NARROW __attribute__((target("pclmul,sse4.1")))
#define WIDE __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.1")))

NARROW static inline __m128i factors(uint64_t low, uint64_t high) {
  return _mm_set_epi64x((long long)high, (long long)low);
}

NARROW static inline __m128i load(const unsigned char *bytes) {
  return _mm_loadu_si128((const __m128i *)bytes);
}

NARROW static inline __m128i fold(__m128i value, __m128i by, __m128i onto) {
  __m128i low = _mm_clmulepi64_si128(value, by, 0x00);
  __m128i high = _mm_clmulepi64_si128(value, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

/* Folds what is left, 16 bytes at a time, and divides the last 16 and the tail by tables. */
NARROW static uint64_t finish(__m128i value, const unsigned char *bytes, size_t count) {
  __m128i by = factors(FOLD_128);
  unsigned char last[16];
  for (; count >= 16; bytes += 16, count -= 16) value = fold(value, by, load(bytes));
  _mm_storeu_si128((__m128i *)last, value);
  return update_by_tables(update_by_tables(0, last, 16), bytes, count);
}

/* Eight accumulators of 16 bytes; count is at least 128. */
NARROW static uint64_t update_narrow(uint64_t state, const unsigned char *bytes, size_t count) {
  __m128i lane[8];
  __m128i by = factors(FOLD_1024);
  for (int i = 0; i < 8; i++) lane[i] = load(bytes + 16 * i);
  lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi64_si128((long long)state));
  bytes += 128, count -= 128;
  for (; count >= 128; bytes += 128, count -= 128)
    for (int i = 0; i < 8; i++) lane[i] = fold(lane[i], by, load(bytes + 16 * i));
  by = factors(FOLD_512);
  for (int i = 0; i < 4; i++) lane[i] = fold(lane[i], by, lane[i + 4]);
  by = factors(FOLD_256);
  for (int i = 0; i < 2; i++) lane[i] = fold(lane[i], by, lane[i + 2]);
  return finish(fold(lane[0], factors(FOLD_128), lane[1]), bytes, count);
}

WIDE static inline __m512i load_wide(const unsigned char *bytes) {
  return _mm512_loadu_si512(bytes);
}

WIDE static inline __m512i fold_wide(__m512i value, __m512i by, __m512i onto) {
  __m512i low = _mm512_clmulepi64_epi128(value, by, 0x00);
  __m512i high = _mm512_clmulepi64_epi128(value, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, onto, 0x96);
}

/* Four accumulators of 64 bytes; count is at least 256. */
WIDE static uint64_t update_wide(uint64_t state, const unsigned char *bytes, size_t count) {
  __m512i lane[4];
  __m512i by = _mm512_broadcast_i32x4(factors(FOLD_2048));
  for (int i = 0; i < 4; i++) lane[i] = load_wide(bytes + 64 * i);
  lane[0] = _mm512_xor_si512(
      lane[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state)));
  bytes += 256, count -= 256;
  for (; count >= 256; bytes += 256, count -= 256)
    for (int i = 0; i < 4; i++) lane[i] = fold_wide(lane[i], by, load_wide(bytes + 64 * i));
  by = _mm512_broadcast_i32x4(factors(FOLD_512));
  for (int i = 0; i < 3; i++) lane[i + 1] = fold_wide(lane[i], by, lane[i + 1]);
  for (; count >= 64; bytes += 64, count -= 64) lane[3] = fold_wide(lane[3], by, load_wide(bytes));
  __m128i value = _mm512_extracti32x4_epi32(lane[3], 0);
  __m128i narrow = factors(FOLD_128);
  value = fold(value, narrow, _mm512_extracti32x4_epi32(lane[3], 1));
  value = fold(value, narrow, _mm512_extracti32x4_epi32(lane[3], 2));
  value = fold(value, narrow, _mm512_extracti32x4_epi32(lane[3], 3));
  return finish(value, bytes, count);
}

static int narrow_is_supported;
static int wide_is_supported;

__attribute__((constructor)) static void detect(void) {
  __builtin_cpu_init();
  narrow_is_supported = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  wide_is_supported = narrow_is_supported && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq");
}

uint64_t platform_crc64nvme_narrow(uint64_t previous, const void *bytes, size_t count) {
  if (!narrow_is_supported || count < 128) return platform_crc64nvme_table(previous, bytes, count);
  return ~update_narrow(~previous, bytes, count);
}

uint64_t platform_crc64nvme(uint64_t previous, const void *bytes, size_t count) {
  if (!wide_is_supported || count < 256) return platform_crc64nvme_narrow(previous, bytes, count);
  return ~update_wide(~previous, bytes, count);
}
#else
uint64_t platform_crc64nvme_narrow(uint64_t previous, const void *bytes, size_t count) {
  return platform_crc64nvme_table(previous, bytes, count);
}

uint64_t platform_crc64nvme(uint64_t previous, const void *bytes, size_t count) {
  return platform_crc64nvme_table(previous, bytes, count);
}
#endif
