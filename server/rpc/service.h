// What a service is, whatever carries it: requests in as bytes, responses out as bytes.
//
// Services know nothing of gRPC. An adapter (server/http2) finds the method in the
// Router, hands it the request and carries the answer back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

#include "server/clock.h"
#include "server/encoded.h"
#include "server/executor.h"
#include "server/rpc/message_block.h"
#include "server/rpc/status.h"

namespace gavel::server {

// What a service may know of a call besides the request.
struct CallContext {
  std::vector<std::pair<std::string, std::string>> metadata;
  std::optional<MonotonicNs> deadline;
  std::string peer;                    // Address of the client, for log lines.
  std::shared_ptr<Executor> executor;  // Null: run where you are.

  // First value of the metadata `key` (lower case), or nothing.
  std::optional<std::string_view> Find(std::string_view key) const;
};

// Ends a unary call. Runs at most once, on any thread; cheap for the caller. One that is dropped
// without having run ends the call as "server stopped".
using Completion = absl::AnyInvocable<void(RpcStatus, Encoded) &&>;

// A unary method. Runs on an I/O thread and must not block.
using UnaryMethod = std::function<void(std::string request, CallContext, Completion)>;

// The adapter's side of a streaming call. Thread-safe; outlives the call for its handler.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // Queues one message; returns the bytes queued and not yet taken by the network. Above
  // high_mark() the handler should wait for OnWritable.
  virtual size_t Write(Encoded message) = 0;
  // The same for several messages at once.
  virtual size_t WriteBlock(MessageBlock block);
  // After a Write: the mark that it went by.
  virtual size_t high_mark() const = 0;
  // Ends the call once everything queued is sent. At most once; nothing may follow.
  virtual void Finish(RpcStatus status) = 0;
};

// The service's side of a streaming call. Calls come one at a time, from any thread.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void OnMessage(std::string message) = 0;
  virtual void OnHalfClose() {}  // The client will send no more.
  virtual void OnWritable() {}   // The queue has fallen below a quarter of the high mark.
  virtual void OnCancel() {}     // The call is over; nothing more will be sent.
  // Whether it ends soon without more from the client; a draining server waits for those.
  virtual bool EndsByItself() const { return false; }
};

// A streaming method (of any direction). Called when the call begins.
using StreamMethod =
    std::function<std::shared_ptr<StreamHandler>(CallContext, std::shared_ptr<StreamWriter>)>;

// kUnary: one message each way, served as a stream because its answer may have to be waited for.
enum class StreamShape : uint8_t { kUnary, kClientStream, kServerStream, kBidi };

// Finds a method by its full name, "/package.Service/Method".
//
// Filled before it is handed to an adapter, and never changed after.
class Router {
 public:
  void AddUnary(std::string name, UnaryMethod method);
  void AddStream(std::string name, StreamMethod method, StreamShape shape = StreamShape::kBidi);
  // A service that the contract has, also if this release serves none of its methods.
  void AddService(std::string name);

  const UnaryMethod* FindUnary(std::string_view name) const;
  const StreamMethod* FindStream(std::string_view name) const;
  // The error for a method that does not exist or is not served, with etcd's text.
  RpcStatus Unknown(std::string_view name) const;

  struct Stream {
    StreamMethod method;
    StreamShape shape;
  };
  const std::map<std::string, UnaryMethod, std::less<>>& unary() const { return unary_; }
  const std::map<std::string, Stream, std::less<>>& streams() const { return streams_; }

 private:
  std::map<std::string, UnaryMethod, std::less<>> unary_;
  std::map<std::string, Stream, std::less<>> streams_;
  std::set<std::string, std::less<>> services_;
};

}  // namespace gavel::server
