// Everything that clients can call on a member, put together.
#pragma once

#include <memory>

#include "server/metrics.h"
#include "server/node/gate.h"
#include "server/rpc/health_service.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Builds the router of the client port. The gate and the metrics must outlive all calls.
class ClientServices {
 public:
  ClientServices(Gate& gate, Metrics& metrics, const ServiceLimits& limits);

  std::shared_ptr<const Router> router() const { return router_; }
  // What the health service answers.
  void SetServing(bool serving) { health_.SetServing(serving); }

 private:
  HealthService health_;
  std::shared_ptr<Router> router_;
};

}  // namespace gavel::server
