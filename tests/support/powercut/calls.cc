// The calls of the C library that change files, wrapped for a preloaded library.
//
// What cannot be followed ends the process instead of being missed: writing through a mapping
// or a stdio stream, and renames from one directory to another.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <string>

#include "tests/support/powercut/image.h"
#include "tests/support/powercut/interpose.h"

namespace gavel::powercut {
namespace {

// The next library's function of this name and type.
#define REAL(name)                                                                          \
  ([] {                                                                                     \
    static const auto found = reinterpret_cast<decltype(&::name)>(dlsym(RTLD_NEXT, #name)); \
    return found;                                                                           \
  }())

// The error that a verdict wants, or 0.
int ErrorOf(const Verdict& verdict) {
  if (verdict.action == Action::kEio) return EIO;
  if (verdict.action == Action::kEnospc) return ENOSPC;
  return 0;
}

// Returns true if the call is to fail; the error is set then.
bool Fails(const Verdict& verdict, Inside& inside) {
  const int error = ErrorOf(verdict);
  if (error != 0) inside.set_error(error);
  return error != 0;
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

size_t TotalOf(const iovec* parts, int count) {
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += parts[i].iov_len;
  return total;
}

// Carries out a write of `count` bytes; `write(n)` does it for the first n of them. Without an
// offset it goes where the descriptor stands.
template <class Write>
ssize_t WriteCall(int fd, std::optional<off_t> offset, size_t count, Write write) {
  Interposer* const interposer = Interposer::Get();
  struct stat info;
  if (interposer == nullptr) return write(count);
  Inside inside;
  const auto plain = [&] {
    const ssize_t done = write(count);
    if (done < 0) inside.set_error(errno);
    return done;
  };
  if (!interposer->Concerns(fd, &info)) return plain();
  const Verdict verdict = interposer->Judge(Call::kWrite, fd, count);
  if (Fails(verdict, inside)) return -1;
  if (verdict.action == Action::kCut) write(count / 2);
  StallOrCut(verdict, /*after=*/false);
  const ssize_t done = plain();
  if (Shadow* shadow = interposer->shadow(); shadow != nullptr && done > 0) {
    const off_t at = offset ? *offset : lseek(fd, 0, SEEK_CUR) - done;
    shadow->Written(info, static_cast<uint64_t>(at), static_cast<uint64_t>(done));
    if ((fcntl(fd, F_GETFL) & (O_SYNC | O_DSYNC)) != 0) shadow->Sync(fd, info);
  }
  StallOrCut(verdict, /*after=*/true);
  return done;
}

template <class Read>
ssize_t ReadCall(int fd, Read read) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr) return read();
  {
    Inside inside;
    struct stat info;
    if (interposer->wants_reads() && interposer->Concerns(fd, &info)) {
      const Verdict verdict = interposer->Judge(Call::kRead, fd);
      if (Fails(verdict, inside)) return -1;
      StallOrCut(verdict, /*after=*/false);
    }
  }
  return read();
}

template <class Sync>
int SyncCall(int fd, Sync sync) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr) return sync();
  Inside inside;
  struct stat info;
  int result = 0;
  if (!interposer->Concerns(fd, &info)) {
    result = sync();
    if (result != 0) inside.set_error(errno);
    return result;
  }
  Shadow* const shadow = interposer->shadow();
  const Verdict verdict =
      interposer->Judge(S_ISDIR(info.st_mode) ? Call::kDirectorySync : Call::kSync, fd);
  if (Fails(verdict, inside)) {
    if (shadow != nullptr) shadow->Drop(info);
    return -1;
  }
  if (verdict.action == Action::kLie) return 0;
  StallOrCut(verdict, /*after=*/false);
  if (shadow != nullptr) {
    shadow->Sync(fd, info);
  } else {
    result = sync();
    if (result != 0) inside.set_error(errno);
  }
  StallOrCut(verdict, /*after=*/true);
  return result;
}

template <class Open>
int OpenCall(int directory_fd, const char* path, int flags, Open open) {
  Interposer* const interposer = (flags & (O_CREAT | O_TRUNC)) ? Interposer::Get() : nullptr;
  if (interposer == nullptr) return open();
  Inside inside;
  const auto plain = [&] {
    const int fd = open();
    if (fd < 0) inside.set_error(errno);
    return fd;
  };
  const std::string full = interposer->Locate(directory_fd, path);
  if (full.empty()) return plain();
  Shadow* const shadow = interposer->shadow();
  std::unique_lock<std::mutex> entries;
  if (shadow != nullptr) entries = std::unique_lock(shadow->entries_mutex());
  struct stat before = {};
  const bool existed = stat(full.c_str(), &before) == 0;
  Verdict verdict;
  if (!existed) verdict = interposer->Judge(Call::kCreate, full, /*bytes=*/1);
  if (Fails(verdict, inside)) return -1;
  StallOrCut(verdict, /*after=*/false);
  const int fd = plain();
  if (fd >= 0 && shadow != nullptr && !existed) shadow->Created(full, /*directory=*/false);
  if (fd >= 0 && shadow != nullptr && existed && (flags & O_TRUNC)) {
    shadow->Resized(before, static_cast<uint64_t>(before.st_size), 0);
  }
  StallOrCut(verdict, /*after=*/true);
  return fd;
}

// A change of directory entries at `path`, and at `to` if there is one.
template <class Change>
int EntryCall(Call call, int directory_fd, const char* path, int to_fd, const char* to,
              Change change) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr) return change();
  Inside inside;
  const std::string from = interposer->Locate(directory_fd, path);
  const std::string target = to == nullptr ? "" : interposer->Locate(to_fd, to);
  const std::string& concerned = target.empty() ? from : target;
  Shadow* const shadow = concerned.empty() ? nullptr : interposer->shadow();
  if (shadow != nullptr && call == Call::kRename && ParentOf(from) != ParentOf(target)) {
    Die("a rename between directories is not followed: " + std::string(path) + " to " + to);
  }
  std::unique_lock<std::mutex> entries;
  if (shadow != nullptr) entries = std::unique_lock(shadow->entries_mutex());
  Verdict verdict;
  if (!concerned.empty()) verdict = interposer->Judge(call, concerned);
  if (Fails(verdict, inside)) return -1;
  StallOrCut(verdict, /*after=*/false);
  const int result = change();
  if (result != 0) inside.set_error(errno);
  StallOrCut(verdict, /*after=*/true);
  return result;
}

