// One unary Range under way: a first step on the I/O thread, the rest in the background.
#pragma once

#include <optional>

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/service_support.h"
#include "storage/mvcc/range.h"

namespace gavel::server {

// Moved along from thread to thread; answers exactly once.
class RangeJob {
 public:
  RangeJob(const ServiceSurroundings& surroundings, std::shared_ptr<const storage::ReadView> view,
           etcdserverpb::RangeRequest request, Completion done);

  // Does what can be done at once; hands the rest to the background.
  static void Start(RangeJob job);

 private:
  // One bounded step; true when the call has been answered.
  bool Step();

  ServiceSurroundings surroundings_;
  etcdserverpb::RangeRequest request_;
  storage::RangeCursor cursor_;
  ReadBytes::Hold hold_;
  Completion done_;
};

}  // namespace gavel::server
