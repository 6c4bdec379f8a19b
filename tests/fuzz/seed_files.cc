#include "tests/fuzz/seed_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "raft/check.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

std::string FromHex(std::ifstream& file, const std::string& path) {
  std::string bytes;
  std::string line;
  while (std::getline(file, line)) {
    std::string digits = line.substr(0, line.find('#'));
    std::erase_if(digits, [](unsigned char c) { return std::isspace(c); });
    GAVEL_CHECK(digits.size() % 2 == 0) << path << ": half a byte";
    for (size_t i = 0; i < digits.size(); i += 2) {
      size_t used = 0;
      bytes += static_cast<char>(std::stoi(digits.substr(i, 2), &used, 16));
      GAVEL_CHECK(used == 2) << path << ": not hexadecimal";
    }
  }
  return bytes;
}

}  // namespace

int WriteSeeds(const std::string& directory) {
  int count = 0;
  for (const std::string& seed : Seeds()) {
    std::ofstream file(directory + "/seed" + std::to_string(++count), std::ios::binary);
    file << seed;
    file.close();
    GAVEL_CHECK(file.good()) << "cannot write to " << directory;
  }
  return count;
}

std::vector<std::string> ReadFindings(const std::string& directory) {
  std::vector<std::string> paths;
  if (!std::filesystem::exists(directory)) return {};
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".hex") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> findings;
  for (const std::string& path : paths) {
    std::ifstream file(path);
    findings.push_back(FromHex(file, path));
  }
  return findings;
}

}  // namespace gavel::fuzz
