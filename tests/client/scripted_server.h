// A server in this process that answers as a test says, and a proxy that cuts answers off.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

namespace gavel::client::testing {

// One request as it came.
struct Request {
  std::string method;  // "Put".
  std::string body;
  std::multimap<std::string, std::string> metadata;
};

// What to do with it.
struct Answer {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string text;    // Of the status.
  std::string body;    // The encoded response, if OK.
  bool never = false;  // Stays silent until the caller gives up.

  static Answer Error(grpc::StatusCode code, std::string text);
  template <class Message>
  static Answer Ok(const Message& message) {
    Answer answer;
    answer.body = message.SerializeAsString();
    return answer;
  }
};

// Thread-safe. Every request is kept.
class ScriptedServer {
 public:
  using Handler = std::function<Answer(const Request&)>;

  // Listens on a free port of loopback, or on `port`.
  explicit ScriptedServer(Handler handler, int port = 0);
  // Breaks off what is under way.
  ~ScriptedServer();

  int port() const { return port_; }
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> requests() const;
  size_t count() const { return requests().size(); }

  // For the service.
  Answer Handle(Request request);

 private:
  class Service;

  Handler handler_;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// A port of loopback that was free a moment ago: nobody listens there.
int UnusedPort();

// Accepts connections and never says a word.
class SilentPort {
 public:
  SilentPort();
  ~SilentPort();
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;  // Set while fd_ is made.
  int fd_;
};

// Carries one connection at a time to `target`; when told to, breaks it after some more bytes of
// the server's.
class CuttingProxy {
 public:
  explicit CuttingProxy(int to_port);
  ~CuttingProxy();
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  // The connection breaks after this many further bytes have come from the server.
  void CutAfter(int64_t bytes) { bytes_left_ = bytes; }
  bool was_cut() const { return cut_; }

 private:
  void Run();
  void Carry(int from_client);

  int port_ = 0;  // Set while listener_ is made.
  int listener_;
  int to_port_;
  std::atomic<int64_t> bytes_left_{INT64_MAX};
  std::atomic<bool> cut_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace gavel::client::testing
