#ifndef S3STORAGE_GCM_H
#define S3STORAGE_GCM_H

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
#define HAS_IPSEC_MB 1
#include "cipher_provider.h"
#include <intel-ipsec-mb.h>
#include <openssl/core.h>
#include <openssl/types.h>
#include <stdbool.h>

/* The library's functions for one length of keys. They keep their state in what they are given, so
   that any thread may call them. */
struct gcm_functions {
  const char *name;
  size_t key_length;
  aes_gcm_pre_t expand;
  aes_gcm_init_t begin;
  aes_gcm_enc_dec_update_t encrypt, decrypt;
  aes_gcm_enc_dec_finalize_t end_encryption, end_decryption;
};

/* Finds the functions, once for the process. */
enum cipher_provider_result gcm_library_open(void);

/* Precondition of both: the library is open. */
const struct gcm_functions *gcm_functions_128(void);
const struct gcm_functions *gcm_functions_256(void);

enum { NONCE_LENGTH = 12, TAG_LENGTH = 16 };

/* One cipher with a key, and at most one message under it. */
struct gcm {
  struct gcm_key_data expanded;
  struct gcm_context_data message;
  const struct gcm_functions *functions;
  OSSL_LIB_CTX *library;
  /* OpenSSL's own cipher, once something was asked for that it alone does: it does all then. */
  EVP_CIPHER_CTX *own;
  uint8_t key[IMB_KEY_256_BYTES], nonce[NONCE_LENGTH], tag[TAG_LENGTH];
  /* Bytes of the tag that are known; none while a message is encrypted. */
  size_t tag_length;
  bool encrypts, has_key, has_nonce, has_begun;
};

/* Goes on with OpenSSL's own cipher; 0 in the middle of a message, or where there is none. */
int gcm_give_up(struct gcm *gcm);

/* What OpenSSL calls for parameters of a cipher with a key, and of any. */
int gcm_set_parameters(void *context, const OSSL_PARAM params[]);
int gcm_get_parameters(void *context, OSSL_PARAM params[]);
int gcm_describe(OSSL_PARAM params[], size_t key_length);

/* All that OpenSSL calls. */
extern const OSSL_DISPATCH gcm_dispatch_128[], gcm_dispatch_256[];

#endif
#endif
