// Whole members in one process: threads, gRPC between them, RocksDB, a real disk.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/node/member.h"
#include "server/peer/grpc_transport.h"
#include "storage/disk/posix_disk.h"
#include "storage/engine/rocks_directory.h"
#include "storage/engine/rocks_engine.h"
#include "storage/mvcc/hash.h"
#include "storage/mvcc/range.h"
#include "tests/support/held_port.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::server {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

// A peer port that stays the same over restarts of its member.
class PeerPort {
 public:
  PeerPort(Logger& logger, Metrics& metrics) : logger_(logger), metrics_(metrics) {}
  std::unique_ptr<GrpcPeerTransport> Listen() {
    GrpcTransportOptions options;
    options.listen = {absl::StrCat("127.0.0.1:", port_.number())};
    auto transport = GrpcPeerTransport::Listen(options, logger_, metrics_);
    EXPECT_TRUE(transport.ok()) << transport.status();
    return *std::move(transport);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_.number()); }

 private:
  Logger& logger_;
  Metrics& metrics_;
  const testing::HeldPort port_;
};

// Waits for one answer of a call-back.
template <class T>
class Answer {
 public:
  void Set(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
    set_.notify_all();
  }
  std::optional<T> Get(std::chrono::seconds at_most = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    set_.wait_for(lock, at_most, [this] { return value_.has_value(); });
    return std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable set_;
  std::optional<T> value_;
};

class MemberTest : public ::testing::Test {
 protected:
  explicit MemberTest(int size = 3) {
    for (int i = 0; i < size; ++i) {
      machines_.push_back(std::make_unique<Machine>());
      Machine& machine = *machines_.back();
      machine.port = std::make_unique<PeerPort>(*logger_, machine.metrics);
      initial_.push_back({absl::StrCat("m", i), *ParseUrls(machine.port->url())});
    }
  }

  absl::Status Start(int index) {
    Machine& machine = *machines_[static_cast<size_t>(index)];
    NodeOptions options;
    options.place.name = absl::StrCat("m", index);
    options.place.data_dir = absl::StrCat(directory_.path(), "/m", index);
    options.place.initial_cluster = initial_;
    options.place.token = "test";
    options.client_urls = {absl::StrCat("http://127.0.0.1:", 1000 + index)};
    if (change_) change_(options);
    Node::Surroundings surroundings{
        .disk = disk_,
        .clock = clock_,
        .logger = *logger_,
        .metrics = machine.metrics,
        .random = raft::Random(static_cast<uint64_t>(index) + 1),
        .stores = {.open = [](const std::string& path)
                       -> absl::StatusOr<std::shared_ptr<storage::Engine>> {
                     storage::RocksOptions rocks;
                     rocks.path = path;
                     return storage::OpenRocksEngine(std::move(rocks));
                   },
                   .remove = storage::RemoveRocksDirectory,
                   .replace = storage::ReplaceRocksDirectory},
        .make_transport =
            [&machine](raft::NodeId self, PeerEvents events) {
              auto transport = machine.port->Listen();
              transport->Begin(self, std::move(events));
              return transport;
            },
        .on_failure = [](const absl::Status& status) { ADD_FAILURE() << status; },
        .on_restart = [] { ADD_FAILURE() << "no member lags so far"; },
    };
    absl::StatusOr<std::unique_ptr<Node>> node = Node::Open(options, std::move(surroundings));
    if (!node.ok()) return node.status();
    machine.member = std::make_unique<Member>(*std::move(node), clock_, 1);
    return absl::OkStatus();
  }

  void Crash(int index) {
    Machine& machine = *machines_[static_cast<size_t>(index)];
    machine.member.reset();
  }

  absl::Status Stop(int index) {
    Machine& machine = *machines_[static_cast<size_t>(index)];
    const absl::Status stopped = machine.member->Stop(kNsPerSecond);
    Crash(index);
    return stopped;
  }

  Gate& gate(int index) { return machines_[static_cast<size_t>(index)]->member->gate(); }
  std::string metrics_text(int index) {
    return machines_[static_cast<size_t>(index)]->metrics.Text();
  }

