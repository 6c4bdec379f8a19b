#include "tests/server/rpc/test_gate.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "gtest/gtest.h"

#include "proto/internal/command.pb.h"
#include "storage/state/membership.h"
#include "storage/state/semantics.h"

namespace gavel::testing {

using server::CommandField;
using server::GateResult;
using server::MonotonicNs;

namespace {

// A command whose body is `request`, as the bytes that came.
raft::Payload EncodeCommand(uint64_t sequence, CommandField field, const std::string& request) {
  internal::Command command;
  command.set_semantics(storage::SemanticsVersion());
  command.set_member(TestGate::kMember.value());
  command.set_incarnation(1);
  command.set_sequence(sequence);
  std::string bytes = command.SerializeAsString();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.WriteTag(static_cast<uint32_t>(field) << 3 | 2);
    out.WriteVarint32(static_cast<uint32_t>(request.size()));
    out.WriteString(request);
  }
  return std::make_shared<const std::string>(std::move(bytes));
}

storage::InitialState OneMember() {
  storage::InitialState initial;
  initial.configuration.members = {{TestGate::kMember, {"http://127.0.0.1:2380"}}};
  initial.configuration.voters = {TestGate::kMember};
  storage::MemberRecord record;
  record.id = TestGate::kMember;
  record.name = "one";
  record.peer_urls = {"http://127.0.0.1:2380"};
  record.client_urls = {"http://127.0.0.1:2379"};
  initial.members = {record};
  return initial;
}

}  // namespace

TestGate::TestGate(Mode mode) : mode_(mode), engine_(std::make_shared<storage::MapEngine>()) {
  auto machine = storage::StateMachine::Open(engine_, OneMember(), {});
  EXPECT_TRUE(machine.ok()) << machine.status();
  machine_ = *std::move(machine);
  SetWatchLimits({});
  if (mode_ == Mode::kThread) thread_ = std::thread([this] { Main(); });
}

TestGate::~TestGate() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TestGate::SetWatchLimits(const server::WatchLimits& limits) {
  watches_ = std::make_unique<server::WatchHub>(
      limits,
      server::WatchHub::Surroundings{
          &clock_, [this] { return machine_->view(); },
          [this](absl::AnyInvocable<bool()> step) { RunInBackground(std::move(step)); },
          [this](MonotonicNs at, absl::AnyInvocable<bool()> step) { RunAt(at, std::move(step)); }});
}

void TestGate::Propose(CommandField field, std::string request, std::optional<MonotonicNs>,
                       server::ProposeDone done) {
  Post([this, field, request = std::move(request), done = std::move(done)]() mutable {
    server::ProposeResult result;
    result.term = kTerm;
    result.result = propose_result_;
    if (result.result == GateResult::kOk) {
      result.outcome = Apply(field, request);
      if (result.outcome.error != storage::RequestError::kNone) {
        result.result = GateResult::kRefused;
      }
    }
    std::move(done)(std::move(result));
    return false;
  });
}

void TestGate::RenewLease(int64_t id, std::optional<MonotonicNs> deadline, server::RenewDone done) {
  internal::RenewLeases renew;
  renew.add_ids(id);
  Propose(CommandField::kRenewLeases, renew.SerializeAsString(), deadline,
          [done = std::move(done)](server::ProposeResult result) mutable {
            const auto* renewed = std::get_if<storage::RenewOutcome>(&result.outcome.response);
            std::move(done)(result.result, renewed != nullptr ? renewed->ttl_seconds[0] : 0);
          });
}

storage::CommandOutcome TestGate::Apply(CommandField field, const std::string& request) {
  storage::CommandOutcome outcome;
  {
    std::lock_guard lock(apply_mutex_);
    proposals_.emplace_back(field, request);
    raft::Entry entry;
    entry.index = raft::Index(++applied_);
    entry.term = kTerm;
    entry.kind = raft::EntryKind::kCommand;
    entry.payload = EncodeCommand(applied_, field, request);
    const bool asked = watches_->wants_changes();
    auto result = machine_->Apply(std::span(&entry, 1),
                                  {kMember, raft::Incarnation(1), asked, response_bytes_max_});
    EXPECT_TRUE(result.ok()) << result.status();
    outcome = std::move(result->outcomes.front());
    untold_.push_back({std::move(result->changes), asked, machine_->view()});
  }
  TellWatches();
  return outcome;
}

