#ifndef S3STORAGE_CPLATFORM_H
#define S3STORAGE_CPLATFORM_H
#include "platform_crc64.h"
#include "platform_socket.h"
#include "platform_file.h"
#include "platform_limits.h"
#include "platform_memory.h"
#include "platform_vector.h"
#endif