  static bool Await(const std::function<bool()>& done) {
    for (int i = 0; i < 4000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  // Waits until a member leads and all that run know it.
  int AwaitLeader() {
    std::optional<int> leader;
    EXPECT_TRUE(Await([&] {
      leader.reset();
      bool all_know = true;
      for (size_t i = 0; i < machines_.size(); ++i) {
        if (machines_[i]->member == nullptr) continue;
        const raft::Status status = gate(static_cast<int>(i)).status().raft;
        if (status.role == raft::Role::kLeader) leader = static_cast<int>(i);
        all_know = all_know && status.leader.has_value();
      }
      return leader.has_value() && all_know;
    }));
    return leader.value_or(0);
  }

  GateResult Put(int index, const std::string& key, const std::string& value) {
    auto answer = std::make_shared<Answer<GateResult>>();
    etcdserverpb::PutRequest put;
    put.set_key(key);
    put.set_value(value);
    gate(index).Propose(CommandField::kPut, put.SerializeAsString(), std::nullopt,
                        [answer](ProposeResult result) { answer->Set(result.result); });
    return answer->Get().value_or(GateResult::kStopped);
  }

  std::optional<std::string> Get(int index, const std::string& key) {
    auto answer = std::make_shared<Answer<ReadResult>>();
    gate(index).Read(std::nullopt, [answer](ReadResult result) { answer->Set(std::move(result)); });
    const std::optional<ReadResult> read = answer->Get();
    if (!read.has_value() || read->view == nullptr) return std::nullopt;
    etcdserverpb::RangeRequest range;
    range.set_key(key);
    storage::RangeCursor cursor(read->view, range);
    EXPECT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kDone);
    const etcdserverpb::RangeResponse response = cursor.TakeResponse();
    if (response.kvs().empty()) return std::nullopt;
    return response.kvs(0).value();
  }

  uint32_t Hash(int index) {
    storage::HashCursor cursor(gate(index).view(), 0);
    while (!cursor.Step(1000)) {
    }
    return cursor.hash();
  }

  struct Machine {
    Metrics metrics;
    std::unique_ptr<Member> member;
    std::unique_ptr<PeerPort> port;  // Goes first: it hands frames to the member.
  };

  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  storage::PosixDisk disk_;
  std::unique_ptr<Logger> logger_ = NullLogger();
  std::vector<InitialMember> initial_;
  std::function<void(NodeOptions&)> change_;
  std::vector<std::unique_ptr<Machine>> machines_;
};

TEST_F(MemberTest, ThreeMembersServeThroughALossOfTheirLeader) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  const int leader = AwaitLeader();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Put(i, absl::StrCat("k", i), "1"), GateResult::kOk);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get((i + 1) % 3, absl::StrCat("k", i)), "1");
  Crash(leader);
  const int other = (leader + 1) % 3;
  EXPECT_EQ(Put(other, "after", "2"), GateResult::kOk);
  EXPECT_EQ(Get((leader + 2) % 3, "after"), "2");
  ASSERT_OK(Start(leader));
  EXPECT_EQ(Get(leader, "after"), "2");
  EXPECT_TRUE(Await([&] { return Hash(0) == Hash(1) && Hash(1) == Hash(2); }));
}

// The core tells what it knows after it has handed on what is to be applied.
TEST_F(MemberTest, NothingIsAppliedThatIsNotCommitted) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  const int leader = AwaitLeader();
  for (int put = 0; put < 500; ++put) {
    ASSERT_EQ(Put(leader, "k", "v"), GateResult::kOk);
    const MemberStatus status = gate(leader).status();
    ASSERT_GE(status.raft.commit, status.applied) << put;
  }
}

TEST_F(MemberTest, AllAreStoppedAndStartedAgain) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  AwaitLeader();
  ASSERT_EQ(Put(0, "kept", "1"), GateResult::kOk);
  for (int i = 0; i < 3; ++i) EXPECT_OK(Stop(i));
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  EXPECT_EQ(Get(1, "kept"), "1");
}

// A leader that stops hands over first, so clients of the others hardly notice.
TEST_F(MemberTest, ALeaderThatStopsHandsOver) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  const int leader = AwaitLeader();
  ASSERT_EQ(Put(leader, "a", "1"), GateResult::kOk);
  const raft::Term before = gate(leader).term();
  ASSERT_OK(Stop(leader));
  const int other = (leader + 1) % 3;
  EXPECT_TRUE(Await([&] { return gate(other).has_leader() && gate(other).term() > before; }));
  EXPECT_EQ(gate(other).term(), before.Next());
  EXPECT_EQ(Put(other, "b", "2"), GateResult::kOk);
}

