#include "platform_sha256.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA __attribute__((target("sha,sse4.1,ssse3")))
#define UNROLL _Pragma("clang loop unroll(full)")
#define FOR_EACH_LANE UNROLL for (int lane = 0; lane < lanes; lane++)

static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The instructions want the words a, b, e, f in one register and c, d, g, h in the other. */
SHA static inline void load_state(const uint32_t *state, __m128i *abef, __m128i *cdgh) {
  __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
  __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
  *abef = _mm_alignr_epi8(badc, hgfe, 8);
  *cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
}

SHA static inline void store_state(uint32_t *state, __m128i abef, __m128i cdgh) {
  __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* `lanes` is a constant of each caller, so that everything lies in registers. */
SHA static inline __attribute__((always_inline)) void compress(
    const int lanes, uint32_t *const *states, const unsigned char **bytes, size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[2], cdgh[2], message[2][4], words[2];
  FOR_EACH_LANE load_state(states[lane], &abef[lane], &cdgh[lane]);
  for (; blocks > 0; blocks--) {
    __m128i abef_before[2], cdgh_before[2];
    FOR_EACH_LANE abef_before[lane] = abef[lane], cdgh_before[lane] = cdgh[lane];
    /* Four rounds each. The schedule of four words ahead is made in two steps on the way. */
    UNROLL for (int step = 0; step < 16; step++) {
      const int now = step & 3, next = (step + 1) & 3, last = (step + 3) & 3;
      const __m128i constant = _mm_load_si128((const __m128i *)(constants + 4 * step));
      FOR_EACH_LANE {
        if (step < 4)
          message[lane][now] = _mm_shuffle_epi8(
              _mm_loadu_si128((const __m128i *)(bytes[lane] + 16 * step)), big_endian);
        words[lane] = _mm_add_epi32(message[lane][now], constant);
      }
      FOR_EACH_LANE cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], words[lane]);
      if (step >= 3 && step < 15)
        FOR_EACH_LANE {
          __m128i seven_back = _mm_alignr_epi8(message[lane][now], message[lane][last], 4);
          message[lane][next] = _mm_sha256msg2_epu32(
              _mm_add_epi32(message[lane][next], seven_back), message[lane][now]);
        }
      FOR_EACH_LANE {
        words[lane] = _mm_shuffle_epi32(words[lane], 0x0E);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], words[lane]);
      }
      if (step >= 1 && step < 13)
        FOR_EACH_LANE message[lane][last] =
            _mm_sha256msg1_epu32(message[lane][last], message[lane][now]);
    }
    FOR_EACH_LANE {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
      bytes[lane] += 64;
    }
  }
  FOR_EACH_LANE store_state(states[lane], abef[lane], cdgh[lane]);
}

SHA void platform_sha256_one(uint32_t *state, const void *bytes, size_t blocks) {
  const unsigned char *places[1] = {bytes};
  compress(1, &state, places, blocks);
}

SHA void platform_sha256_two(
    uint32_t *first_state, const void *first, uint32_t *second_state, const void *second,
    size_t blocks) {
  uint32_t *states[2] = {first_state, second_state};
  const unsigned char *places[2] = {first, second};
  compress(2, states, places, blocks);
}

int platform_sha256_is_supported(void) {
  static int known;
  int is_supported = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (is_supported == 0) {
    unsigned a, b = 0, c, d;
    __builtin_cpu_init();
    is_supported = __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3") &&
                           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) != 0
                       ? 1
                       : -1;
    __atomic_store_n(&known, is_supported, __ATOMIC_RELAXED);
  }
  return is_supported > 0;
}
#else
void platform_sha256_one(uint32_t *state, const void *bytes, size_t blocks) {
  __builtin_trap();
}

void platform_sha256_two(
    uint32_t *first_state, const void *first, uint32_t *second_state, const void *second,
    size_t blocks) {
  __builtin_trap();
}

int platform_sha256_is_supported(void) { return 0; }
#endif
