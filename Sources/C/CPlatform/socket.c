#include "platform_socket.h"
