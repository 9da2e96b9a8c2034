#include "cipher_provider.h"
#include "gcm.h"

#define NAME "ipsec-mb"

const char *cipher_provider_name(void) { return NAME; }

#ifdef HAS_IPSEC_MB
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

static const OSSL_ALGORITHM ciphers[] = {
    {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=" NAME, gcm_dispatch_256,
     NULL},
    {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=" NAME, gcm_dispatch_128,
     NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
  (void)context;
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static const OSSL_DISPATCH dispatch[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query}, {0, NULL}};

static int initialize(
    const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **out,
    void **context) {
  for (; core->function_id != 0; core++) {
    if (core->function_id != OSSL_FUNC_CORE_GET_LIBCTX) continue;
    /* For a provider that is part of the program, the core's context is a context of the library. */
    *context = OSSL_FUNC_core_get_libctx(core)(handle);
    *out = dispatch;
    return 1;
  }
  return 0;
}

enum cipher_provider_result cipher_provider_load(OSSL_LIB_CTX *context) {
  /* What is configured for the process comes first. */
  if (context == NULL) OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
  if (EVP_default_properties_is_fips_enabled(context)) return CIPHER_PROVIDER_REFUSED;
  enum cipher_provider_result result = gcm_library_open();
  if (result != CIPHER_PROVIDER_LOADED) return result;
  if (!OSSL_PROVIDER_add_builtin(context, NAME, initialize)
      || OSSL_PROVIDER_load(context, "default") == NULL
      || OSSL_PROVIDER_load(context, NAME) == NULL)
    return CIPHER_PROVIDER_REFUSED;
  return CIPHER_PROVIDER_LOADED;
}

#else

enum cipher_provider_result cipher_provider_load(struct ossl_lib_ctx_st *context) {
  (void)context;
  return CIPHER_PROVIDER_NOT_BUILT;
}

#endif
