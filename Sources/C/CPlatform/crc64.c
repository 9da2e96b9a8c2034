#include "platform_crc64.h"
