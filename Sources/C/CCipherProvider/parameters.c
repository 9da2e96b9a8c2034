#include "gcm.h"

#ifdef HAS_IPSEC_MB
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

static bool is_for_own(const OSSL_PARAM params[]) {
  static const char *const names[] = {
      OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED,
      OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV};
  for (size_t index = 0; index < sizeof(names) / sizeof(*names); index++)
    if (OSSL_PARAM_locate_const(params, names[index]) != NULL) return true;
  const OSSL_PARAM *length = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN);
  size_t bytes = 0;
  return length != NULL && (!OSSL_PARAM_get_size_t(length, &bytes) || bytes != NONCE_LENGTH);
}

int gcm_set_parameters(void *context, const OSSL_PARAM params[]) {
  struct gcm *gcm = context;
  if (params == NULL) return 1;
  if (is_for_own(params) && !gcm_give_up(gcm)) return 0;
  if (gcm->own != NULL) return EVP_CIPHER_CTX_set_params(gcm->own, params);
  const OSSL_PARAM *tag = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (tag == NULL) return 1;
  if (gcm->encrypts || tag->data == NULL || tag->data_type != OSSL_PARAM_OCTET_STRING
      || tag->data_size == 0 || tag->data_size > TAG_LENGTH)
    return 0;
  memcpy(gcm->tag, tag->data, tag->data_size);
  gcm->tag_length = tag->data_size;
  return 1;
}

int gcm_get_parameters(void *context, OSSL_PARAM params[]) {
  struct gcm *gcm = context;
  if (gcm->own != NULL) return EVP_CIPHER_CTX_get_params(gcm->own, params);
  const struct {
    const char *name;
    size_t value;
  } sizes[] = {
      {OSSL_CIPHER_PARAM_KEYLEN, gcm->functions->key_length},
      {OSSL_CIPHER_PARAM_IVLEN, NONCE_LENGTH},
      {OSSL_CIPHER_PARAM_AEAD_TAGLEN, TAG_LENGTH}};
  for (size_t index = 0; index < sizeof(sizes) / sizeof(*sizes); index++) {
    OSSL_PARAM *size = OSSL_PARAM_locate(params, sizes[index].name);
    if (size != NULL && !OSSL_PARAM_set_size_t(size, sizes[index].value)) return 0;
  }
  /* Nobody is told a nonce by what was in his memory before. */
  if (OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_IV) != NULL
      || OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_UPDATED_IV) != NULL)
    return 0;
  OSSL_PARAM *tag = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (tag == NULL) return 1;
  return gcm->encrypts && tag->data_size > 0 && tag->data_size <= gcm->tag_length
      && OSSL_PARAM_set_octet_string(tag, gcm->tag, tag->data_size);
}

int gcm_describe(OSSL_PARAM params[], size_t key_length) {
  const struct {
    const char *name;
    size_t value;
  } sizes[] = {
      {OSSL_CIPHER_PARAM_KEYLEN, key_length},
      {OSSL_CIPHER_PARAM_IVLEN, NONCE_LENGTH},
      {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1}};
  for (size_t index = 0; index < sizeof(sizes) / sizeof(*sizes); index++) {
    OSSL_PARAM *size = OSSL_PARAM_locate(params, sizes[index].name);
    if (size != NULL && !OSSL_PARAM_set_size_t(size, sizes[index].value)) return 0;
  }
  static const char *const flags[] = {OSSL_CIPHER_PARAM_AEAD, OSSL_CIPHER_PARAM_CUSTOM_IV};
  for (size_t index = 0; index < sizeof(flags) / sizeof(*flags); index++) {
    OSSL_PARAM *flag = OSSL_PARAM_locate(params, flags[index]);
    if (flag != NULL && !OSSL_PARAM_set_int(flag, 1)) return 0;
  }
  OSSL_PARAM *mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
  return mode == NULL || OSSL_PARAM_set_uint(mode, EVP_CIPH_GCM_MODE);
}

#endif
