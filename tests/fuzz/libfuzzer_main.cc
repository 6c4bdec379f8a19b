// A fuzz target under libFuzzer.
//
//   TARGET --write-seeds DIRECTORY        writes where to begin, and does nothing else
//   TARGET [libFuzzer's options] CORPUS   fuzzes
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "raft/random.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/seed_files.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::strcmp((*argv)[1], "--write-seeds") == 0) {
    std::printf("%d seeds\n", gavel::fuzz::WriteSeeds((*argv)[2]));
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gavel::fuzz::OneInput({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max,
                                          unsigned int seed) {
  const size_t mutated = LLVMFuzzerMutate(data, size, size_max);
  gavel::raft::Random random(seed);
  // Some stay as they are, since what is wrong with a checksum must be found out as well.
  if (random.OneIn(5)) return mutated;
  std::string input(reinterpret_cast<const char*>(data), mutated);
  gavel::fuzz::Mend(input, random);
  if (input.size() > size_max) return mutated;
  std::memcpy(data, input.data(), input.size());
  return input.size();
}
