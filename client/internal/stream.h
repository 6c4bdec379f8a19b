// One bidirectional stream to one endpoint: what the Core knows about it.
//
// A stream finds its endpoint as a call does, and then lives until it is cancelled or breaks. It is
// never opened again by itself: who owns it knows what to say anew.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include "client/internal/endpoint.h"
#include "client/options.h"
#include "client/status.h"

namespace gavel::client::internal {

struct Call;

// What a stream is asked for.
struct StreamSpec {
  const char* method = "";  // Of static duration: "/etcdserverpb.Watch/Watch".
  // `timeout` is for finding an endpoint; the dial timeout if it is 0. `endpoint` must be one that
  // ParseEndpoint accepts.
  CallOptions options;
};

// What a stream tells its owner, one after the other and without a lock of the Core held: on the
// Core's thread, but for the end of a stream that had no connection yet when the Core was closed.
struct StreamEvents {
  // Messages can leave from here on; earlier ones were kept. Gives host:port.
  std::function<void(const std::string&)> opened;
  // A message came. The next one is not read before ReadOn.
  std::function<void(std::string)> message;
  // The last event. OK if the server ended it so.
  std::function<void(Status)> ended;
};

// Guarded by the Core's mutex, but for `events`, which only the Core's thread uses once it is open.
struct Stream {
  std::shared_ptr<Call> call;  // Until it has ended.
  StreamEvents events;
  EndpointPtr endpoint;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> io;
  grpc::ByteBuffer incoming;
  std::deque<grpc::ByteBuffer> outgoing;
  grpc::Status status;

  bool open = false;
  bool reading = false;
  bool read_wanted = false;
  bool writing = false;
  bool half_close_wanted = false;
  bool half_closed = false;
  bool broken = false;  // An operation failed: only the status is left to ask for.
  bool finishing = false;
  bool answered = false;
  bool left_as_silent = false;
};

using StreamPtr = std::shared_ptr<Stream>;

// Something that is to run later; the Core's thread runs it. Guarded by the Core's mutex.
struct Event;
struct Timer {
  Event* event = nullptr;  // Null once it ran or was cancelled.
  bool even_if_closing = false;
};

using TimerPtr = std::shared_ptr<Timer>;

}  // namespace gavel::client::internal
