#include "tests/conformance/call_pair.h"

#include <utility>

namespace gavel::conformance {

CallPair::CallPair(Servers& servers, const Operation& to_etcd, const Operation& to_gavel,
                   size_t turn, Arrivals& arrivals)
    : unary_(to_etcd.method != kObserveMethod) {
  etcd_.stream = servers.Open(Who::kEtcd, to_etcd.method, turn, arrivals);
  gavel_.stream = servers.Open(Who::kGavel, to_gavel.method, turn, arrivals);
  etcd_.stream->Send(to_etcd.body);
  gavel_.stream->Send(to_gavel.body);
  etcd_.stream->HalfClose();
  gavel_.stream->HalfClose();
}

void CallPair::Drain() {
  for (Half* half : {&etcd_, &gavel_}) {
    ClientStream::Arrived arrived = half->stream->Take();
    for (std::string& message : arrived.messages) half->answers.push_back(std::move(message));
    half->ended = std::move(arrived.ended);
  }
}

bool CallPair::answered(const Half& half) const {
  return half.ended.has_value() || (!unary_ && !half.answers.empty());
}

bool CallPair::answered() const { return answered(etcd_) && answered(gavel_); }

bool CallPair::anything() const { return answered(etcd_) || answered(gavel_); }

Answer CallPair::Next(Half* half) {
  if (half->answers.empty()) return half->ended.value_or(Answer{-1, "no answer", ""});
  Answer answer{0, "", std::move(half->answers.front())};
  half->answers.pop_front();
  return answer;
}

Answers CallPair::Take() {
  Answer etcd = Next(&etcd_);
  Answer gavel = Next(&gavel_);
  return {std::move(etcd), std::move(gavel)};
}

}  // namespace gavel::conformance
