// One archive on its way: what is lost, damaged or late on it.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/snapshot/snapshot_sink.h"
#include "server/snapshot/snapshot_source.h"
#include "storage/snapshot/install_mark.h"
#include "tests/server/node/manual_clock.h"
#include "tests/storage/snapshot/archives.h"
#include "tests/support/crash_disk.h"
#include "tests/support/map_stores.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::kNsPerSecond;
using server::SnapshotMessage;
using server::SnapshotPiece;
using server::SnapshotReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr raft::NodeId kLeader(1);
constexpr raft::NodeId kFollower(2);
constexpr char kDirectory[] = "/data/member/snapshots";

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() { Build({.bytes_per_second = 0}); }

  void Build(const server::SnapshotLimits& limits) {
    source_ = std::make_unique<server::SnapshotSource>(
        kOrigin, raft::Incarnation(3), limits,
        server::SnapshotSource::Surroundings{
            clock_, *logger_, metrics_,
            [this](server::MonotonicNs at, server::SnapshotSource::Step step) {
              steps_.push_back({at, std::move(step)});
            },
            [this] { return store_.engine(); },
            [this](raft::NodeId, SnapshotMessage message) {
              to_follower_.push_back(std::get<SnapshotPiece>(std::move(message)));
            },
            [this](raft::NodeId, std::optional<raft::Index> index) { ended_.push_back(index); }});
    NewSink(kOrigin.cluster_id);
  }

  void NewSink(uint64_t cluster_id) {
    sink_ = std::make_unique<server::SnapshotSink>(
        cluster_id, server::SnapshotPlaces(kDirectory),
        server::SnapshotSink::Surroundings{
            clock_, *logger_, metrics_, disk_, stores_,
            [this](server::SnapshotSource::Step step) { steps_.push_back({0, std::move(step)}); },
            [this](raft::NodeId from) { return leads_ && from == kLeader; },
            [this](raft::NodeId, SnapshotMessage message) {
              to_leader_.push_back(std::get<SnapshotReply>(std::move(message)));
            },
            [this](raft::NodeId, const raft::SnapshotMeta& meta) { whole_.push_back(meta); },
            [this](const absl::Status& status) { disk_failures_.push_back(status); }});
  }

  void RunSteps() {
    for (size_t n = steps_.size(); n > 0; --n) {
      Step step = std::move(steps_.front());
      steps_.pop_front();
      if (step.at > clock_.Now() || step.run()) steps_.push_back(std::move(step));
    }
  }

  // Everything that is to be done at this moment.
  void Settle() {
    for (int round = 0; round < 10000; ++round) {
      RunSteps();
      const auto pieces = std::exchange(to_follower_, {});
      for (const SnapshotPiece& piece : pieces) {
        if (!lose_piece_(piece)) sink_->OnPiece(kLeader, piece);
      }
      const auto replies = std::exchange(to_leader_, {});
      for (const SnapshotReply& reply : replies) {
        if (!lose_reply_(reply)) source_->OnReply(kFollower, reply);
      }
      if (pieces.empty() && replies.empty() && steps_.empty()) return;
    }
  }

  void Pass(int seconds) {
    for (int i = 0; i < seconds * 10; ++i) {
      clock_.Advance(kNsPerSecond / 10);
      source_->OnTick(clock_.Now(), peers_);
      Settle();
    }
  }

  // Of a metric with its labels; -1: it is not told.
  double Told(const std::string& name) {
    const std::string text = metrics_.Text();
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  struct Step {
    server::MonotonicNs at = 0;
    server::SnapshotSource::Step run;
  };

  Store store_;
  ManualClock clock_;
  std::unique_ptr<server::Logger> logger_ = server::NullLogger();
  server::Metrics metrics_;
  CrashDisk disk_;
  MapEnginePtr state_ = NewMapEngine();
  MapEnginePtr received_;
  server::EngineStores stores_ = MapStores(state_, received_);
  std::unique_ptr<server::SnapshotSource> source_;
  std::unique_ptr<server::SnapshotSink> sink_;
  std::vector<raft::PeerProgress> peers_;
  bool leads_ = true;
  std::function<bool(const SnapshotPiece&)> lose_piece_ = [](const SnapshotPiece&) {
    return false;
  };
  std::function<bool(const SnapshotReply&)> lose_reply_ = [](const SnapshotReply&) {
    return false;
  };

  std::deque<Step> steps_;
  std::vector<SnapshotPiece> to_follower_;
  std::vector<SnapshotReply> to_leader_;
  std::vector<std::optional<raft::Index>> ended_;
  std::vector<raft::SnapshotMeta> whole_;
  std::vector<absl::Status> disk_failures_;
};

