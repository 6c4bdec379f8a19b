// powercut_restore DIRECTORY SHADOW lose|keep|tear512|tear4096|any SEED
//
// Replaces DIRECTORY by what a power cut would have left of it (restore.h).
#include <cstdio>
#include <cstdlib>

#include "tests/support/powercut/restore.h"

int main(int argc, char** argv) {
  const auto cut = argc == 5 ? gavel::powercut::ParseCut(argv[3]) : std::nullopt;
  if (!cut) {
    std::fprintf(stderr,
                 "usage: powercut_restore DIRECTORY SHADOW lose|keep|tear512|tear4096|any SEED\n");
    return 2;
  }
  const gavel::powercut::RestoreResult result =
      gavel::powercut::Restore(argv[1], argv[2], *cut, std::strtoull(argv[4], nullptr, 10));
  if (!result.followed) std::printf("no shadow: nothing had been changed\n");
  std::printf("%d files, %d changed, %llu bytes lost\n", result.files, result.files_changed,
              static_cast<unsigned long long>(result.bytes_lost));
  return 0;
}
