#include "raft/progress.h"

#include <algorithm>

namespace gavel::raft {

void InflightWindow::Add(Index last, size_t bytes) {
  sent_.push_back(Sent{last, bytes});
  bytes_ += bytes;
}

void InflightWindow::FreeTo(Index match) {
  while (!sent_.empty() && sent_.front().last <= match) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

void InflightWindow::Clear() {
  sent_.clear();
  bytes_ = 0;
}

void Progress::BecomeProbe() {
  state = State::kProbe;
  next = match.Next();
  window.Clear();
  probe_sent = false;
  older_from.reset();
  commit_told = std::min(commit_told, match);
}

void Progress::BecomeReplicate() {
  BecomeProbe();
  state = State::kReplicate;
}

void Progress::BecomeSnapshot() {
  // Before the first accepted append, what the refusals have told is all that is known.
  const Index guess = state == State::kProbe ? next : match.Next();
  BecomeProbe();
  state = State::kSnapshot;
  next = guess;
}

void Progress::EndSnapshot(Index first) {
  BecomeProbe();
  next = first;
}

bool Progress::Acknowledge(Index index) {
  if (index <= match) return false;
  match = index;
  next = std::max(next, index.Next());
  window.FreeTo(match);
  return true;
}

}  // namespace gavel::raft
