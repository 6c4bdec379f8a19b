#include "tests/fuzz/conversation.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include <google/protobuf/arena.h>

#include "raft/check.h"
#include "raft/limits.h"
#include "raft/raft.h"
#include "raft/well_formed.h"
#include "server/node/command_bytes.h"
#include "server/node/core_stage.h"
#include "server/peer/frame.h"
#include "server/peer/frame_exchange.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "storage/state/command.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using raft::Entry;
using raft::EntryId;
using raft::EntryKind;
using raft::Index;
using raft::Message;
using raft::NodeId;
using raft::Term;

constexpr uint64_t kCluster = 77;
constexpr NodeId kSelf(2);
constexpr raft::Incarnation kLife(3);
constexpr size_t kRequestBytesMax = 1 << 10;
// Enough for everything that can follow from one another.
constexpr int kStepsMax = 64;

raft::Configuration Three() {
  raft::Configuration configuration;
  for (uint64_t id = 1; id <= 3; ++id) {
    configuration.members.push_back({NodeId(id), {"http://10.0.0." + std::to_string(id)}});
    configuration.voters.push_back(NodeId(id));
  }
  return configuration;
}

raft::Payload Put(const raft::RequestId& id) {
  std::string bytes = server::EncodeCommandHeader(server::CommandField::kPut, id);
  server::AppendCommandBody(server::CommandField::kPut, "", &bytes);
  return std::make_shared<const std::string>(std::move(bytes));
}

// Three entries of two terms, all but the last of them applied.
raft::Restored Restored() {
  const raft::RequestId id{NodeId(1), raft::Incarnation(1), 1};
  raft::Restored restored;
  restored.hard_state = {Term(2), std::nullopt, Index(2)};
  restored.start.configuration = Three();
  restored.entries = {{Index(1), Term(1), EntryKind::kEmpty, nullptr},
                      {Index(2), Term(1), EntryKind::kCommand, Put(id)},
                      {Index(3), Term(2), EntryKind::kEmpty, nullptr}};
  restored.applied = Index(2);
  restored.first_stored = Index(1);
  return restored;
}

raft::Options CoreOptions() {
  raft::Options options;
  options.id = kSelf;
  options.incarnation = kLife;
  options.election_ticks = 10;
  options.heartbeat_ticks = 2;
  options.first_campaign_ticks_min = 3;
  options.first_campaign_ticks_max = 5;
  options.append_bytes_max = 64;
  options.inflight_messages_max = 4;
  options.recent_entries_max = 2;  // So that followers are fed from the disk.
  options.uncommitted_bytes_max = 256;
  return options;
}

class NoLogger final : public server::Logger {
 public:
  void Write(server::LogLevel, std::string_view, std::initializer_list<server::LogField>) override {
  }
  void Flush() override {}
};

// The member, with a disk that takes and keeps everything.
class Subject {
 public:
  Subject()
      : stage_(raft::Raft(CoreOptions(), Restored(), raft::Random(1)),
               server::CommandCheck(kRequestBytesMax)),
        receiver_(
            {kCluster, kSelf, NodeId(), kLife}, logger_, metrics_,
            [this](NodeId, std::vector<Message> messages) {
              inputs_.emplace_back(server::PeerMessages{std::move(messages)});
              return true;
            },
            [](NodeId, const server::SnapshotMessage&) {}) {
    last_ = stage_.status();
    disk_ = Restored().entries;
  }

  raft::Status status() const { return stage_.status(); }

  void Receive(std::string_view frame) {
    server::StreamSender stream;
    receiver_.Receive(frame, stream).IgnoreError();
    Run();
  }
  void Say(NodeId from, Term term, decltype(Message::body) body) {
    const server::FrameAddress address{kCluster, from, kSelf, raft::Incarnation(5)};
    Receive(server::EncodeFrame(address, {{from, kSelf, term, std::move(body)}}));
  }
  void Tick(uint32_t count) { Run(count); }
  void Give(server::CoreInput input) {
    inputs_.push_back(std::move(input));
    Run();
  }
  void Propose() {
    const raft::RequestId id{kSelf, kLife, ++sequence_};
    Run(0, {{id, Put(id)}});
  }
  void Read() {
    ++reads_;
    Run(0, {}, raft::ReadId(reads_));
  }
  // Whether what is written is durable at once.
  void HoldDisk(bool held) {
    disk_held_ = held;
    Run();
  }

