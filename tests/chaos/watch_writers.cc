#include "tests/chaos/watch_writers.h"

#include <optional>
#include <utility>

#include "raft/random.h"
#include "tests/chaos/kv_client.h"

namespace gavel::chaos {
namespace {

// Numbers of one writer begin here.
constexpr uint64_t kPerWriter = 1'000'000'000;

etcdserverpb::TxnRequest ToTxn(uint64_t write) {
  etcdserverpb::TxnRequest txn;
  for (const WriteStep& step : StepsOf(write)) {
    etcdserverpb::RequestOp* op = txn.add_success();
    if (step.deletes) {
      op->mutable_request_delete_range()->set_key(KeyName(step.key));
    } else {
      op->mutable_request_put()->set_key(KeyName(step.key));
      op->mutable_request_put()->set_value(ValueOf(write));
    }
  }
  return txn;
}

}  // namespace

WatchWriters::WatchWriters(std::vector<std::string> targets, int writers, uint64_t seed)
    : targets_(std::move(targets)) {
  for (int writer = 0; writer < writers; ++writer) {
    threads_.emplace_back([this, writer, seed] { Write(writer, seed); });
  }
}

WatchWriters::~WatchWriters() { Stop(); }

std::map<uint64_t, WriteEnd> WatchWriters::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return std::move(writes_);
}

void WatchWriters::Write(int writer, uint64_t seed) {
  raft::Random random(seed * 1000 + 500 + static_cast<uint64_t>(writer));
  std::optional<KvClient> member;
  uint64_t write = static_cast<uint64_t>(writer + 1) * kPerWriter;
  while (!stopping_) {
    ++write;
    if (!member) member.emplace(targets_[random.Below(targets_.size())]);
    etcdserverpb::TxnResponse response;
    const Outcome outcome = member->Txn(ToTxn(write), &response);
    WriteEnd end;
    if (outcome == Outcome::kOk) {
      end = {WriteEnd::How::kDone, response.header().revision()};
    } else if (outcome != Outcome::kUnknown) {
      end = {WriteEnd::How::kNotDone, 0};
    }
    {
      std::lock_guard lock(mutex_);
      writes_[write] = end;
    }
    if (outcome == Outcome::kUnknown || outcome == Outcome::kDropped) {
      member.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

}  // namespace gavel::chaos
