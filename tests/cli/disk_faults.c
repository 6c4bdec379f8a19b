/* Preloaded into a server: makes its disk fail on request.
 *
 * DISK_FAULTS names a folder. As long as the folder holds a file named
 *   full       every write that would need space fails with ENOSPC;
 *   sync       the next sync fails with EIO and the file is removed, so that later ones succeed,
 *              as Linux does after it has dropped the pages that it could not write.
 * Only files below DISK_FAULTS_BELOW are concerned.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...)       \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* True if the fault `name` is on and `fd` is a file it concerns. */
static int is_on(const char* name, int fd, char* fault) {
  const char* folder = getenv("DISK_FAULTS");
  const char* below = getenv("DISK_FAULTS_BELOW");
  if (!folder || !below) return 0;
  snprintf(fault, PATH_MAX, "%s/%s", folder, name);
  if (access(fault, F_OK) != 0) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, below, strlen(below)) == 0;
}

static int is_full(int fd) {
  const int saved = errno;
  char fault[PATH_MAX];
  const int full = is_on("full", fd, fault);
  errno = full ? ENOSPC : saved;
  return full;
}

static int sync_fails(int fd) {
  const int saved = errno;
  char fault[PATH_MAX];
  const int fails = is_on("sync", fd, fault);
  if (fails) unlink(fault);
  errno = fails ? EIO : saved;
  return fails;
}

ssize_t write(int fd, const void* bytes, size_t count) {
  REAL(ssize_t, "write", int, const void*, size_t);
  return is_full(fd) ? -1 : real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  REAL(ssize_t, "pwrite", int, const void*, size_t, off_t);
  return is_full(fd) ? -1 : real(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  REAL(ssize_t, "pwrite64", int, const void*, size_t, off64_t);
  return is_full(fd) ? -1 : real(fd, bytes, count, offset);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec*, int);
  return is_full(fd) ? -1 : real(fd, parts, count);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  REAL(int, "fallocate", int, int, off_t, off_t);
  return is_full(fd) ? -1 : real(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  REAL(int, "fallocate64", int, int, off64_t, off64_t);
  return is_full(fd) ? -1 : real(fd, mode, offset, length);
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  return sync_fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return sync_fails(fd) ? -1 : real(fd);
}
