// A fuzz target without libFuzzer, for any compiler: replays the seeds, what was once found, and
// a fixed number of mutations of both.
//
//   TARGET FINDINGS [MUTATIONS [SEED]]   a directory of findings; 5000 mutations
//   TARGET --input FILE                  one input, as libFuzzer leaves it
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "raft/check.h"
#include "raft/random.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/seed_files.h"

namespace gavel::fuzz {
namespace {

constexpr size_t kBytesMax = 1 << 16;

void MutateOnce(std::string& input, const std::vector<std::string>& others, raft::Random& random) {
  const size_t at = input.empty() ? 0 : random.Below(input.size());
  switch (random.Below(7)) {
    case 0:
      if (!input.empty()) input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8)));
      break;
    case 1:
      if (!input.empty()) input[at] = static_cast<char>(random.Below(256));
      break;
    case 2:
      input.erase(at, random.Between(1, 16));
      break;
    case 3:
      input.insert(at, std::string(random.Between(1, 16), static_cast<char>(random.Below(256))));
      break;
    case 4: {  // A number that is on the edge of something.
      constexpr uint64_t kEdges[] = {0, 1, 127, 128, 255, 256, 65535, 1u << 31, ~0u, ~uint64_t{0}};
      const uint64_t edge = kEdges[random.Below(std::size(kEdges))];
      const size_t bytes = size_t{1} << random.Below(4);
      for (size_t i = 0; i < bytes && at + i < input.size(); ++i) {
        input[at + i] = static_cast<char>(edge >> (8 * i));
      }
      break;
    }
    case 5: {  // A piece of another input, or of this one.
      const std::string& other = others[random.Below(others.size())];
      if (other.empty()) break;
      const std::string piece = other.substr(random.Below(other.size()), random.Between(1, 200));
      if (random.OneIn(2)) {
        input.insert(at, piece);
      } else {
        input.replace(at, piece.size(), piece);
      }
      break;
    }
    default:
      input.resize(at);
  }
  if (input.size() > kBytesMax) input.resize(kBytesMax);
}

void Replay(const std::string& findings, uint64_t mutations, uint64_t seed) {
  std::vector<std::string> inputs = Seeds();
  GAVEL_CHECK(!inputs.empty());
  const size_t seeds = inputs.size();
  for (std::string& finding : ReadFindings(findings)) inputs.push_back(std::move(finding));
  OneInput("");
  for (const std::string& input : inputs) OneInput(input);
  raft::Random random(seed);
  for (uint64_t i = 0; i < mutations; ++i) {
    std::string input = inputs[random.Below(inputs.size())];
    for (uint64_t times = random.Between(1, 4); times > 0; --times) {
      MutateOnce(input, inputs, random);
    }
    if (!random.OneIn(5)) Mend(input, random);
    OneInput(input);
  }
  std::printf("%zu seeds, %zu findings, %llu mutations\n", seeds, inputs.size() - seeds,
              static_cast<unsigned long long>(mutations));
}

}  // namespace
}  // namespace gavel::fuzz

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--input") {
    std::ifstream file(argv[2], std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    gavel::fuzz::OneInput(text.str());
    return 0;
  }
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: %s FINDINGS [MUTATIONS [SEED]] | --input FILE\n", argv[0]);
    return 2;
  }
  gavel::fuzz::Replay(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5000,
                      argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  return 0;
}