void TestGate::ChangeMembers(const internal::ChangeMembers& change,
                             std::optional<MonotonicNs> deadline, server::ProposeDone done) {
  Propose(CommandField::kChangeMembers, change.SerializeAsString(), deadline,
          [this, done = std::move(done)](server::ProposeResult result) mutable {
            if (result.result == GateResult::kOk) ApplyWanted();
            std::move(done)(std::move(result));
          });
}

void TestGate::ApplyWanted() {
  raft::Configuration configuration;
  const auto wanted = membership();
  for (const storage::WantedMember& member : wanted->members) {
    if (member.leaves || !member.replaced_by.is_none()) continue;
    configuration.members.push_back({member.id, member.peer_urls});
    if (!member.learner) configuration.voters.push_back(member.id);
  }
  std::lock_guard lock(apply_mutex_);
  raft::Entry entry;
  entry.index = raft::Index(++applied_);
  entry.term = kTerm;
  entry.kind = raft::EntryKind::kConfiguration;
  entry.payload = std::make_shared<const std::string>(raft::EncodeConfiguration(configuration));
  EXPECT_TRUE(machine_->Apply(std::span(&entry, 1), {}).ok());
}

std::optional<MonotonicNs> TestGate::ConnectedFor(raft::NodeId peer) const {
  const auto time = connected_.find(peer);
  if (time == connected_.end()) return std::nullopt;
  return time->second;
}

void TestGate::SetConnected(raft::NodeId peer, std::optional<MonotonicNs> time) {
  connected_.erase(peer);
  if (time.has_value()) connected_[peer] = *time;
}

void TestGate::Publish(raft::NodeId member, const std::string& name) {
  internal::PublishMember publish;
  publish.set_id(member.value());
  publish.set_name(name);
  Apply(CommandField::kPublishMember, publish.SerializeAsString());
}

void TestGate::TellWatches() {
  std::unique_lock lock(apply_mutex_);
  if (std::exchange(telling_, true)) return;
  while (!untold_.empty()) {
    Applied applied = std::move(untold_.front());
    untold_.pop_front();
    lock.unlock();
    watches_->OnApplied(std::move(applied.changes), applied.asked, *applied.view);
    lock.lock();
  }
  telling_ = false;
}

void TestGate::Read(std::optional<MonotonicNs>, server::ReadDone done) {
  ++reads_;
  Post([this, done = std::move(done)]() mutable {
    server::ReadResult result;
    result.result = read_result_;
    if (result.result == GateResult::kOk) result.view = machine_->view();
    std::move(done)(std::move(result));
    return false;
  });
}

void TestGate::DamageVersions() {
  storage::WriteBatch batch;
  {
    const auto rows = engine_->NewIterator(storage::Family::kVersions);
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      batch.Put(storage::Family::kVersions, rows->key(), "\xff");
    }
  }
  EXPECT_TRUE(engine_->Write(batch).ok());
}

std::shared_ptr<const std::vector<storage::MemberRecord>> TestGate::members() const {
  return machine_->members();
}

server::MemberStatus TestGate::status() const {
  server::MemberStatus status;
  status.cluster_id = kCluster;
  status.raft.id = kMember;
  status.raft.term = kTerm;
  if (has_leader_) status.raft.leader = kMember;
  if (has_leader_ && leads_) status.raft.role = raft::Role::kLeader;
  status.raft.commit = raft::Index(12);
  status.applied = raft::Index(11);
  status.learner = learner_;
  status.db_bytes = 4096;
  status.db_in_use_bytes = 1024;
  status.quota_bytes = 1 << 30;
  status.errors = {"the disk does not answer"};
  return status;
}

