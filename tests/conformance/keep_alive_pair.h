// One stream of lease renewals to each server: each message has one answer, in order.
//
// Not thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "tests/conformance/servers.h"

namespace gavel::conformance {

class KeepAlivePair {
 public:
  KeepAlivePair(Servers& servers, size_t turn, Arrivals& arrivals);

  // As each side is to have it. `asked` is what the answers are compared under.
  void Send(const Operation& asked, const std::string& to_etcd, const std::string& to_gavel);
  void HalfClose();
  bool half_closed() const { return half_closed_; }

  void Drain();
  // Whether both have answered all messages, or ended; and ended, after a half-close.
  bool AtRest() const;
  bool ended() const { return etcd_.ended.has_value() || gavel_.ended.has_value(); }

  struct Exchanged {
    Operation asked;
    Answers answers;
  };
  // The messages since the last call with their answers, and how the stream ended, if it did. A
  // message that got no answer has that of the end.
  std::vector<Exchanged> Take();

 private:
  struct Half {
    std::unique_ptr<ClientStream> stream;
    std::deque<std::string> answers;
    std::optional<Answer> ended;
  };

  static Answer Next(Half* half);

  Half etcd_;
  Half gavel_;
  std::vector<Operation> asked_;
  bool half_closed_ = false;
};

}  // namespace gavel::conformance
