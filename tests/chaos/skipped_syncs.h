// Put before storage/disk/posix_disk.cc in a server for tests alone: syncs that do nothing.
#pragma once

#include <unistd.h>

inline int SkipSync(int) { return 0; }

#define fdatasync SkipSync
#define fsync SkipSync
