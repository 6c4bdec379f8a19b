// Carries services over gRPC: the one adapter that knows gRPC's server classes.
//
// Each I/O thread owns a completion queue and the calls that arrived on it, and runs handlers
// inline. What other threads announce (a put is applied, an event is due) is queued and costs
// one wake for each batch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/rpc/front_options.h"
#include "server/rpc/service.h"

namespace gavel::server {

class GrpcFront {
 public:
  // Listens and serves. The error names the address that is taken and why.
  //
  // `clock`, `logger` and `metrics` must outlive the front.
  static absl::StatusOr<std::unique_ptr<GrpcFront>> Start(const FrontOptions& options,
                                                          std::shared_ptr<const Router> router,
                                                          Clock& clock, Logger& logger,
                                                          Metrics& metrics);
  // Shuts down without grace if Shutdown has not run.
  ~GrpcFront();

  // Refuses new calls, ends open-ended streams as "server stopped", gives requests under way
  // `grace` to finish, and cancels the rest. Blocks. At most once.
  void Shutdown(MonotonicNs grace);

  // The port of each address, in their order (a port asked for as 0 is picked by the system).
  const std::vector<int>& ports() const;

 private:
  class Impl;
  explicit GrpcFront(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::server