TEST_F(MemberTest, WritersOnAllMembersGoOnWhileMembersAreKilled) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  AwaitLeader();
  std::mutex mutex;  // Guards `acknowledged`, and members against being taken away in use.
  std::vector<std::string> acknowledged;
  std::atomic<bool> stop = false;
  std::atomic<int> next = 0;
  std::vector<std::thread> writers;
  const auto end_writers = [&] {
    stop = true;
    for (std::thread& writer : writers) writer.join();
    writers.clear();
  };
  const absl::Cleanup at_least_at_the_end = end_writers;  // Also after a failed ASSERT.
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&] {
      while (!stop) {
        const std::string key = absl::StrCat("k", ++next);
        auto answer = std::make_shared<Answer<GateResult>>();
        {
          const std::lock_guard lock(mutex);
          for (int i = 0; i < 3; ++i) {
            const int index = (next + i) % 3;
            if (machines_[static_cast<size_t>(index)]->member == nullptr) continue;
            etcdserverpb::PutRequest put;
            put.set_key(key);
            put.set_value(key);
            gate(index).Propose(CommandField::kPut, put.SerializeAsString(),
                                clock_.Now() + kNsPerSecond,
                                [answer](ProposeResult result) { answer->Set(result.result); });
            break;
          }
        }
        if (answer->Get(std::chrono::seconds(2)) == GateResult::kOk) {
          const std::lock_guard lock(mutex);
          acknowledged.push_back(key);
        }
      }
    });
  }
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return acknowledged.size();
  };
  for (int round = 0; round < 6; ++round) {
    const size_t before = count();
    ASSERT_TRUE(Await([&] { return count() >= before + 20; }));
    {
      const std::lock_guard lock(mutex);
      Crash(round % 3);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::lock_guard lock(mutex);
    ASSERT_OK(Start(round % 3));
  }
  end_writers();
  ASSERT_TRUE(Get(0, "none") == std::nullopt);
  for (const std::string& key : acknowledged) EXPECT_EQ(Get(0, key), key);
  EXPECT_TRUE(Await([&] { return Hash(0) == Hash(1) && Hash(1) == Hash(2); }));
}

TEST_F(MemberTest, MetricsAreServedUnderTheNamesThatDashboardsKnow) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Start(i));
  const int leader = AwaitLeader();
  ASSERT_EQ(Put(leader, "a", "1"), GateResult::kOk);
  // The first heartbeat has been answered.
  EXPECT_TRUE(Await([&] {
    return metrics_text(leader).find("etcd_network_peer_round_trip") != std::string::npos;
  }));
  const std::string text = metrics_text(leader);
  for (const char* name : {"etcd_server_has_leader 1",
                           "# TYPE etcd_mvcc_put_total counter\netcd_mvcc_put_total 1\n",
                           "etcd_server_is_leader 1",
                           "etcd_server_leader_changes_seen",
                           "etcd_server_proposals_pending 0",
                           "etcd_server_proposals_committed_total",
                           "etcd_server_proposals_applied_total",
                           "etcd_server_proposals_failed_total 0",
                           "etcd_server_slow_apply_total",
                           "etcd_server_read_indexes_failed_total",
                           "etcd_server_slow_read_indexes_total",
                           "etcd_disk_wal_fsync_duration_seconds_bucket",
                           "etcd_disk_wal_write_bytes_total",
                           "etcd_disk_backend_commit_duration_seconds_bucket",
                           "etcd_network_peer_sent_bytes_total",
                           "etcd_network_peer_received_bytes_total",
                           "etcd_network_peer_sent_failures_total",
                           "etcd_network_peer_round_trip_time_seconds_bucket",
                           "etcd_network_active_peers",
                           "etcd_network_known_peers",
                           "etcd_network_disconnected_peers_total",
                           "etcd_mvcc_db_total_size_in_bytes",
                           "etcd_mvcc_db_open_read_transactions",
                           "etcd_mvcc_db_total_size_in_use_in_bytes",
                           "etcd_debugging_mvcc_current_revision 2",
                           "etcd_debugging_mvcc_compact_revision",
                           "etcd_debugging_mvcc_keys_total 1",
                           "etcd_server_quota_backend_bytes",
                           "etcd_server_id{",
                           "etcd_server_version{",
                           "etcd_cluster_version{",
                           "etcd_server_is_learner 0"}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
}

TEST_F(MemberTest, ASecondProcessOnTheDirectoryIsRefused) {
  ASSERT_OK(Start(0));
  change_ = [this](NodeOptions& options) {
    options.place.name = "m0";
    options.place.data_dir = directory_.path() + "/m0";
  };
  EXPECT_THAT(Start(1), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace gavel::server
