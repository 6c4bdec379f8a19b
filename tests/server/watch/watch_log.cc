#include "tests/server/watch/watch_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "storage/mvcc/key_codec.h"

namespace gavel::testing {

using server::WatchId;
using server::WatchOptions;
using storage::KeyChange;
using storage::Revision;

namespace {

constexpr Revision kNever = std::numeric_limits<Revision>::max();

std::string KeyOf(const WatchOptions& options) {
  return options.key.empty() ? std::string("\0", 1) : options.key;
}

void ExpectSame(const mvccpb::KeyValue& kv, const KeyChange& change) {
  EXPECT_EQ(kv.key(), change.key);
  EXPECT_EQ(kv.mod_revision(), change.id.main);
  EXPECT_EQ(kv.create_revision(), change.tombstone ? 0 : change.create);
  EXPECT_EQ(kv.version(), change.tombstone ? 0 : change.version);
  EXPECT_EQ(kv.lease(), change.tombstone ? 0 : change.lease);
  EXPECT_EQ(kv.value(), change.tombstone ? "" : change.value);
}

}  // namespace

void History::Add(const std::vector<KeyChange>& changes) {
  const std::lock_guard lock(mutex_);
  changes_.insert(changes_.end(), changes.begin(), changes.end());
}

void History::SetCompacted(Revision revision) {
  const std::lock_guard lock(mutex_);
  compacted_ = std::max(compacted_, revision);
}

Revision History::compacted() const {
  const std::lock_guard lock(mutex_);
  return compacted_;
}

size_t History::size() const {
  const std::lock_guard lock(mutex_);
  return changes_.size();
}

KeyChange History::At(size_t i) const {
  const std::lock_guard lock(mutex_);
  return changes_.at(i);
}

size_t History::Find(size_t from, const std::function<bool(const KeyChange&)>& wanted) const {
  const std::lock_guard lock(mutex_);
  while (from < changes_.size() && !wanted(changes_[from])) ++from;
  return from;
}

std::optional<KeyChange> History::Before(const std::string& key, Revision main) const {
  const std::lock_guard lock(mutex_);
  for (auto it = changes_.rbegin(); it != changes_.rend(); ++it) {
    if (it->id.main >= main || it->key != key) continue;
    if (it->tombstone) return std::nullopt;
    return *it;
  }
  return std::nullopt;
}

void WatchLog::Expect(const WatchOptions& options) {
  const std::lock_guard lock(mutex_);
  expected_.push_back({.options = options, .compacted = history_.compacted()});
}

void WatchLog::ExpectCanceled(WatchId id) {
  const std::lock_guard lock(mutex_);
  // It may be canceled before its creation has been told.
  if (const auto found = watchers_.find(id); found != watchers_.end()) {
    found->second.cancel_expected = true;
  }
}

void WatchLog::OnCreated(WatchId id, Revision revision) {
  const std::lock_guard lock(mutex_);
  ASSERT_FALSE(expected_.empty()) << "created, and nobody had asked";
  Told told = expected_.front();
  expected_.pop_front();
  if (told.options.id != 0) {
    EXPECT_EQ(id, told.options.id);
  } else {
    EXPECT_GE(id, next_id_);
    next_id_ = id + 1;
  }
  EXPECT_GE(told.options.start, 0);
  told.start = told.options.start > 0 ? told.options.start : revision + 1;
  created_.push_back(id);
  EXPECT_FALSE(ended_.contains(id)) << "id " << id << " is in use until it is canceled";
  EXPECT_TRUE(watchers_.emplace(id, std::move(told)).second) << "id " << id << " is in use";
}

void WatchLog::OnRefused(server::WatchRefusal why, Revision) {
  const std::lock_guard lock(mutex_);
  ASSERT_FALSE(expected_.empty()) << "refused, and nobody had asked";
  const WatchOptions options = expected_.front().options;
  expected_.pop_front();
  refused_.push_back(why);
  switch (why) {
    case server::WatchRefusal::kNegativeStart:
      EXPECT_LT(options.start, 0);
      break;
    case server::WatchRefusal::kEmptyRange:
      EXPECT_GE(KeyOf(options), options.range_end);
      break;
    case server::WatchRefusal::kIdInUse:
      EXPECT_TRUE(watchers_.contains(options.id) || ended_.contains(options.id));
      break;
    case server::WatchRefusal::kStreamLimit:
    case server::WatchRefusal::kTotalLimit:
      break;
  }
}

bool WatchLog::Wants(const Told& told, const KeyChange& change) const {
  if (change.id.main < told.start) return false;
  if (change.tombstone ? told.options.no_delete : told.options.no_put) return false;
  const std::string key = KeyOf(told.options);
  return storage::KeyRange::FromRequest(key, told.options.range_end).Contains(change.key);
}

size_t WatchLog::NextWanted(const Told& told) const {
  return history_.Find(told.next, [&](const KeyChange& change) { return Wants(told, change); });
}

Revision WatchLog::NextRevision(const Told& told) const {
  const size_t next = NextWanted(told);
  return next < history_.size() ? history_.At(next).id.main : kNever;
}

void WatchLog::TakeEvent(Told& told, const KeyChange& change) {
  const size_t next = NextWanted(told);
  ASSERT_LT(next, history_.size()) << "told of what has not happened";
  const KeyChange expected = history_.At(next);
  ASSERT_EQ(change.id, expected.id) << "out of order, again, or after a gap";
  EXPECT_EQ(change.key, expected.key);
  EXPECT_EQ(change.tombstone, expected.tombstone);
  if (!change.tombstone) {
    EXPECT_EQ(change.value, expected.value);
    EXPECT_EQ(change.create, expected.create);
    EXPECT_EQ(change.version, expected.version);
    EXPECT_EQ(change.lease, expected.lease);
  }
  told.next = next + 1;
  told.last = change.id.main;
  ++told.events;
}

void WatchLog::CheckEncoding(const Told& told, const server::WatchDelivery& delivery,
                             const server::WatchPart& part) const {
  std::string bytes;
  std::vector<KeyChange> changes;
  const auto& events = *delivery.batch.Events(part.prev_kv);
  delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
    bytes += events.Get(begin, end);
    for (uint32_t i = begin; i < end; ++i) changes.push_back(delivery.batch.change(i));
  });
  etcdserverpb::WatchResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  ASSERT_EQ(response.events_size(), static_cast<int>(changes.size()));
  for (size_t i = 0; i < changes.size(); ++i) {
    const mvccpb::Event& event = response.events(static_cast<int>(i));
    const KeyChange& change = changes[i];
    EXPECT_EQ(event.type(), change.tombstone ? mvccpb::Event::DELETE : mvccpb::Event::PUT);
    ExpectSame(event.kv(), change);
    if (!told.options.prev_kv) {
      EXPECT_FALSE(event.has_prev_kv());
      continue;
    }
    const bool created = !change.tombstone && change.create == change.id.main;
    const auto before = created ? std::nullopt : history_.Before(change.key, change.id.main);
    if (event.has_prev_kv()) {
      EXPECT_GT(change.id.main, told.compacted) << "a previous value that is compacted";
      ASSERT_TRUE(before.has_value());
      ExpectSame(event.prev_kv(), *before);
    } else if (before) {
      EXPECT_GT(history_.compacted(), change.id.main - 1) << "a previous value is missing";
    }
  }
}

