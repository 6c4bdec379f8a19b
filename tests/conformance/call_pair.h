// One call under way on both servers: of a unary method that may wait for another client, or of one
// that answers more than once.
//
// Not thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "tests/conformance/servers.h"

namespace gavel::conformance {

class CallPair {
 public:
  // Sends the request, as each side is to have it. `arrivals` must outlive the call.
  CallPair(Servers& servers, const Operation& to_etcd, const Operation& to_gavel, size_t turn,
           Arrivals& arrivals);

  void Drain();
  // Whether each has an answer that has not been taken, or has ended; of a unary call, both.
  bool answered() const;
  // Whether one of them has something that has not been taken.
  bool anything() const;
  // The next answers. Without one, how the call has ended.
  Answers Take();

 private:
  struct Half {
    std::unique_ptr<ClientStream> stream;
    std::deque<std::string> answers;
    std::optional<Answer> ended;
  };

  bool answered(const Half& half) const;
  static Answer Next(Half* half);

  const bool unary_;
  Half etcd_;
  Half gavel_;
};

}  // namespace gavel::conformance
