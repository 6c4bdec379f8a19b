// One stream to one server: messages out, messages in, as bytes.
//
// What comes in is collected by gRPC's threads until it is taken. Safe to use from one thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <grpcpp/generic/generic_stub.h>

#include "tests/conformance/operation.h"

namespace gavel::conformance {

// Told whenever any stream has received something, so that one thread can wait for all of them.
class Arrivals {
 public:
  void Tell();
  // Waits until more has been told than `seen`, or `deadline` has passed. Returns what is told.
  uint64_t Wait(uint64_t seen, std::chrono::steady_clock::time_point deadline);
  uint64_t told();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t told_ = 0;
};

class ClientStream {
 public:
  // `arrivals` must outlive the stream.
  ClientStream(grpc::GenericStub& stub, const std::string& method, Arrivals& arrivals);
  // Cancels what has not ended, and waits until it has.
  ~ClientStream();
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  // Messages are sent one after another. What the server no longer takes is lost.
  void Send(std::string_view body);
  void HalfClose();
  void Cancel();

  struct Arrived {
    std::vector<std::string> messages;
    std::optional<Answer> ended;  // How, without a body.
  };
  // Returns what has come since the last call. That the stream has ended is told once more with
  // each call.
  Arrived Take();

 private:
  class Reactor;

  std::unique_ptr<Reactor> reactor_;
};

}  // namespace gavel::conformance