  void Become(raft::Role role) {
    for (int i = 0; i < 50 && status().role == raft::Role::kFollower; ++i) Tick(1);
    if (role == raft::Role::kPreCandidate) return;
    Answer(true);
    if (role == raft::Role::kCandidate) return;
    Answer(false);
    GAVEL_CHECK(status().role == raft::Role::kLeader);
  }

 private:
  void Answer(bool pre) {
    const Term term = status().term;
    Say(NodeId(1), term, raft::VoteReply{pre, pre ? term.Next() : term, true, kLife});
  }

  // Takes what waits, and what follows from it, until nothing more comes.
  void Run(uint32_t ticks = 0, std::vector<raft::Proposal> proposals = {},
           std::optional<raft::ReadId> read = std::nullopt) {
    server::CoreTurn turn;
    turn.ticks = ticks;
    turn.proposals = std::move(proposals);
    turn.read_round = read;
    for (int step = 0; step < kStepsMax; ++step) {
      turn.inputs = std::exchange(inputs_, {});
      Carry(stage_.Process(std::exchange(turn, {})));
      CheckStatus();
      if (inputs_.empty()) return;
    }
  }

  void Carry(server::CoreOutput output) {
    for (const Message& message : output.send) CheckSent(message);
    for (server::LogBatch& batch : output.log) Write(batch);
    for (Entry& entry : output.committed) CheckCommitted(entry);
    if (!output.committed.empty()) {
      const Entry& last = output.committed.back();
      inputs_.emplace_back(server::Applied{{last.index, last.term}, 0, {}});
    }
    for (const raft::EntriesWanted& wanted : output.older) Feed(wanted);
    for (const raft::SnapshotWanted& wanted : output.snapshots) {
      inputs_.emplace_back(server::SnapshotSent{wanted.to, std::nullopt});
    }
    if (!disk_held_ && !unreported_.is_none()) {
      inputs_.emplace_back(server::Persisted{std::exchange(unreported_, {})});
    }
  }

  void CheckSent(const Message& message) {
    GAVEL_CHECK(message.from == kSelf && message.to != kSelf);
    GAVEL_CHECK(raft::IsWellFormed(message)) << "this member sends nonsense";
    const server::FrameAddress address{kCluster, kSelf, message.to, kLife};
    GAVEL_CHECK(server::DecodeFrame(server::EncodeFrame(address, {message})).ok());
  }

  void Write(server::LogBatch& batch) {
    GAVEL_CHECK(!batch.records.mark.has_value()) << "a snapshot is installed that nobody has sent";
    if (batch.records.hard_state.has_value()) {
      const raft::HardState& state = *batch.records.hard_state;
      GAVEL_CHECK(state.term >= written_.term && state.term <= raft::kTermMax);
      GAVEL_CHECK(state.term > written_.term || !written_.voted_for ||
                  state.voted_for == written_.voted_for)
          << "a second vote in a term";
      written_ = state;
    }
    for (const Entry& entry : batch.records.entries) {
      const uint64_t at = entry.index.value();
      GAVEL_CHECK(at > last_.applied.value() && at <= disk_.size() + 1) << "a gap in the log";
      disk_.resize(at - 1);
      GAVEL_CHECK(entry.term >= disk_.back().term && entry.term <= written_.term)
          << "a term that was never entered";
      disk_.push_back(entry);
      CheckOwn(entry);
    }
    for (const Message& message : batch.send_after_persist) CheckSent(message);
    unreported_ = batch.number;
  }

  // What somebody else leads in can be anything; what this member appends, all can apply.
  void CheckOwn(const Entry& entry) {
    const raft::Status now = stage_.status();
    const bool own = now.role == raft::Role::kLeader && entry.term == now.term;
    if (!own || entry.kind != EntryKind::kCommand) return;
    google::protobuf::Arena arena;
    GAVEL_CHECK(storage::DecodeCommand(*entry.payload, arena).ok()) << "nobody can apply it";
  }

