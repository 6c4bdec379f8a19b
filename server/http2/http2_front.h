// Carries services over gRPC's protocol on our own HTTP/2, for the clients' port.
//
// A call costs a fraction of what it costs gRPC's library; see the README for how.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/http2/http2_options.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/rpc/service.h"

namespace gavel::server {

class Http2Front {
 public:
  // Listens and serves. The error names the address that is taken and why.
  //
  // `clock`, `logger` and `metrics` must outlive the front.
  static absl::StatusOr<std::unique_ptr<Http2Front>> Start(const Http2FrontOptions& options,
                                                           std::shared_ptr<const Router> router,
                                                           Clock& clock, Logger& logger,
                                                           Metrics& metrics);
  // Shuts down without grace if Shutdown has not run.
  ~Http2Front();

  // Refuses new calls, ends open-ended streams as "server stopped", gives requests under way
  // `grace` to finish, and ends the rest as "server stopped" too. A call that arrives meanwhile
  // has had no effect, and its client is told so. Blocks. At most once.
  void Shutdown(MonotonicNs grace);

  // The port of each address, in their order (a port asked for as 0 is picked by the system); 0
  // for a local socket.
  const std::vector<int>& ports() const;

 private:
  class Impl;
  explicit Http2Front(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::server
