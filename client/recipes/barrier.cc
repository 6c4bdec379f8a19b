#include "client/recipes/barrier.h"

#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {

Barrier::Barrier(const Client& client, std::string name)
    : kv_(client.kv()), watch_(client.watch()), key_(std::move(name)) {}

Status Barrier::Hold(int64_t lease, CallOptions options) const {
  const Result<PutIfAbsentResponse> put =
      kv_.PutIfAbsent(key_, "", {.lease = lease}, std::move(options));
  if (!put.ok() || put->created) return put.status();
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kHeld,
                "the barrier stands already");
}

Status Barrier::Release(CallOptions options) const {
  return kv_.Delete(key_, std::move(options)).status();
}

Status Barrier::Wait(WaitOptions wait) const {
  const Waiting waiting(std::move(wait), nullptr);
  const Result<RangeResponse> found = waiting.Range(kv_, {.range = key_, .keys_only = true});
  if (!found.ok()) return found.status();
  if (found->kvs.empty()) return Status();
  return UntilDeleted(kv_, watch_, waiting, key_, found->header.revision + 1);
}

}  // namespace gavel::client::recipes
