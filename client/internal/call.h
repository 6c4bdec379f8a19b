// What the Core knows about one call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include "client/internal/deadline.h"
#include "client/internal/endpoint.h"
#include "client/internal/stream.h"
#include "client/options.h"
#include "client/status.h"

namespace gavel::client::internal {

// What a call asks for.
struct CallSpec {
  const char* method = "";  // Of static duration: "/etcdserverpb.KV/Range".
  std::string request;      // An encoded message.
  bool read_only = false;   // May be sent again although its outcome is unknown.
  CallOptions options;
};

// Runs once: with OK and the encoded response, or with the error.
using CallDone = std::function<void(Status, std::string)>;

// What a completion queue is given as a tag. Owned by the queue until it is delivered.
struct Event {
  std::function<void(bool)> run;
  std::optional<grpc::Alarm> alarm;  // Timers only.
};

// One request to one endpoint.
struct Attempt {
  EndpointPtr endpoint;
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
};

// Guarded by the Core's mutex, but for `done` and `stop` once it has ended.
struct Call {
  enum class State {
    kNew,
    kWaiting,     // For a connection.
    kCalling,     // An attempt is under way.
    kBackingOff,  // Until the timer.
    kExplaining,  // No connection could be made: asking gRPC why.
    kEnded,
  };

  const char* method = "";
  grpc::ByteBuffer request;
  bool read_only = false;
  bool require_leader = false;
  EndpointPtr only;  // Null: any.
  std::chrono::nanoseconds timeout{0};
  MonotonicUs deadline = 0;
  CallDone done;
  std::optional<std::stop_callback<std::function<void()>>> stop;

  State state = State::kNew;
  bool cancelled = false;
  int attempts = 0;
  const Endpoint* last_failed = nullptr;
  std::optional<Status> last_status;
  std::unique_ptr<Attempt> attempt;  // kCalling.
  StreamPtr stream;                  // Of a call that opens a stream, which is its one attempt.
  Event* timer = nullptr;            // The one that counts; older ones are stale.

  bool dialling_all = false;      // kWaiting: for more than one endpoint.
  bool accept_any = false;        // kWaiting: also one that failed lately.
  MonotonicUs dial_deadline = 0;  // kWaiting.

  std::vector<std::unique_ptr<Attempt>> probes;  // kExplaining.
  size_t probes_left = 0;
};

using CallPtr = std::shared_ptr<Call>;

}  // namespace gavel::client::internal
