#ifndef S3STORAGE_CGRPC_SHIM_H
#define S3STORAGE_CGRPC_SHIM_H
// These come first: grpc's own headers define _GNU_SOURCE, after which types of the C library would
// differ from those that its Swift module was made with.
#include <pthread.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/types.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/slice_buffer.h>
#include <grpc/status.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

// GRPC_SLICE_LENGTH is a macro that the importer does not see.
static inline size_t cgrpc_slice_length(const grpc_slice *slice) {
  return GRPC_SLICE_LENGTH(*slice);
}

// GRPC_SLICE_START_PTR, as above.
static inline const uint8_t *cgrpc_slice_start(const grpc_slice *slice) {
  return GRPC_SLICE_START_PTR(*slice);
}

// GRPC_PROPAGATE_DEFAULTS is composed of casts.
static inline uint32_t cgrpc_propagate_defaults(void) { return GRPC_PROPAGATE_DEFAULTS; }

#endif