  void CheckCommitted(const Entry& entry) {
    GAVEL_CHECK(entry.index == handed_.Next()) << "committed entries do not follow each other";
    handed_ = entry.index;
    GAVEL_CHECK(disk_.at(entry.index.value() - 1).term == entry.term) << "it is not on the disk";
  }

  void Feed(const raft::EntriesWanted& wanted) {
    server::OlderEntries older;
    older.to = wanted.to;
    older.from = wanted.from;
    for (size_t i = wanted.from.value() - 1; i < disk_.size(); ++i)
      older.entries.push_back(disk_[i]);
    inputs_.emplace_back(std::move(older));
  }

  void CheckStatus() {
    const raft::Status now = stage_.status();
    GAVEL_CHECK(now.applied <= now.commit && now.commit <= now.last && now.persisted <= now.last);
    GAVEL_CHECK(now.commit >= last_.commit && now.term >= last_.term) << "it goes back";
    GAVEL_CHECK(now.term <= raft::kTermMax && now.last <= raft::kIndexMax);
    if (now.term == last_.term) {
      GAVEL_CHECK(!last_.voted_for || now.voted_for == last_.voted_for) << "a second vote";
      GAVEL_CHECK(!last_.leader || !now.leader || *last_.leader == *now.leader)
          << "a second leader in a term is believed";
    }
    last_ = now;
  }

  NoLogger logger_;
  server::Metrics metrics_;
  server::CoreStage stage_;
  server::FrameReceiver receiver_;
  std::vector<server::CoreInput> inputs_;
  std::vector<Entry> disk_;
  bool disk_held_ = false;
  raft::BatchNumber unreported_;
  raft::HardState written_ = Restored().hard_state;
  raft::Status last_;
  Index handed_ = Restored().applied;
  uint64_t sequence_ = 0;
  uint64_t reads_ = 0;
};

// Numbers near those that the member has, and at the ends.
uint64_t Near(uint64_t number, Choices& choices) {
  const uint8_t byte = choices.Byte();
  switch (byte) {
    case 255:
      return std::numeric_limits<uint64_t>::max();
    case 254:
      return raft::kTermMax.value();
    case 253:
      return raft::kTermMax.value() + 1;
    case 252:
      return choices.Number(8);
    default:
      return byte >= 128 ? byte % 8 : number + byte % 8 - 3;
  }
}

class Speaker {
 public:
  Speaker(Choices& choices, Subject& subject) : choices_(choices), subject_(subject) {}

  void Say() {
    status_ = subject_.status();
    const NodeId from(choices_.Below(8) == 7 ? 7 : 1 + 2 * choices_.Below(2));
    const Term term = NearTerm();
    subject_.Say(from, term, Body(from));
  }

 private:
  Term NearTerm() { return Term(Near(status_.term.value(), choices_)); }
  Index NearIndex() { return Index(Near(status_.last.value(), choices_)); }
  EntryId NearEntry() {
    const Index index = NearIndex();
    return {index, NearTerm()};
  }
  bool Bit() { return choices_.Below(2) == 1; }
  raft::Incarnation Life() { return raft::Incarnation(Near(kLife.value(), choices_)); }
  raft::RequestId Request(NodeId from) {
    const bool honest = choices_.Below(8) < 7;
    return {honest ? from : NodeId(choices_.Byte()), Life(), choices_.Byte()};
  }

  raft::Payload Payload(const raft::RequestId& id) {
    if (choices_.Below(4) < 3) return Put(id);
    const uint64_t length = choices_.Byte() == 255 ? kRequestBytesMax << 7 : choices_.Below(32);
    std::string bytes(choices_.Bytes(length));
    bytes.resize(length);
    return std::make_shared<const std::string>(std::move(bytes));
  }

  raft::Configuration Changed() {
    raft::Configuration configuration = Three();
    const uint8_t byte = choices_.Byte();
    if (byte & 1) configuration.members.push_back({NodeId(7), {"http://10.0.0.7"}});
    if (byte & 2) configuration.voters.erase(configuration.voters.begin());
    if (byte & 4) configuration.voters.erase(configuration.voters.begin() + 1);
    if (byte & 8) configuration.outgoing_voters = {NodeId(1), NodeId(2), NodeId(3)};
    if (byte & 16) configuration.voters.clear();
    return configuration;
  }