void TestGate::WhenCollected(storage::Revision compacted, std::optional<MonotonicNs>,
                             absl::AnyInvocable<void(GateResult) &&> done) {
  Post([this, compacted, done = std::move(done)]() mutable {
    std::unique_ptr<storage::Collector> collector;
    {
      std::lock_guard lock(apply_mutex_);
      auto opened = storage::Collector::Open(engine_);
      EXPECT_TRUE(opened.ok());
      collector = *std::move(opened);
      while (true) {
        auto batch = collector->Plan(machine_->view()->compacted, 0, 100);
        EXPECT_TRUE(batch.ok());
        if (batch->empty()) break;
        EXPECT_TRUE(engine_->Write(*batch).ok());
        collector->OnWritten();
      }
    }
    EXPECT_GE(collector->collected(), compacted);
    std::move(done)(GateResult::kOk);
    return false;
  });
}

void TestGate::MoveLeader(raft::NodeId target, std::optional<MonotonicNs>,
                          absl::AnyInvocable<void(GateResult) &&> done) {
  moves_.push_back(target);
  std::move(done)(move_result_);
}

absl::Status TestGate::StartCompaction() {
  ++compactions_;
  return compaction_status_;
}

void TestGate::RunInBackground(absl::AnyInvocable<bool()> step) {
  {
    std::lock_guard lock(mutex_);
    if (hold_) {
      held_.push_back(std::move(step));
      return;
    }
  }
  Post(std::move(step));
}

void TestGate::RunInBackgroundAfter(MonotonicNs delay, absl::AnyInvocable<bool()> step) {
  RunAt(clock_.Now() + delay, std::move(step));
}

void TestGate::RunAt(MonotonicNs at, absl::AnyInvocable<bool()> step) {
  std::lock_guard lock(mutex_);
  later_.emplace(at, std::move(step));
}

void TestGate::PassTime(MonotonicNs by) {
  const MonotonicNs end = clock_.Now() + by;
  while (true) {
    absl::AnyInvocable<bool()> step;
    {
      std::lock_guard lock(mutex_);
      if (later_.empty() || later_.begin()->first > end) break;
      clock_.Advance(std::max<MonotonicNs>(0, later_.begin()->first - clock_.Now()));
      step = std::move(later_.begin()->second);
      later_.erase(later_.begin());
    }
    RunInBackground(std::move(step));
  }
  clock_.Advance(end - clock_.Now());
}

void TestGate::HoldBackground(bool hold) {
  std::deque<absl::AnyInvocable<bool()>> released;
  {
    std::lock_guard lock(mutex_);
    hold_ = hold;
    if (!hold) released.swap(held_);
  }
  for (auto& step : released) Post(std::move(step));
}

void TestGate::Post(absl::AnyInvocable<bool()> step) {
  if (mode_ == Mode::kInline) {
    while (step()) {
    }
    return;
  }
  {
    std::lock_guard lock(mutex_);
    steps_.push_back(std::move(step));
  }
  wake_.notify_one();
}

void TestGate::Main() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !steps_.empty(); });
    if (stopping_) break;
    absl::AnyInvocable<bool()> step = std::move(steps_.front());
    steps_.pop_front();
    lock.unlock();
    const bool again = step();
    lock.lock();
    if (again) steps_.push_back(std::move(step));
  }
  std::deque<absl::AnyInvocable<bool()>> dropped;
  dropped.swap(steps_);
  lock.unlock();
}

std::vector<std::pair<CommandField, std::string>> TestGate::proposals() {
  std::lock_guard lock(apply_mutex_);
  return proposals_;
}

void TestGate::Fill(const std::string& key, const std::string& value) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  EXPECT_EQ(Apply(CommandField::kPut, request.SerializeAsString()).error,
            storage::RequestError::kNone);
}

void TestGate::Compact(storage::Revision revision) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  EXPECT_EQ(Apply(CommandField::kCompact, request.SerializeAsString()).error,
            storage::RequestError::kNone);
}

}  // namespace gavel::testing
