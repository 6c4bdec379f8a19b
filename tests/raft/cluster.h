// A driver over bare cores: a network of single messages, a disk that can be held back, and a
// state machine that only remembers what was applied.
//
// Everything happens when the test says so, on one thread. After every step the invariants are
// checked over all members.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "raft/raft.h"
#include "tests/raft/invariants.h"

namespace gavel::raft {

inline NodeId Id(uint64_t value) { return NodeId(value); }
Configuration Voters(std::vector<uint64_t> voters, std::vector<uint64_t> learners = {});
Proposal Command(uint64_t member, uint64_t sequence, const std::string& text);

// What a disk holds for certain. `entries` follow `start`.
struct Disk {
  HardState hard_state;
  SnapshotMeta start;
  std::vector<Entry> entries;
  Index first_stored{1};

  EntryId last() const;
  std::optional<EntryId> Find(Index index) const;
  void Write(const Effects& batch);
};

struct Member {
  NodeId id;
  Options options;
  Incarnation incarnation;
  std::unique_ptr<Raft> core;  // Null while crashed.
  Disk disk;
  std::deque<Effects> writing;  // Taken from the core, not yet durable.
  std::deque<Entry> applying;   // Handed out, not yet applied.
  Index applied;                // The state machine's; survives a crash.
  Index applied_durable;        // Where it may fall back to in a crash.
  bool holds_disk = false;      // Writes wait for Persist().
  bool holds_apply = false;     // Applying waits for Apply().
  bool holds_older = false;     // EntriesWanted waits for AnswerOlder().
  std::vector<EntriesWanted> older;
  std::vector<ReadGrant> reads;  // Everything ever granted here.
  std::vector<ReadId> failed_reads;
  std::vector<ProposalOutcome> outcomes;

  bool alive() const { return core != nullptr; }
};

class Cluster {
 public:
  struct Settings {
    uint32_t election_ticks = 10;
    uint32_t heartbeat_ticks = 2;
    uint64_t seed = 1;
    std::function<void(Options&)> adjust = [](Options&) {};
  };

  explicit Cluster(const Configuration& initial) : Cluster(initial, Settings()) {}
  Cluster(const Configuration& initial, Settings settings);

  // Adds a member that knows no configuration, or starts with `restored`.
  Member& Add(NodeId id, Restored restored = {});

  Member& member(uint64_t id) { return members_.at(Id(id)); }
  Raft& core(uint64_t id) { return *member(id).core; }
  std::map<NodeId, Member>& members() { return members_; }
  Invariants& invariants() { return invariants_; }

  // Inputs. Each ends with the effects carried out and the invariants checked.
  void Tick(uint64_t id, int count = 1);
  void TickAll(int count = 1);
  void Step(Message message);
  void Propose(uint64_t id, const std::string& text);
  void Propose(uint64_t id, std::vector<Proposal> proposals);
  bool Change(uint64_t id, const Configuration& target);
  void Read(uint64_t id, uint64_t read);
  void Transfer(uint64_t id, uint64_t target);
  void LoseConnection(uint64_t at, uint64_t peer);
  void Connect(uint64_t at, uint64_t peer);
  void Unreachable(uint64_t at, uint64_t peer);

  // Disk and state machine.
  void Persist(uint64_t id, size_t batches = SIZE_MAX);
  void Apply(uint64_t id, size_t entries = SIZE_MAX);
  void AnswerOlder(uint64_t id);
  void Compact(uint64_t id, Index first_kept);
  void Crash(uint64_t id, bool forget_applied = false);
  void Restart(uint64_t id);

  // Network. Messages wait here until they are delivered or dropped.
  std::deque<Message>& network() { return network_; }
  using Filter = std::function<bool(const Message&)>;
  // Delivers what is under way, and what follows from it, until nothing matches any more.
  // Returns how many messages arrived.
  int Deliver(const Filter& filter, int limit = 100000);
  int Deliver() {
    return Deliver([](const Message&) { return true; });
  }
  void DeliverAt(size_t position);
  int Drop(const Filter& filter);
  void DropAt(size_t position);
  void Cut(uint64_t from, uint64_t to) { cut_.insert({Id(from), Id(to)}); }
  void CutBoth(uint64_t a, uint64_t b);
  void Isolate(uint64_t id);
  void Heal() { cut_.clear(); }
  void HealBoth(uint64_t a, uint64_t b);

  // Ticks `id` until it campaigns, and delivers until the cluster is quiet.
  void Elect(uint64_t id);
  // Ticks `id` until it is no follower any more.
  void Campaign(uint64_t id);
  // Ticks everyone and delivers, `rounds` times.
  void Run(int rounds);
  std::optional<uint64_t> Leader() const;

  // Called for every event worth a line in a transcript.
  void set_trace(std::function<void(const std::string&)> trace) { trace_ = std::move(trace); }
  // True: messages are traced when they are delivered or dropped.
  void set_trace_messages(bool on) { trace_messages_ = on; }

  std::string LogText(uint64_t id) const;

 private:
  void Drain(Member& member);
  void Carry(Member& member, Effects effects);
  void CompleteNext(Member& member);
  void ApplyNext(Member& member);
  void Post(const std::vector<Message>& messages);
  void Lose(const Message& message);
  void Install(Member& member, const SnapshotMeta& meta);
  void SendSnapshot(Member& member, NodeId to);
  void Trace(const Member& member, const Effects& effects);
  void Say(const std::string& line);
  bool IsCut(const Message& message) const { return cut_.contains({message.from, message.to}); }
  Member& Alive(uint64_t id);
  void Check();

  Settings settings_;
  std::map<NodeId, Member> members_;
  std::deque<Message> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  Invariants invariants_;
  std::function<void(const std::string&)> trace_;
  bool trace_messages_ = false;
  uint64_t sequence_ = 0;
};

// One line for a message, as in transcripts.
std::string Text(const Message& message);
std::string Text(const Configuration& configuration);
std::string Text(Role role);

}  // namespace gavel::raft