  raft::AppendRequest Append() {
    raft::AppendRequest append{NearEntry(), {}, NearIndex(), NearIndex()};
    EntryId previous = append.previous;
    for (uint64_t count = choices_.Below(5); count > 0; --count) {
      Entry entry{previous.index.Next(), previous.term, EntryKind::kEmpty, nullptr};
      if (choices_.Below(4) == 3) entry.term = NearTerm();
      switch (choices_.Below(4)) {
        case 0:
          entry.kind = EntryKind::kConfiguration;
          entry.payload = std::make_shared<const std::string>(raft::EncodeConfiguration(Changed()));
          break;
        case 1:
          break;
        default:
          entry.kind = EntryKind::kCommand;
          entry.payload = Payload({NodeId(1), raft::Incarnation(1), 1});
      }
      previous = {entry.index, entry.term};
      append.entries.push_back(std::move(entry));
    }
    return append;
  }

  decltype(Message::body) Body(NodeId from) {
    switch (choices_.Below(14)) {
      case 0:
      case 1:
      case 2:
        return Append();
      case 3:
        return raft::AppendReply{Bit(), NearIndex(), NearIndex(), NearEntry()};
      case 4:
        return raft::Heartbeat{raft::Round(choices_.Byte()), NearIndex(), NearIndex()};
      case 5:
        return raft::HeartbeatReply{raft::Round(Near(2, choices_))};
      case 6:
        return raft::VoteRequest{Bit(), NearTerm(), NearEntry(), Bit(), Life()};
      case 7:
        return raft::VoteReply{Bit(), NearTerm(), Bit(), Life()};
      case 8:
        return raft::ReadRequest{raft::ReadId(choices_.Byte()), Life()};
      case 9:
        return raft::ReadReply{raft::ReadId(choices_.Below(8)), Life(), Bit(), NearIndex()};
      case 10: {
        raft::ForwardProposals forward{NearTerm(), {}};
        for (uint64_t count = choices_.Below(4); count > 0; --count) {
          const raft::RequestId id = Request(from);
          forward.proposals.push_back({id, Payload(id)});
        }
        return forward;
      }
      case 11:
        return raft::ProposalsDropped{{Request(kSelf), Request(kSelf)}, Bit() ? "no" : ""};
      case 12:
        return raft::TimeoutNow{};
      default:
        return raft::InstallSnapshot{{NearIndex(), NearTerm(), Changed()}};
    }
  }

  Choices& choices_;
  Subject& subject_;
  raft::Status status_;
};

// A body that needs not be one, behind a checksum that fits.
void ReceiveAnything(Choices& choices, Subject& subject) {
  const std::string_view body = choices.Bytes(choices.Number(2));
  std::string frame;
  storage::AppendLittleEndian(frame, storage::Crc32c(body));
  frame += body;
  subject.Receive(frame);
}

}  // namespace

void Converse(std::string_view input) {
  Choices choices(input);
  Subject subject;
  const auto role = static_cast<raft::Role>(choices.Below(4));
  if (role != raft::Role::kFollower) subject.Become(role);
  Speaker speaker(choices, subject);
  while (!choices.empty()) {
    const uint8_t step = choices.Byte();
    switch (step % 16) {
      case 0:
        subject.Tick(step / 16);
        break;
      case 1:
        subject.Propose();
        break;
      case 2:
        subject.Read();
        break;
      case 3:
        subject.HoldDisk(step >= 128);
        break;
      case 4:
        ReceiveAnything(choices, subject);
        break;
      case 5:
        subject.Give(server::PeerConnectionLost{NodeId(1 + 2 * (step / 16 % 2))});
        break;
      case 6:
        subject.Give(server::PeerUnreachable{NodeId(1 + 2 * (step / 16 % 2))});
        break;
      case 7:
        subject.Give(server::HandOver{NodeId(1 + 2 * (step / 16 % 2))});
        break;
      default:
        speaker.Say();
    }
  }
}

std::vector<std::string> ConversationSeeds() {
  std::vector<std::string> seeds;
  raft::Random random(1);
  for (char role = 0; role < 4; ++role) {
    for (int i = 0; i < 8; ++i) {
      std::string seed(1, role);
      for (int step = 0; step < 120; ++step) seed += static_cast<char>(random.Below(128));
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

}  // namespace gavel::fuzz
