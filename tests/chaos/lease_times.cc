#include "tests/chaos/lease_times.h"

#include <algorithm>
#include <cstddef>

namespace gavel::chaos {
namespace {

constexpr size_t kToldMax = 3;

// Violations of one kind.
class Kind {
 public:
  explicit Kind(std::string what) : what_(std::move(what)) {}

  void Add(size_t lease, int64_t by_ns) {
    if (++count_ <= kToldMax) {
      told_.push_back("lease " + std::to_string(lease) + what_ + ", by " +
                      std::to_string(by_ns / 1'000'000) + " ms");
    }
  }

  void Tell(std::vector<std::string>* violations) const {
    violations->insert(violations->end(), told_.begin(), told_.end());
    if (count_ > kToldMax) {
      violations->push_back(std::to_string(count_ - kToldMax) + " more leases" + what_);
    }
  }

 private:
  const std::string what_;
  size_t count_ = 0;
  std::vector<std::string> told_;
};

}  // namespace

LeaseTimes CheckLeaseTimes(const std::vector<LeaseEnd>& leases, const LeasePromise& promise) {
  LeaseTimes times;
  Kind early(" ended too early");
  Kind late(" ended too late");
  size_t never = 0;
  for (size_t lease = 0; lease < leases.size(); ++lease) {
    const LeaseEnd& end = leases[lease];
    if (end.gone_ns == 0) {
      ++never;
      continue;
    }
    const int64_t earliest = end.sent_ns + promise.ttl_ns;
    const int64_t latest =
        end.answered_ns + promise.ttl_ns + promise.failover_ns + promise.slack_ns;
    if (end.gone_ns < earliest) early.Add(lease, earliest - end.gone_ns);
    if (end.gone_ns > latest) late.Add(lease, end.gone_ns - latest);
    times.longest_over_ns =
        std::max(times.longest_over_ns, end.gone_ns - end.answered_ns - promise.ttl_ns);
  }
  early.Tell(&times.violations);
  late.Tell(&times.violations);
  if (never > 0) times.violations.push_back(std::to_string(never) + " leases did not end");
  return times;
}

}  // namespace gavel::chaos
