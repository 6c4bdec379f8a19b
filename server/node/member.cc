#include "server/node/member.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace gavel::server {
namespace {

constexpr MonotonicNs kDrainTime = kNsPerSecond;
constexpr MonotonicNs kAwaitStep = 2 * kNsPerMs;

std::thread NamedThread(const char* name, std::function<void()> run) {
  return std::thread([name, run = std::move(run)] {
    pthread_setname_np(pthread_self(), name);
    run();
  });
}

// What to wait for until `at` (0: without end).
std::optional<std::chrono::nanoseconds> Until(MonotonicNs at, MonotonicNs now) {
  if (at == 0) return std::nullopt;
  return std::chrono::nanoseconds(std::max<MonotonicNs>(0, at - now));
}

}  // namespace

Member::Member(std::unique_ptr<Node> node, const Clock& clock, uint32_t background_threads)
    : node_(std::move(node)), clock_(clock) {
  threads_.push_back(NamedThread("gavel-core", [this] { RunCore(); }));
  threads_.push_back(NamedThread("gavel-log", [this] { RunLog(); }));
  threads_.push_back(NamedThread("gavel-apply", [this] { RunApply(); }));
  for (uint32_t i = 0; i < std::max<uint32_t>(1, background_threads); ++i) {
    threads_.push_back(NamedThread("gavel-back", [this] { RunBackground(); }));
  }
}

Member::~Member() { JoinAll(); }

void Member::RunCore() {
  auto& inbox = node_->queues().core;
  PeerTransport& transport = node_->transport();
  while (!inbox.closed()) {
    const bool busy = node_->RunCore();
    Rest(node_->core().RestUntil());
    if (busy || !inbox.BeginWait()) {
      transport.Poll(std::chrono::nanoseconds(0));
      continue;
    }
    transport.Poll(Until(node_->core().NextWake(), clock_.Now()));
    inbox.EndWait();
  }
}

void Member::RunLog() {
  auto& inbox = node_->queues().log;
  while (!inbox.closed()) {
    if (!node_->RunLog()) inbox.Wait(Until(node_->log().NextMark(), clock_.Now()));
  }
}

void Member::RunApply() {
  auto& inbox = node_->queues().apply;
  while (!inbox.closed()) {
    if (!node_->RunApply()) inbox.Wait(Until(node_->apply().NextWake(), clock_.Now()));
  }
}

void Member::RunBackground() {
  Background& background = node_->queues().background;
  while (background.Wait()) background.RunOnce();
}

void Member::JoinAll() {
  Queues& queues = node_->queues();
  queues.core.Close();
  queues.log.Close();
  queues.apply.Close();
  queues.background.Close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Member::Rest(MonotonicNs until) const {
  const MonotonicNs now = clock_.Now();
  // Nothing wakes it: what is queued meanwhile costs nobody a wake.
  if (now < until) Inbox<int>(1).Wait(std::chrono::nanoseconds(until - now));
}

void Member::Await(MonotonicNs at_most, const std::function<bool()>& done) const {
  const MonotonicNs until = clock_.Now() + at_most;
  Inbox<int> nothing(1);
  while (!done() && clock_.Now() < until) nothing.Wait(std::chrono::nanoseconds(kAwaitStep));
}

absl::Status Member::Stop(MonotonicNs election_timeout) {
  MemberGate& gate = node_->gate();
  gate.Close();
  Await(kDrainTime, [&gate] { return gate.idle(); });
  if (gate.status().raft.role == raft::Role::kLeader && gate.members()->size() > 1) {
    node_->HandOver();
    Await(election_timeout, [&gate] {
      const raft::Status status = gate.status().raft;
      return status.role != raft::Role::kLeader && status.leader.has_value();
    });
  }
  JoinAll();
  node_->Finish();
  return node_->failure();
}

}  // namespace gavel::server