template <class Make>
int MakeDirectoryCall(int directory_fd, const char* path, Make make) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr) return make();
  return EntryCall(Call::kCreate, directory_fd, path, AT_FDCWD, nullptr, [&] {
    const int result = make();
    if (result != 0) return result;
    const std::string full = interposer->Locate(directory_fd, path);
    Shadow* const shadow = full.empty() ? nullptr : interposer->shadow();
    if (shadow != nullptr) shadow->Created(full, /*directory=*/true);
    return result;
  });
}

// A change of the size or the blocks of an open file.
template <class Change>
int ResizeCall(int fd, uint64_t bytes, Change change) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr) return change();
  Inside inside;
  const auto plain = [&] {
    const int result = change();
    if (result != 0) inside.set_error(errno);
    return result;
  };
  struct stat before;
  if (!interposer->Concerns(fd, &before)) return plain();
  const Verdict verdict = interposer->Judge(Call::kWrite, fd, bytes);
  if (Fails(verdict, inside)) return -1;
  StallOrCut(verdict, /*after=*/false);
  const int result = plain();
  struct stat after;
  if (Shadow* shadow = interposer->shadow(); shadow != nullptr && fstat(fd, &after) == 0) {
    shadow->Resized(before, static_cast<uint64_t>(before.st_size),
                    static_cast<uint64_t>(after.st_size));
  }
  StallOrCut(verdict, /*after=*/true);
  return result;
}

