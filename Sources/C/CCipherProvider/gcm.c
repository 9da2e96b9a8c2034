#include "gcm.h"

#ifdef HAS_IPSEC_MB
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void *make(void *library, const struct gcm_functions *functions) {
  const size_t alignment = 64;
  size_t size = (sizeof(struct gcm) + alignment - 1) / alignment * alignment;
  struct gcm *gcm = aligned_alloc(alignment, size);
  if (gcm == NULL) return NULL;
  memset(gcm, 0, size);
  gcm->functions = functions;
  gcm->library = library;
  return gcm;
}

static void *make_128(void *library) { return make(library, gcm_functions_128()); }

static void *make_256(void *library) { return make(library, gcm_functions_256()); }

static void destroy(void *context) {
  struct gcm *gcm = context;
  if (gcm == NULL) return;
  EVP_CIPHER_CTX_free(gcm->own);
  OPENSSL_cleanse(gcm, sizeof(*gcm));
  free(gcm);
}

int gcm_give_up(struct gcm *gcm) {
  if (gcm->own != NULL) return 1;
  if (gcm->has_begun) return 0;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(gcm->library, gcm->functions->name, "provider=default");
  EVP_CIPHER_CTX *own = EVP_CIPHER_CTX_new();
  int done = cipher != NULL && own != NULL
      && EVP_CipherInit_ex2(
          own, cipher, gcm->has_key ? gcm->key : NULL, gcm->has_nonce ? gcm->nonce : NULL,
          gcm->encrypts, NULL);
  EVP_CIPHER_free(cipher);
  if (!done) {
    EVP_CIPHER_CTX_free(own);
    return 0;
  }
  gcm->own = own;
  return 1;
}

static int start(
    struct gcm *gcm, const uint8_t *key, size_t key_length, const uint8_t *nonce,
    size_t nonce_length, const OSSL_PARAM params[], bool encrypts) {
  if (gcm->own != NULL) return EVP_CipherInit_ex2(gcm->own, NULL, key, nonce, encrypts, params);
  gcm->encrypts = encrypts;
  gcm->has_begun = false;
  gcm->tag_length = 0;
  if (key != NULL) {
    if (key_length != gcm->functions->key_length) return 0;
    memcpy(gcm->key, key, key_length);
    gcm->functions->expand(key, &gcm->expanded);
    gcm->has_key = true;
  }
  if (nonce != NULL) {
    if (nonce_length != NONCE_LENGTH) return 0;
    memcpy(gcm->nonce, nonce, NONCE_LENGTH);
    gcm->has_nonce = true;
  }
  return gcm_set_parameters(gcm, params);
}

static int start_encryption(
    void *context, const uint8_t *key, size_t key_length, const uint8_t *nonce,
    size_t nonce_length, const OSSL_PARAM params[]) {
  return start(context, key, key_length, nonce, nonce_length, params, true);
}

static int start_decryption(
    void *context, const uint8_t *key, size_t key_length, const uint8_t *nonce,
    size_t nonce_length, const OSSL_PARAM params[]) {
  return start(context, key, key_length, nonce, nonce_length, params, false);
}

/* Begins the message whose nonce was given; each nonce serves once. */
static int begin(struct gcm *gcm, const uint8_t *additional, size_t length) {
  static const uint8_t nothing;
  if (!gcm->has_key || !gcm->has_nonce) return 0;
  gcm->functions->begin(
      &gcm->expanded, &gcm->message, gcm->nonce, length > 0 ? additional : &nothing, length);
  gcm->has_nonce = false;
  gcm->has_begun = true;
  return 1;
}

static int update(
    void *context, uint8_t *out, size_t *out_length, size_t room, const uint8_t *in,
    size_t length) {
  struct gcm *gcm = context;
  if (gcm->own != NULL) {
    int count = 0;
    if (length > INT_MAX || !EVP_CipherUpdate(gcm->own, out, &count, in, (int)length)) return 0;
    *out_length = (size_t)count;
    return 1;
  }
  *out_length = length;
  /* Additional data comes first, and in one piece. */
  if (out == NULL) return !gcm->has_begun && begin(gcm, in, length);
  if (length > room) return 0;
  if (!gcm->has_begun && !begin(gcm, NULL, 0)) return 0;
  if (length > 0)
    (gcm->encrypts ? gcm->functions->encrypt : gcm->functions->decrypt)(
        &gcm->expanded, &gcm->message, out, in, length);
  return 1;
}

static int end(void *context, uint8_t *out, size_t *out_length, size_t room) {
  (void)room;
  struct gcm *gcm = context;
  if (gcm->own != NULL) {
    int count = 0;
    if (EVP_CipherFinal_ex(gcm->own, out, &count) <= 0) return 0;
    *out_length = (size_t)count;
    return 1;
  }
  *out_length = 0;
  if (!gcm->has_begun && !begin(gcm, NULL, 0)) return 0;
  gcm->has_begun = false;
  if (gcm->encrypts) {
    gcm->functions->end_encryption(&gcm->expanded, &gcm->message, gcm->tag, TAG_LENGTH);
    gcm->tag_length = TAG_LENGTH;
    return 1;
  }
  uint8_t tag[TAG_LENGTH];
  gcm->functions->end_decryption(&gcm->expanded, &gcm->message, tag, TAG_LENGTH);
  bool is_authentic =
      gcm->tag_length > 0 && CRYPTO_memcmp(tag, gcm->tag, gcm->tag_length) == 0;
  gcm->tag_length = 0;
  return is_authentic;
}

static int describe_128(OSSL_PARAM params[]) { return gcm_describe(params, IMB_KEY_128_BYTES); }

static int describe_256(OSSL_PARAM params[]) { return gcm_describe(params, IMB_KEY_256_BYTES); }

#define GCM_DISPATCH(make, describe)                                       \
  {                                                                        \
    {OSSL_FUNC_CIPHER_NEWCTX, (void (*)(void))make},                       \
    {OSSL_FUNC_CIPHER_FREECTX, (void (*)(void))destroy},                   \
    {OSSL_FUNC_CIPHER_ENCRYPT_INIT, (void (*)(void))start_encryption},     \
    {OSSL_FUNC_CIPHER_DECRYPT_INIT, (void (*)(void))start_decryption},     \
    {OSSL_FUNC_CIPHER_UPDATE, (void (*)(void))update},                     \
    {OSSL_FUNC_CIPHER_FINAL, (void (*)(void))end},                         \
    {OSSL_FUNC_CIPHER_GET_PARAMS, (void (*)(void))describe},               \
    {OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (void (*)(void))gcm_get_parameters}, \
    {OSSL_FUNC_CIPHER_SET_CTX_PARAMS, (void (*)(void))gcm_set_parameters}, \
    {0, NULL},                                                             \
  }

const OSSL_DISPATCH gcm_dispatch_128[] = GCM_DISPATCH(make_128, describe_128);
const OSSL_DISPATCH gcm_dispatch_256[] = GCM_DISPATCH(make_256, describe_256);

#endif