server::WatchSent WatchLog::OnEvents(const server::WatchDelivery& delivery) {
  const std::lock_guard lock(mutex_);
  server::WatchSent sent;
  EXPECT_FALSE(delivery.parts.empty());
  for (const server::WatchPart& part : delivery.parts) {
    const auto found = watchers_.find(part.id);
    if (found == watchers_.end()) {
      ADD_FAILURE() << "events before created or after canceled, id " << part.id;
      continue;
    }
    Told& told = found->second;
    EXPECT_EQ(part.prev_kv, told.options.prev_kv);
    EXPECT_EQ(part.fragment, told.options.fragment);
    uint64_t events = 0;
    delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
      for (uint32_t i = begin; i < end; ++i) {
        TakeEvent(told, delivery.batch.change(i));
        ++events;
        sent.bytes +=
            20 + delivery.batch.change(i).key.size() + delivery.batch.change(i).value.size();
      }
    });
    EXPECT_GT(events, 0u);
    ++told.responses;
    EXPECT_LE(told.last, delivery.revision);
    // Also: a revision is never torn.
    EXPECT_GT(NextRevision(told), delivery.revision) << "something up to there was not told";
    CheckEncoding(told, delivery, part);
    sent.events += events;
  }
  events_ += sent.events;
  queued_ += sent.bytes;
  full_ = full_ || queued_ > room_;
  sent.full = full_;
  return sent;
}

