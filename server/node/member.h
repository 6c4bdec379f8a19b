// A running member: a node's stages, each on a thread of its own.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

#include "server/node/node.h"

namespace gavel::server {

class Member {
 public:
  // Starts the threads. `clock` as the node's.
  Member(std::unique_ptr<Node> node, const Clock& clock, uint32_t background_threads);
  // Stops without ceremony, as a crash would, unless Stop was called.
  ~Member();

  Node& node() { return *node_; }
  Gate& gate() { return node_->gate(); }

  // The clean stop: refuses what comes, hands leadership over, lets what waits end (up to an
  // election timeout and a second), and makes everything durable. Returns whether that succeeded.
  absl::Status Stop(MonotonicNs election_timeout);

 private:
  void RunCore();
  void RunLog();
  void RunApply();
  void RunBackground();
  void JoinAll();
  // Sleeps until `until`.
  void Rest(MonotonicNs until) const;
  // Waits until `done` or for `at_most`.
  void Await(MonotonicNs at_most, const std::function<bool()>& done) const;

  const std::unique_ptr<Node> node_;
  const Clock& clock_;
  std::vector<std::thread> threads_;
};

}  // namespace gavel::server