int AllocateCall(int fd, int mode, off_t offset, off_t length,
                 int (*real)(int, int, off_t, off_t)) {
  const int result =
      ResizeCall(fd, static_cast<uint64_t>(length), [&] { return real(fd, mode, offset, length); });
  Interposer* const interposer = Interposer::Get();
  if (result != 0 || interposer == nullptr || (mode & ~FALLOC_FL_KEEP_SIZE) == 0) return result;
  const Inside inside;
  struct stat info;
  if (interposer->shadow() == nullptr || !interposer->Concerns(fd, &info)) return result;
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0) Die("fallocate moves bytes");
  interposer->shadow()->Written(info, static_cast<uint64_t>(offset), static_cast<uint64_t>(length));
  return result;
}

// Ends the process if writes through `fd` would go unseen.
void RefuseUnseen(int fd, const char* how) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr || interposer->shadow() == nullptr) return;
  const Inside inside;
  struct stat info;
  if (interposer->Concerns(fd, &info)) Die(std::string("not followed: writing through ") + how);
}

void RefuseUnseen(const char* path, const char* mode) {
  Interposer* const interposer = Interposer::Get();
  if (interposer == nullptr || interposer->shadow() == nullptr) return;
  const Inside inside;
  if (std::string(mode).find_first_of("wa+") == std::string::npos) return;
  if (!interposer->Locate(AT_FDCWD, path).empty()) Die("not followed: writing through a stream");
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace gavel::powercut

using gavel::powercut::AllocateCall;
using gavel::powercut::Call;
using gavel::powercut::EntryCall;
using gavel::powercut::MakeDirectoryCall;
using gavel::powercut::ModeOf;
using gavel::powercut::OpenCall;
using gavel::powercut::ReadCall;
using gavel::powercut::RefuseUnseen;
using gavel::powercut::ResizeCall;
using gavel::powercut::SyncCall;
using gavel::powercut::TotalOf;
using gavel::powercut::WriteCall;

extern "C" {

// On this platform off_t has 64 bits, so each pair of names is one function.
#define OPEN(name)                                                                         \
  int name(const char* path, int flags, ...) {                                             \
    va_list arguments;                                                                     \
    va_start(arguments, flags);                                                            \
    const mode_t mode = ModeOf(flags, arguments);                                          \
    va_end(arguments);                                                                     \
    return OpenCall(AT_FDCWD, path, flags, [&] { return REAL(name)(path, flags, mode); }); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                           \
  int name(int directory, const char* path, int flags, ...) {                  \
    va_list arguments;                                                         \
    va_start(arguments, flags);                                                \
    const mode_t mode = ModeOf(flags, arguments);                              \
    va_end(arguments);                                                         \
    return OpenCall(directory, path, flags,                                    \
                    [&] { return REAL(name)(directory, path, flags, mode); }); \
  }
OPENAT(openat)
OPENAT(openat64)

int creat(const char* path, mode_t mode) {
  return OpenCall(AT_FDCWD, path, O_CREAT | O_TRUNC, [&] { return REAL(creat)(path, mode); });
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

ssize_t write(int fd, const void* bytes, size_t count) {
  return WriteCall(fd, std::nullopt, count, [&](size_t n) { return REAL(write)(fd, bytes, n); });
}
ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return WriteCall(fd, offset, count, [&](size_t n) { return REAL(pwrite)(fd, bytes, n, offset); });
}
ssize_t pwrite64(int fd, const void* bytes, size_t count, off_t offset) {
  return pwrite(fd, bytes, count, offset);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  return WriteCall(fd, std::nullopt, TotalOf(parts, count),
                   [&](size_t) { return REAL(writev)(fd, parts, count); });
}
ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return WriteCall(fd, offset, TotalOf(parts, count),
                   [&](size_t) { return REAL(pwritev)(fd, parts, count, offset); });
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off_t offset) {
  return pwritev(fd, parts, count, offset);
}
ssize_t sendfile(int out, int in, off_t* offset, size_t count) noexcept {
  return WriteCall(out, std::nullopt, count,
                   [&](size_t n) { return REAL(sendfile)(out, in, offset, n); });
}
ssize_t sendfile64(int out, int in, off_t* offset, size_t count) noexcept {
  return sendfile(out, in, offset, count);
}
ssize_t copy_file_range(int in, off_t* in_offset, int out, off_t* out_offset, size_t count,
                        unsigned int flags) {
  const std::optional<off_t> at =
      out_offset == nullptr ? std::nullopt : std::optional<off_t>(*out_offset);
  return WriteCall(out, at, count, [&](size_t n) {
    return REAL(copy_file_range)(in, in_offset, out, out_offset, n, flags);
  });
}

ssize_t read(int fd, void* bytes, size_t count) {
  return ReadCall(fd, [&] { return REAL(read)(fd, bytes, count); });
}
ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
  return ReadCall(fd, [&] { return REAL(pread)(fd, bytes, count, offset); });
}
ssize_t pread64(int fd, void* bytes, size_t count, off_t offset) {
  return pread(fd, bytes, count, offset);
}

int fsync(int fd) {
  return SyncCall(fd, [&] { return REAL(fsync)(fd); });
}
int fdatasync(int fd) {
  return SyncCall(fd, [&] { return REAL(fdatasync)(fd); });
}

int ftruncate(int fd, off_t size) noexcept {
  return ResizeCall(fd, 0, [&] { return REAL(ftruncate)(fd, size); });
}
int ftruncate64(int fd, off_t size) noexcept { return ftruncate(fd, size); }
int fallocate(int fd, int mode, off_t offset, off_t length) {
  return AllocateCall(fd, mode, offset, length, REAL(fallocate));
}
int fallocate64(int fd, int mode, off_t offset, off_t length) {
  return fallocate(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
  // Returns the error instead of setting it.
  return fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off_t offset, off_t length) {
  return posix_fallocate(fd, offset, length);
}

int rename(const char* from, const char* to) noexcept {
  return EntryCall(Call::kRename, AT_FDCWD, from, AT_FDCWD, to,
                   [&] { return REAL(rename)(from, to); });
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) noexcept {
  return EntryCall(Call::kRename, from_fd, from, to_fd, to,
                   [&] { return REAL(renameat)(from_fd, from, to_fd, to); });
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to,
              unsigned int flags) noexcept {
  return EntryCall(Call::kRename, from_fd, from, to_fd, to,
                   [&] { return REAL(renameat2)(from_fd, from, to_fd, to, flags); });
}
int link(const char* from, const char* to) noexcept {
  return EntryCall(Call::kCreate, AT_FDCWD, from, AT_FDCWD, to,
                   [&] { return REAL(link)(from, to); });
}
int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) noexcept {
  return EntryCall(Call::kCreate, from_fd, from, to_fd, to,
                   [&] { return REAL(linkat)(from_fd, from, to_fd, to, flags); });
}
int unlink(const char* path) noexcept {
  return EntryCall(Call::kRemove, AT_FDCWD, path, AT_FDCWD, nullptr,
                   [&] { return REAL(unlink)(path); });
}
int unlinkat(int directory, const char* path, int flags) noexcept {
  return EntryCall(Call::kRemove, directory, path, AT_FDCWD, nullptr,
                   [&] { return REAL(unlinkat)(directory, path, flags); });
}
int rmdir(const char* path) noexcept {
  return EntryCall(Call::kRemove, AT_FDCWD, path, AT_FDCWD, nullptr,
                   [&] { return REAL(rmdir)(path); });
}
int remove(const char* path) noexcept {
  return EntryCall(Call::kRemove, AT_FDCWD, path, AT_FDCWD, nullptr,
                   [&] { return REAL(remove)(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  return MakeDirectoryCall(AT_FDCWD, path, [&] { return REAL(mkdir)(path, mode); });
}
int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  return MakeDirectoryCall(directory, path, [&] { return REAL(mkdirat)(directory, path, mode); });
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) RefuseUnseen(fd, "a mapping");
  return REAL(mmap)(address, length, protection, flags, fd, offset);
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd,
             off_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}
FILE* fopen(const char* path, const char* mode) {
  RefuseUnseen(path, mode);
  return REAL(fopen)(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  RefuseUnseen(path, mode);
  return REAL(fopen64)(path, mode);
}
FILE* fdopen(int fd, const char* mode) noexcept {
  if (std::string(mode).find_first_of("wa+") != std::string::npos) RefuseUnseen(fd, "a stream");
  return REAL(fdopen)(fd, mode);
}

}  // extern "C"
