// gRPC's health service, for load balancers and probes.
#pragma once

#include <memory>

#include "server/rpc/service.h"

namespace gavel::server {

// Knows one service, the server as a whole. Thread-safe.
class HealthService {
 public:
  HealthService();
  ~HealthService();

  // Adds the methods of grpc.health.v1.Health.
  void AddTo(Router& router);
  // Tells all who watch.
  void SetServing(bool serving);

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace gavel::server
