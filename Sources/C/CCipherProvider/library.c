#include "gcm.h"

#ifdef HAS_IPSEC_MB
#include <pthread.h>

static const uint64_t needed = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ
    | IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;

static struct gcm_functions functions_128, functions_256;
static enum cipher_provider_result result;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void) {
  /* A later release has larger structures under the same name of the library. */
  if (imb_get_version() != IMB_VERSION_NUM) {
    result = CIPHER_PROVIDER_OTHER_RELEASE;
    return;
  }
  result = CIPHER_PROVIDER_NOT_CAPABLE;
  IMB_MGR *manager = alloc_mb_mgr(0);
  if (manager == NULL) return;
  IMB_ARCH architecture = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager, &architecture);
  if (architecture == IMB_ARCH_AVX512 && (manager->features & needed) == needed) {
    functions_128 = (struct gcm_functions){
        "AES-128-GCM", IMB_KEY_128_BYTES, manager->gcm128_pre, manager->gcm128_init,
        manager->gcm128_enc_update, manager->gcm128_dec_update,
        manager->gcm128_enc_finalize, manager->gcm128_dec_finalize};
    functions_256 = (struct gcm_functions){
        "AES-256-GCM", IMB_KEY_256_BYTES, manager->gcm256_pre, manager->gcm256_init,
        manager->gcm256_enc_update, manager->gcm256_dec_update,
        manager->gcm256_enc_finalize, manager->gcm256_dec_finalize};
    result = CIPHER_PROVIDER_LOADED;
  }
  /* Its queues are for jobs of the other interface. */
  free_mb_mgr(manager);
}

enum cipher_provider_result gcm_library_open(void) {
  pthread_once(&once, open_library);
  return result;
}

const struct gcm_functions *gcm_functions_128(void) { return &functions_128; }

const struct gcm_functions *gcm_functions_256(void) { return &functions_256; }

#endif
