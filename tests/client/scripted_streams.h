// A server in this process whose streams do and say what a test tells them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

namespace gavel::client::testing {

// One call, unary ones included: messages in, messages out, a status. Thread-safe.
class ScriptedStream {
 public:
  ScriptedStream(std::string method, std::multimap<std::string, std::string> metadata)
      : method_(std::move(method)), metadata_(std::move(metadata)) {}

  const std::string& method() const { return method_; }  // "Watch".
  const std::multimap<std::string, std::string>& metadata() const { return metadata_; }

  // Queues a message; it leaves as the client lets it.
  void Send(std::string message);
  template <class Message>
  void Send(const Message& message) {
    Send(message.SerializeAsString());
  }
  // Ends the call when what was queued has left.
  void Finish(grpc::StatusCode code = grpc::StatusCode::OK, std::string text = "");

  // Messages that have left.
  size_t sent() const;
  bool half_closed() const;
  bool ended() const;

 private:
  friend class StreamReactor;

  void Move();  // Needs mutex_.

  const std::string method_;
  const std::multimap<std::string, std::string> metadata_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  grpc::ServerGenericBidiReactor* reactor_ = nullptr;
  std::deque<grpc::ByteBuffer> outgoing_;
  bool writing_ = false;
  bool finish_wanted_ = false;
  bool finished_ = false;
  grpc::Status status_;
  size_t sent_ = 0;
  bool half_closed_ = false;
  bool ended_ = false;
};

using ScriptedStreamPtr = std::shared_ptr<ScriptedStream>;

// Thread-safe. The handler runs for each message of a stream, in order.
class StreamServer {
 public:
  using Handler = std::function<void(const ScriptedStreamPtr&, const std::string&)>;

  // Listens on a free port of loopback, or on `port`.
  explicit StreamServer(Handler handler, int port = 0);
  // Breaks off what is under way.
  ~StreamServer();

  int port() const { return port_; }
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  // All calls so far, the oldest first.
  std::vector<ScriptedStreamPtr> streams() const;
  std::vector<ScriptedStreamPtr> streams(const std::string& method) const;

  // For the service.
  ScriptedStreamPtr Accept(grpc::GenericCallbackServerContext* context);
  void Handle(const ScriptedStreamPtr& stream, const std::string& message) {
    handler_(stream, message);
  }

 private:
  class Service;

  Handler handler_;
  mutable std::mutex mutex_;
  std::vector<ScriptedStreamPtr> streams_;  // Guarded by mutex_.
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace gavel::client::testing
