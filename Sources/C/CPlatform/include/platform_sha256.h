#ifndef S3STORAGE_PLATFORM_SHA256_H
#define S3STORAGE_PLATFORM_SHA256_H
#include <stddef.h>
#include <stdint.h>

/* Whether the processor has the instructions that the two functions below are made of. */
int platform_sha256_is_supported(void);

/* Takes blocks of 64 bytes into the eight words of a SHA-256 (FIPS 180-4, 6.2.2). */
void platform_sha256_one(uint32_t *state, const void *bytes, size_t blocks);

/* The same for two messages side by side. OpenSSL has no such function; the instructions have a
   latency of twice their reciprocal throughput and more, so that two cost little more than one. */
void platform_sha256_two(
    uint32_t *first_state, const void *first, uint32_t *second_state, const void *second,
    size_t blocks);

#endif
