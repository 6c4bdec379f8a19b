#include "tests/conformance/keep_alive_pair.h"

#include <utility>

namespace gavel::conformance {

KeepAlivePair::KeepAlivePair(Servers& servers, size_t turn, Arrivals& arrivals) {
  etcd_.stream = servers.Open(Who::kEtcd, kKeepAliveMethod, turn, arrivals);
  gavel_.stream = servers.Open(Who::kGavel, kKeepAliveMethod, turn, arrivals);
}

void KeepAlivePair::Send(const Operation& asked, const std::string& to_etcd,
                         const std::string& to_gavel) {
  etcd_.stream->Send(to_etcd);
  gavel_.stream->Send(to_gavel);
  asked_.push_back(asked);
}

void KeepAlivePair::HalfClose() {
  half_closed_ = true;
  etcd_.stream->HalfClose();
  gavel_.stream->HalfClose();
}

void KeepAlivePair::Drain() {
  for (Half* half : {&etcd_, &gavel_}) {
    ClientStream::Arrived arrived = half->stream->Take();
    for (std::string& message : arrived.messages) half->answers.push_back(std::move(message));
    half->ended = std::move(arrived.ended);
  }
}

bool KeepAlivePair::AtRest() const {
  for (const Half* half : {&etcd_, &gavel_}) {
    if (half->ended.has_value()) continue;
    if (half_closed_ || half->answers.size() < asked_.size()) return false;
  }
  return true;
}

Answer KeepAlivePair::Next(Half* half) {
  if (half->answers.empty()) return half->ended.value_or(Answer{-1, "no answer", ""});
  Answer answer{0, "", std::move(half->answers.front())};
  half->answers.pop_front();
  return answer;
}

std::vector<KeepAlivePair::Exchanged> KeepAlivePair::Take() {
  std::vector<Exchanged> exchanged;
  for (Operation& asked : std::exchange(asked_, {})) {
    Answer etcd = Next(&etcd_);
    Answer gavel = Next(&gavel_);
    exchanged.push_back({std::move(asked), {std::move(etcd), std::move(gavel)}});
  }
  // Answers to nothing, and the end, are compared under a message that nobody sent.
  while (!etcd_.answers.empty() || !gavel_.answers.empty()) {
    Answer etcd = Next(&etcd_);
    Answer gavel = Next(&gavel_);
    exchanged.push_back({{kKeepAliveMethod, ""}, {std::move(etcd), std::move(gavel)}});
  }
  if (ended()) {
    exchanged.push_back({{kKeepAliveMethod, ""}, {Next(&etcd_), Next(&gavel_)}});
  }
  return exchanged;
}

}  // namespace gavel::conformance