// More than a window of it, and nothing that compression makes small.
void FillWithNoise(Store& store, int values = 60) {
  Fill(store);
  raft::Random random(7);
  for (int i = 0; i < values; ++i) {
    std::string value(60'000, '\0');
    for (char& byte : value) byte = static_cast<char>(random.Next());
    store.Do(Put("noise" + std::to_string(i), value));
  }
  store.CollectAll();
}

TEST_F(TransferTest, TheReceiverHasWhatTheSenderHad) {
  FillWithNoise(store_);
  const auto before = DumpReplicated(*store_.engine());
  source_->Start(kFollower);
  EXPECT_EQ(source_->log_floor(), raft::Index()) << "until it is known what it holds";
  RunSteps();
  store_.Do(Put("meanwhile", "x"));
  Settle();
  ASSERT_EQ(whole_.size(), 1u);
  EXPECT_EQ(DumpReplicated(*received_), before);
  EXPECT_THAT(ended_, ElementsAre(whole_[0].index));
  EXPECT_EQ(source_->log_floor(), whole_[0].index) << "what follows it is still to be sent";
  Pass(1);
  EXPECT_EQ(source_->log_floor(), whole_[0].index);
  peers_.emplace_back();
  peers_[0].id = kFollower;
  peers_[0].match = whole_[0].index;
  Pass(1);
  EXPECT_EQ(source_->log_floor(), std::nullopt);
}

TEST_F(TransferTest, BothSidesCountWhatIsUnderWayAndWhatArrives) {
  const std::string sent = "etcd_network_snapshot_send_";
  const std::string received = "etcd_network_snapshot_receive_";
  const std::string to = "{To=\"2\"}";
  const std::string from = "{From=\"1\"}";
  FillWithNoise(store_);
  EXPECT_EQ(Told("etcd_server_snapshot_apply_in_progress_total"), 0);
  lose_reply_ = [](const SnapshotReply&) { return true; };
  source_->Start(kFollower);
  Settle();
  EXPECT_EQ(Told(sent + "inflights_total" + to), 1);
  EXPECT_EQ(Told(received + "inflights_total" + from), 1);
  Pass(40);
  EXPECT_EQ(Told(sent + "inflights_total" + to), 0);
  EXPECT_EQ(Told(sent + "failures" + to), 1);
  EXPECT_EQ(Told(sent + "success" + to), -1);
  lose_reply_ = [](const SnapshotReply&) { return false; };
  source_->Start(kFollower);
  Pass(2);
  ASSERT_EQ(whole_.size(), 1u);
  EXPECT_EQ(Told(sent + "success" + to), 1);
  EXPECT_EQ(Told(sent + "failures" + to), 1);
  EXPECT_EQ(Told(sent + "total_duration_seconds_count" + to), 1);
  EXPECT_EQ(Told(received + "success" + from), 1);
  EXPECT_EQ(Told(received + "failures" + from), 1) << "the one that the second took the place of";
  EXPECT_EQ(Told(received + "inflights_total" + from), 0);
  EXPECT_EQ(Told(received + "total_duration_seconds_count" + from), 1);
  EXPECT_EQ(Told("etcd_server_snapshot_apply_in_progress_total"), 0);
  ASSERT_OK(sink_->MakeCurrent(whole_[0]));
  EXPECT_EQ(Told("etcd_server_snapshot_apply_in_progress_total"), 1);
}

TEST_F(TransferTest, TheLogDoesNotWaitForEver) {
  Fill(store_);
  source_->Start(kFollower);
  Settle();
  ASSERT_EQ(whole_.size(), 1u);
  Pass(70);
  EXPECT_EQ(source_->log_floor(), std::nullopt);
}

TEST_F(TransferTest, AMarkNamesIt) {
  Fill(store_);
  source_->Start(kFollower);
  Settle();
  ASSERT_EQ(whole_.size(), 1u);
  raft::SnapshotMeta other = whole_[0];
  other.index = other.index.Next();
  EXPECT_THAT(sink_->MakeCurrent(other), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(sink_->MakeCurrent(whole_[0]));
  const std::string mark = server::SnapshotPlaces(kDirectory).mark;
  ASSERT_OK_AND_ASSIGN(const auto marked, storage::ReadInstallMark(disk_, mark));
  EXPECT_EQ(marked, (raft::EntryId{whole_[0].index, whole_[0].term}));
  ASSERT_OK(storage::RemoveInstallMark(disk_, mark));
  ASSERT_OK_AND_ASSIGN(const auto none, storage::ReadInstallMark(disk_, mark));
  EXPECT_EQ(none, std::nullopt);
}

TEST_F(TransferTest, LostPiecesAndRepliesAreMadeGood) {
  FillWithNoise(store_);
  raft::Random random(11);
  lose_piece_ = [&](const SnapshotPiece&) { return random.OneIn(5); };
  lose_reply_ = [&](const SnapshotReply&) { return random.OneIn(5); };
  source_->Start(kFollower);
  Pass(60);
  ASSERT_FALSE(whole_.empty());
  EXPECT_EQ(DumpReplicated(*received_), DumpReplicated(*store_.engine()));
}

TEST_F(TransferTest, NoMoreThanAWindowIsUnderWay) {
  FillWithNoise(store_);
  size_t received = 0;
  lose_piece_ = [&](const SnapshotPiece& piece) {
    received += piece.bytes.size();
    return true;
  };
  source_->Start(kFollower);
  Settle();
  EXPECT_GE(received, server::SnapshotLimits().window_bytes);
  EXPECT_LE(received, server::SnapshotLimits().window_bytes + server::SnapshotSource::kPieceBytes);
  Pass(40);
  EXPECT_THAT(ended_, ElementsAre(std::nullopt)) << "given up: nobody answers";
  EXPECT_EQ(source_->log_floor(), std::nullopt);
}

TEST_F(TransferTest, TheRateIsKept) {
  Build({.bytes_per_second = 500'000});
  FillWithNoise(store_);  // 3.6 MB.
  source_->Start(kFollower);
  Pass(5);
  EXPECT_TRUE(whole_.empty());
  Pass(5);
  EXPECT_EQ(whole_.size(), 1u);
}

// Every variant of a damaged archive is refused, and the next whole one taken.
TEST_F(TransferTest, DamageIsRefused) {
  FillWithNoise(store_, 6);
  raft::Random random(13);
  for (int variant = 0; variant < 1000; ++variant) {
    SCOPED_TRACE(variant);
    int64_t pieces = static_cast<int64_t>(random.Below(3));
    bool damaged = false;
    lose_piece_ = [&](const SnapshotPiece& piece) {
      if (pieces-- != 0 || damaged) return false;
      damaged = true;
      SnapshotPiece changed = piece;
      const size_t at = random.Below(changed.bytes.size());
      if (random.OneIn(4)) {
        changed.bytes.erase(at, 1);
        changed.bytes += 'x';
      } else if (random.OneIn(4)) {
        changed.bytes.resize(at);
        changed.last = true;
      } else {
        changed.bytes[at] ^= static_cast<char>(1 << random.Below(8));
      }
      sink_->OnPiece(kLeader, std::move(changed));
      return true;
    };
    ended_.clear();
    source_->Start(kFollower);
    Settle();
    EXPECT_TRUE(ended_.empty()) << "a refusal is told of later";
    clock_.Advance(server::SnapshotLimits().failure_pause);
    Settle();
    ASSERT_THAT(ended_, ElementsAre(std::nullopt));
    ASSERT_TRUE(whole_.empty());
    ASSERT_THAT(disk_failures_, IsEmpty());
  }
  lose_piece_ = [](const SnapshotPiece&) { return false; };
  source_->Start(kFollower);
  Pass(3);
  EXPECT_EQ(whole_.size(), 1u);
}

TEST_F(TransferTest, OnlyTheLeaderIsListenedTo) {
  Fill(store_);
  leads_ = false;
  source_->Start(kFollower);
  Settle();
  EXPECT_TRUE(to_leader_.empty());
  EXPECT_EQ(received_, nullptr);
  leads_ = true;
  Pass(2);
  EXPECT_EQ(whole_.size(), 1u);
}

TEST_F(TransferTest, AnotherClustersIsRefused) {
  Fill(store_);
  NewSink(0xbad);
  SnapshotReply last;
  lose_reply_ = [&](const SnapshotReply& reply) {
    last = reply;
    return false;
  };
  source_->Start(kFollower);
  Settle();
  EXPECT_TRUE(whole_.empty());
  EXPECT_EQ(last.kind, SnapshotReply::Kind::kRefused);
  EXPECT_THAT(last.reason, HasSubstr("it is of cluster c1, this member of bad"));
  EXPECT_THAT(disk_failures_, IsEmpty());
}

// Opens stores that do as `on_open` says with each.
server::EngineOpener Opener(server::EngineOpener open, std::function<absl::Status()> on_open) {
  return [open = std::move(open), on_open = std::move(on_open)](
             const std::string& path) -> absl::StatusOr<std::shared_ptr<storage::Engine>> {
    absl::StatusOr<std::shared_ptr<storage::Engine>> engine = open(path);
    if (absl::Status status = on_open(); !status.ok()) return status;
    return engine;
  };
}

// The first failed sync is terminal: a second transfer could be told that it is durable, and is
// not begun.
TEST_F(TransferTest, AFailedDiskEndsTheMember) {
  FillWithNoise(store_);
  int opened = 0;
  stores_.open = Opener(stores_.open, [&] {
    ++opened;
    return absl::InternalError("state engine: sync of directory: Input/output error");
  });
  source_->Start(kFollower);
  Settle();
  EXPECT_THAT(disk_failures_,
              ElementsAre(StatusIs(absl::StatusCode::kInternal, HasSubstr("Input/output error"))));
  for (int again = 0; again < 3; ++again) {
    Pass(40);
    source_->Start(kFollower);
    Pass(10);
  }
  EXPECT_EQ(opened, 1);
  EXPECT_THAT(disk_failures_, SizeIs(1));
  EXPECT_TRUE(whole_.empty());
}

TEST_F(TransferTest, AStoreThatFailsWhileItIsFilledEndsTheMember) {
  FillWithNoise(store_);
  for (const absl::StatusCode code : {absl::StatusCode::kInternal, absl::StatusCode::kDataLoss}) {
    SCOPED_TRACE(code);
    NewSink(kOrigin.cluster_id);
    disk_failures_.clear();
    int pieces = 0;
    lose_piece_ = [&](const SnapshotPiece&) {
      if (++pieces == 4) received_->Fail(absl::Status(code, "state engine: flush"));
      return false;
    };
    source_->Start(kFollower);
    Settle();
    EXPECT_THAT(disk_failures_, ElementsAre(StatusIs(code)));
    EXPECT_TRUE(whole_.empty());
    source_->Stop();
    Settle();
  }
}

// The store of the one before may have failed after the last piece that it was given.
TEST_F(TransferTest, AStoreThatFailedBeforeItWasGivenUpEndsTheMember) {
  FillWithNoise(store_);
  int pieces = 0;
  lose_piece_ = [&](const SnapshotPiece&) { return ++pieces > 4; };
  source_->Start(kFollower);
  Settle();
  source_->Stop();
  Settle();
  ASSERT_NE(received_, nullptr);
  received_->Fail(absl::InternalError("state engine: compaction"));
  lose_piece_ = [](const SnapshotPiece&) { return false; };
  source_->Start(kFollower);
  Settle();
  EXPECT_THAT(disk_failures_, ElementsAre(StatusIs(absl::StatusCode::kInternal)));
  EXPECT_TRUE(whole_.empty());
}

// There is room again later, and what holds a store lets go of it.
TEST_F(TransferTest, WhatMayPassIsRefusedAndTriedAgain) {
  FillWithNoise(store_);
  std::deque<absl::Status> errors = {
      absl::ResourceExhaustedError("state engine: No space left on device"),
      absl::FailedPreconditionError("the state database is in use by another process or engine")};
  stores_.open = Opener(stores_.open, [&] {
    if (errors.empty()) return absl::OkStatus();
    return std::exchange(errors, std::deque(errors.begin() + 1, errors.end())).front();
  });
  bool full = false;
  lose_piece_ = [&](const SnapshotPiece& piece) {
    if (piece.offset > 0 && received_ != nullptr) received_->SetStalled(full);
    return false;
  };
  for (int refused = 1; refused <= 3; ++refused) {
    SCOPED_TRACE(refused);
    full = refused == 3;
    source_->Start(kFollower);
    Pass(3);
    EXPECT_THAT(ended_, SizeIs(refused));
    EXPECT_TRUE(whole_.empty());
  }
  full = false;
  source_->Start(kFollower);
  Pass(3);
  EXPECT_EQ(whole_.size(), 1u);
  EXPECT_THAT(disk_failures_, IsEmpty());
}

// The receiver's process ends in the middle: it knows nothing of it any more.
TEST_F(TransferTest, AReceiverThatStartsAgainIsSentAnother) {
  FillWithNoise(store_);
  int pieces = 0;
  lose_piece_ = [&](const SnapshotPiece&) { return ++pieces > 20; };
  source_->Start(kFollower);
  Settle();
  lose_piece_ = [](const SnapshotPiece&) { return false; };
  steps_.clear();
  received_ = nullptr;
  NewSink(kOrigin.cluster_id);
  Pass(3);
  ASSERT_THAT(ended_, ElementsAre(std::nullopt));
  source_->Start(kFollower);
  Pass(3);
  EXPECT_EQ(whole_.size(), 1u);
}

TEST_F(TransferTest, WithLeadershipItEnds) {
  FillWithNoise(store_);
  lose_reply_ = [](const SnapshotReply&) { return true; };
  source_->Start(kFollower);
  Settle();
  source_->Stop();
  Settle();
  EXPECT_EQ(source_->log_floor(), std::nullopt);
  EXPECT_TRUE(steps_.empty());
  EXPECT_TRUE(ended_.empty());
  EXPECT_EQ(Told("etcd_network_snapshot_send_inflights_total{To=\"2\"}"), 0);
}

}  // namespace
}  // namespace gavel::testing
