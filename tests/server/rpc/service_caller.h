// Calls services without a transport: requests in as messages, answers out as messages.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/metrics.h"
#include "server/rpc/client_services.h"
#include "tests/server/rpc/test_gate.h"

namespace gavel::testing {

template <class Response>
struct Answer {
  server::RpcStatus status;
  Response response;
};

inline std::string Bytes(const server::Encoded& message) {
  std::string bytes;
  for (const auto& slice : message.slices()) bytes += slice.bytes;
  return bytes;
}

// Keeps what a stream handler writes; full above `high` bytes until Drain.
class KeptWriter final : public server::StreamWriter {
 public:
  explicit KeptWriter(size_t high = 1 << 30) : high_(high) {}

  size_t Write(server::Encoded message) override {
    EXPECT_FALSE(status) << "written after the end";
    queued_ += message.bytes();
    messages.push_back(Bytes(message));
    return queued_;
  }
  size_t high_mark() const override { return high_; }
  void Finish(server::RpcStatus end) override {
    EXPECT_FALSE(status) << "finished twice";
    status = std::move(end);
  }
  void Drain() { queued_ = 0; }

  std::vector<std::string> messages;
  std::optional<server::RpcStatus> status;

 private:
  const size_t high_;
  size_t queued_ = 0;
};

// The services of a client port over a gate that answers in place.
class ServiceCaller {
 public:
  explicit ServiceCaller(const server::ServiceLimits& limits = {})
      : services(gate, metrics, limits) {}

  // Requires: the answer comes at once.
  template <class Response>
  Answer<Response> CallBytes(const std::string& method, std::string request,
                             server::CallContext context = {}) {
    Answer<Response> answer;
    const server::UnaryMethod* unary = services.router()->FindUnary(method);
    if (unary == nullptr) {
      ADD_FAILURE() << method;
      return answer;
    }
    bool answered = false;
    (*unary)(std::move(request), std::move(context),
             [&](server::RpcStatus status, server::Encoded message) {
               EXPECT_FALSE(std::exchange(answered, true));
               answer.status = std::move(status);
               EXPECT_TRUE(answer.response.ParseFromString(Bytes(message)));
             });
    EXPECT_TRUE(answered) << method;
    return answer;
  }

  template <class Response, class Request>
  Answer<Response> Call(const std::string& method, const Request& request,
                        server::CallContext context = {}) {
    return CallBytes<Response>(method, request.SerializeAsString(), std::move(context));
  }

  TestGate gate;
  server::Metrics metrics;
  server::ClientServices services;
};

}  // namespace gavel::testing
