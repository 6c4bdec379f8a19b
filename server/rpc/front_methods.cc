#include "server/rpc/front_methods.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

// A range in pieces. Other streams last as long as their clients want.
constexpr std::string_view kRangeStreamMethod = "/etcdserverpb.KV/RangeStream";

std::string_view TypeName(StreamShape shape) {
  switch (shape) {
    case StreamShape::kUnary:
      return "unary";
    case StreamShape::kClientStream:
      return "client_stream";
    case StreamShape::kServerStream:
      return "server_stream";
    case StreamShape::kBidi:
      break;
  }
  return "bidi_stream";
}

}  // namespace

FrontShared::FrontShared(const FrontOptions& front_options, std::shared_ptr<const Router> methods,
                         Clock& front_clock, Logger& front_logger, Metrics& metrics)
    : options(front_options), router(std::move(methods)), clock(front_clock), logger(front_logger) {
  const bool counts = !options.metrics_prefix.empty();
  FillMethods(counts ? &metrics : nullptr);
  if (!counts) return;
  const std::string name = absl::StrCat("etcd_network_", options.metrics_prefix);
  sent_bytes_ = &metrics.AddCounter(absl::StrCat(name, "_sent_bytes_total"),
                                    "The total number of bytes sent to grpc clients.");
  received_bytes_ = &metrics.AddCounter(absl::StrCat(name, "_received_bytes_total"),
                                        "The total number of bytes received from grpc clients.");
}

void FrontShared::FillMethods(Metrics* metrics) {
  const bool durations = options.extensive_metrics;
  const auto add = [&](const std::string& name, std::string_view type) -> FrontMethod& {
    const auto added = methods_.try_emplace(name).first;
    FrontMethod& method = added->second;
    method.name = added->first;
    method.metrics = std::make_unique<MethodMetrics>(metrics, name, type, durations);
    return method;
  };
  for (const auto& [name, unary] : router->unary()) {
    FrontMethod& method = add(name, "unary");
    method.unary = &unary;
    method.told_when_slow = true;
  }
  for (const auto& [name, stream] : router->streams()) {
    FrontMethod& method = add(name, TypeName(stream.shape));
    method.stream = &stream.method;
    method.told_when_slow = name == kRangeStreamMethod;
  }
}

const FrontMethod* FrontShared::Find(std::string_view name) const {
  const auto found = methods_.find(name);
  return found == methods_.end() ? nullptr : &found->second;
}

void FrontShared::CountReceived(const FrontMethod& method, size_t bytes) const {
  if (received_bytes_ != nullptr) received_bytes_->Increment(static_cast<double>(bytes));
  method.metrics->OnReceived();
}

void FrontShared::CountSent(const FrontMethod& method, size_t bytes, size_t messages) const {
  if (sent_bytes_ != nullptr && bytes > 0) sent_bytes_->Increment(static_cast<double>(bytes));
  method.metrics->OnSent(messages);
}

void FrontShared::RecordEnd(const EndedCall& call, StatusCode code,
                            const std::function<std::string()>& peer) const {
  if (call.method == nullptr) return;
  const MonotonicNs took = clock.Now() - call.started;
  call.method->metrics->OnHandled(code, took);
  const MonotonicNs limit = options.warning_unary_duration;
  if (!call.method->told_when_slow || limit <= 0 || took < limit) return;
  logger.Warn("slow request", {{"method", call.method->name},
                               {"took_ms", took / kNsPerMs},
                               {"limit_ms", limit / kNsPerMs},
                               {"code", CodeName(code)},
                               {"request_bytes", call.request_bytes},
                               {"response_bytes", call.response_bytes},
                               {"peer", peer()}});
}

}  // namespace gavel::server
