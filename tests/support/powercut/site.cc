#include "tests/support/powercut/site.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

#include <array>
#include <cstdint>

namespace gavel::powercut {
namespace {

constexpr int kFramesMax = 32;
// Deeper frames are the loops of threads, and say nothing of the place.
constexpr int kFramesUsed = 10;

uint64_t Mix(uint64_t hash, uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) {
    hash = (hash ^ ((value >> (8 * byte)) & 0xff)) * 0x100000001b3u;
  }
  return hash;
}

const char* BaseName(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

std::string CallSite(std::string* description) {
  std::array<void*, kFramesMax> frames;
  const int count = backtrace(frames.data(), kFramesMax);
  Dl_info self = {};
  dladdr(reinterpret_cast<void*>(&CallSite), &self);
  uint64_t hash = 0xcbf29ce484222325u;
  int used = 0;
  for (int i = 0; i < count && used < kFramesUsed; ++i) {
    Dl_info info = {};
    if (dladdr(frames[i], &info) == 0 || info.dli_fbase == self.dli_fbase) continue;
    const uint64_t offset =
        reinterpret_cast<uintptr_t>(frames[i]) - reinterpret_cast<uintptr_t>(info.dli_fbase);
    hash = Mix(hash, offset);
    ++used;
    if (description == nullptr) continue;
    char text[160];
    snprintf(text, sizeof text, " %s+0x%llx", BaseName(info.dli_fname),
             static_cast<unsigned long long>(offset));
    *description += text;
  }
  char name[17];
  snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

}  // namespace gavel::powercut