void WatchLog::OnCanceled(WatchId id, Revision) {
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(watchers_.erase(id) + ended_.erase(id), 1u) << "canceled, and it was not there: " << id;
  canceled_.push_back(id);
}

void WatchLog::OnCompacted(WatchId id, Revision compacted) {
  const std::lock_guard lock(mutex_);
  const auto found = watchers_.find(id);
  ASSERT_NE(found, watchers_.end());
  EXPECT_LE(compacted, history_.compacted());
  EXPECT_GT(compacted, std::max(found->second.start, found->second.last + 1))
      << "canceled, and nothing it needs is gone";
  watchers_.erase(found);
  ended_.insert(id);
  compacted_.emplace_back(id, compacted);
}

void WatchLog::OnProgress(WatchId id, Revision revision) {
  const std::lock_guard lock(mutex_);
  progress_.emplace_back(id, revision);
  size_t spoken_for = 0;
  for (const auto& [watcher, told] : watchers_) {
    if (id != server::kWholeStream && id != watcher) continue;
    ++spoken_for;
    EXPECT_GE(revision, told.options.start);
    EXPECT_GT(NextRevision(told), revision) << "progress ahead of events";
  }
  EXPECT_GT(spoken_for, 0u);
}

void WatchLog::OnFailed(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  failures_.push_back(status);
}

bool WatchLog::MakeRoom() {
  const std::lock_guard lock(mutex_);
  queued_ = 0;
  return std::exchange(full_, false);
}

std::map<WatchId, WatchLog::Told> WatchLog::watchers() const {
  const std::lock_guard lock(mutex_);
  return watchers_;
}

bool WatchLog::complete() const {
  const std::lock_guard lock(mutex_);
  return expected_.empty() &&
         std::all_of(watchers_.begin(), watchers_.end(),
                     [this](const auto& told) { return NextRevision(told.second) == kNever; });
}

void WatchLog::ExpectComplete() const {
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(expected_.empty()) << "not answered";
  for (const auto& [id, told] : watchers_) {
    EXPECT_EQ(NextRevision(told), kNever) << "watcher " << id << " was told up to " << told.last;
  }
}

uint64_t WatchLog::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::vector<std::pair<WatchId, Revision>> WatchLog::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

std::vector<std::pair<WatchId, Revision>> WatchLog::compacted() const {
  const std::lock_guard lock(mutex_);
  return compacted_;
}

std::vector<server::WatchRefusal> WatchLog::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

std::vector<WatchId> WatchLog::created() const {
  const std::lock_guard lock(mutex_);
  return created_;
}

std::vector<WatchId> WatchLog::canceled() const {
  const std::lock_guard lock(mutex_);
  return canceled_;
}

std::vector<absl::Status> WatchLog::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

size_t WatchLog::unanswered() const {
  const std::lock_guard lock(mutex_);
  return expected_.size();
}

}  // namespace gavel::testing
