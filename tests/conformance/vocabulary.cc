#include "tests/conformance/vocabulary.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>

namespace gavel::conformance {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kKeys[] = {
    "a"sv,    "a/"sv,       "a/1"sv, "a/2"sv,   "a0"sv,       "ab"sv,
    "b"sv,    "b\xff"sv,    "c"sv,   "\0"sv,    "\0\0"sv,     "\0\xff"sv,
    "\xff"sv, "\xff\xff"sv, "a\0"sv, "a\xff"sv, "\xc3\x28"sv, "\xe2\x82\xac"sv};
constexpr std::string_view kValues[] = {""sv, "0"sv, "1"sv, "a"sv, "b"sv, "\0"sv, "\xff\xfe"sv};
constexpr int64_t kSenseless[] = {-1, -2, std::numeric_limits<int64_t>::max(),
                                  std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::max() - 1};

template <class Words>
auto Pick(raft::Random& random, const Words& words) {
  return words[random.Below(std::size(words))];
}

}  // namespace

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    if (static_cast<unsigned char>(prefix.back()) != 0xff) {
      ++prefix.back();
      return prefix;
    }
    prefix.pop_back();
  }
  return std::string(1, '\0');
}

std::string Vocabulary::Key() {
  if (Chance(45)) {
    // Enough of these for ranges of more rows than a sort keeps stable by chance.
    const uint64_t number = random_.Below(30);
    return "k" + std::to_string(number / 10) + std::to_string(number % 10);
  }
  if (random_.OneIn(200)) return std::string(random_.Between(100, 3000), 'x');
  return std::string(Pick(random_, kKeys));
}

std::string Vocabulary::RangeEnd(const std::string& key) {
  const uint64_t kind = random_.Below(100);
  if (kind < 35) return "";
  if (kind < 50) return std::string(1, '\0');
  if (kind < 65) return PrefixEnd(key);
  if (kind < 75) return PrefixEnd(key.substr(0, 1));
  if (kind < 80) return key;
  if (kind < 85) return key + '\0';
  if (kind < 90) return "l";
  return Key();
}

std::string Vocabulary::Value() {
  if (Chance(70)) return std::string(Pick(random_, kValues));
  if (random_.OneIn(100)) return std::string(random_.Between(1000, 100000), 'v');
  return "v" + std::to_string(random_.Below(1000));
}

int64_t Vocabulary::Revision() {
  const uint64_t kind = random_.Below(100);
  if (kind < 4) return Pick(random_, kSenseless);
  if (kind < 10) return revision_ + static_cast<int64_t>(random_.Below(4));
  if (kind < 20)
    return std::max<int64_t>(0, compacted_ - 1 + static_cast<int64_t>(random_.Below(3)));
  if (kind < 25) return static_cast<int64_t>(random_.Below(3));
  const int64_t low = std::max<int64_t>(compacted_, 1);
  return static_cast<int64_t>(random_.Between(low, std::max(low, revision_)));
}

int64_t Vocabulary::RevisionBound() {
  if (Chance(5)) return Pick(random_, kSenseless);
  if (Chance(50)) {
    const uint64_t back = random_.Below(40);
    return std::max<int64_t>(0, revision_ - static_cast<int64_t>(back));
  }
  return static_cast<int64_t>(random_.Below(static_cast<uint64_t>(revision_) + 3));
}

int64_t Vocabulary::Limit() {
  if (Chance(50)) return 0;
  if (Chance(5)) return Pick(random_, kSenseless);
  return static_cast<int64_t>(random_.Between(1, 20));
}

int64_t Vocabulary::Lease() {
  if (!leases_.empty() && Chance(90)) return Pick(random_, leases_);
  if (Chance(20)) return Pick(random_, kSenseless);
  return static_cast<int64_t>(random_.Between(1, 1000));
}

}  // namespace gavel::conformance
