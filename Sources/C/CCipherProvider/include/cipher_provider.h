#ifndef S3STORAGE_CIPHER_PROVIDER_H
#define S3STORAGE_CIPHER_PROVIDER_H

/* AES-GCM of Intel's multi-buffer library (libipsec-mb) as a provider of OpenSSL 3, for processors
   with VAES, VPCLMULQDQ and AVX-512: OpenSSL 3.0 has no code of its own for these.

   The library encrypts and authenticates with nonces of 96 bits. What else OpenSSL's own cipher does
   (records of TLS 1.2, nonces of other lengths) is passed on to that. */

struct ossl_lib_ctx_st;

enum cipher_provider_result {
  CIPHER_PROVIDER_LOADED = 0,
  /* Built without libipsec-mb: there is none for this architecture. */
  CIPHER_PROVIDER_NOT_BUILT = 1,
  /* The library is another release than that of the header, whose structures may differ. */
  CIPHER_PROVIDER_OTHER_RELEASE = 2,
  /* The processor lacks an instruction, or the library's own test of itself failed. */
  CIPHER_PROVIDER_NOT_CAPABLE = 3,
  /* OpenSSL is told to use approved modules only, or takes no provider. */
  CIPHER_PROVIDER_REFUSED = 4,
};

/* The name that properties ask for it by: "provider=ipsec-mb". */
const char *cipher_provider_name(void);

/* Adds the provider to `context`, NULL for the one that a process shares, beside OpenSSL's default
   one. Who fetches a cipher there gets it by the property above, or by default where the context's
   default properties say so. */
enum cipher_provider_result cipher_provider_load(struct ossl_lib_ctx_st *context);

#endif
