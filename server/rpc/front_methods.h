// The methods of a front's router with their counters, and what is recorded of every call.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/rpc/front_options.h"
#include "server/rpc/rpc_metrics.h"
#include "server/rpc/service.h"

namespace gavel::server {

// How a method is called and counted. One of the two functions is set.
struct FrontMethod {
  std::string_view name;
  const UnaryMethod* unary = nullptr;
  const StreamMethod* stream = nullptr;
  bool told_when_slow = false;  // Its calls end as soon as they are carried out.
  std::unique_ptr<MethodMetrics> metrics;
};

// A call that is over.
struct EndedCall {
  const FrontMethod* method = nullptr;  // Null: not served.
  MonotonicNs started = 0;
  size_t request_bytes = 0;
  size_t response_bytes = 0;  // Of the last message.
};

// What all threads of a front share; constant once it serves.
class FrontShared {
 public:
  // The references must outlive the front.
  FrontShared(const FrontOptions& options, std::shared_ptr<const Router> router, Clock& clock,
              Logger& logger, Metrics& metrics);
  virtual ~FrontShared() = default;

  // Null: not served.
  const FrontMethod* Find(std::string_view name) const;

  void CountReceived(const FrontMethod& method, size_t bytes) const;
  void CountSent(const FrontMethod& method, size_t bytes, size_t messages = 1) const;
  // Counts the end, and logs one that took long. `peer` is called for the log line.
  void RecordEnd(const EndedCall& call, StatusCode code,
                 const std::function<std::string()>& peer) const;

  const FrontOptions options;
  const std::shared_ptr<const Router> router;
  Clock& clock;
  Logger& logger;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  void FillMethods(Metrics* metrics);

  std::unordered_map<std::string, FrontMethod, Hash, std::equal_to<>> methods_;
  Counter* sent_bytes_ = nullptr;      // Null: not counted.
  Counter* received_bytes_ = nullptr;  // Null: not counted.
};

}  // namespace gavel::server
