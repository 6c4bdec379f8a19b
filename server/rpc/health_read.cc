#include "server/rpc/health_read.h"

#include <memory>
#include <utility>

#include "server/rpc/error_map.h"
#include "storage/mvcc/range.h"

namespace gavel::server {
namespace {

using storage::RangeCursor;

// As etcd asks: any one key, without its value.
etcdserverpb::RangeRequest AnyKey() {
  etcdserverpb::RangeRequest request;
  request.set_key(std::string(1, '\0'));
  request.set_range_end(std::string(1, '\0'));
  request.set_limit(1);
  request.set_keys_only(true);
  return request;
}

// The first step alone: to count all keys would take long.
void ReadInBackground(Gate& gate, std::shared_ptr<const storage::ReadView> view,
                      std::function<void(std::string)> done) {
  gate.RunInBackground([view = std::move(view), done = std::move(done)]() mutable {
    RangeCursor cursor(std::move(view), AnyKey());
    const bool failed =
        cursor.Step({.rows_max = 1, .bytes_max = 1}) == RangeCursor::Progress::kFailed;
    done(failed ? cursor.status().ToString() : "");
    return false;
  });
}

}  // namespace

void ReadForHealth(Gate& gate, bool serializable, std::function<void(std::string error)> done) {
  if (serializable) return ReadInBackground(gate, gate.view(), std::move(done));
  gate.Read(std::nullopt, [&gate, done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return done(ToStatus(read.result).message);
    ReadInBackground(gate, std::move(read.view), std::move(done));
  });
}

}  // namespace gavel::server
