// A front on loopback with methods for tests, and a client that sends raw messages to it.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/clock.h"
#include "server/http2/http2_front.h"
#include "server/logging.h"
#include "server/metrics.h"

namespace gavel::testing {

// Keeps the lines written to it.
class KeptLog final : public server::Logger {
 public:
  void Write(server::LogLevel level, std::string_view message,
             std::initializer_list<server::LogField> fields) override;
  void Flush() override {}
  std::vector<std::string> lines();

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

struct ClientAnswer {
  grpc::Status status;
  std::string response;
};

using ClientMetadata = std::multimap<std::string, std::string>;

grpc::ByteBuffer ToBuffer(const std::string& bytes);
std::string ToString(const grpc::ByteBuffer& buffer);

// A unary call that blocks. `timeout_ms` 0: no deadline.
ClientAnswer CallUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                       const std::string& request, int timeout_ms = 20000,
                       const ClientMetadata& metadata = {});

// A stream whose every operation blocks until it has happened.
class ClientStream {
 public:
  ClientStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method);
  ~ClientStream();

  bool Write(const std::string& message);
  bool HalfClose();
  // The next message; false at the end.
  bool Read(std::string* message);
  grpc::Status Finish();
  void Cancel() { context_.TryCancel(); }

 private:
  bool Wait();

  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// A channel of its own connection.
std::shared_ptr<grpc::Channel> Connect(int port);

// What a front needs, and the front.
class FrontFixture {
 public:
  // Fails the test if the front does not start.
  explicit FrontFixture(std::shared_ptr<const server::Router> router,
                        server::Http2FrontOptions options = {});

  int port() const { return front->ports()[0]; }
  std::shared_ptr<grpc::Channel> NewChannel() const { return Connect(port()); }

  server::SystemClock clock;
  KeptLog log;
  server::Metrics metrics;
  std::unique_ptr<server::Http2Front> front;
};

// Waits for things that happen on other threads.
class Signal {
 public:
  void Set();
  // False if it was not set within ten seconds.
  bool Wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace gavel::testing
