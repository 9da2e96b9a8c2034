#ifndef S3STORAGE_PLATFORM_VECTOR_H
#define S3STORAGE_PLATFORM_VECTOR_H

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx"))) static inline void platform_clear_upper_halves_by_avx(void) {
  _mm256_zeroupper();
}
#endif

/* Clears the upper halves of the vector registers, which ISA-L leaves as they are: while they hold
   something, instructions of the SSE era (SHA, above all) take up to twice and a half as long. */
static inline void platform_clear_upper_halves(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx")) platform_clear_upper_halves_by_avx();
#endif
}

#endif
