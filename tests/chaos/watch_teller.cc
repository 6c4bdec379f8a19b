#include "tests/chaos/watch_teller.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace gavel::chaos {

using client::Reason;
using client::Result;
using client::WatchBatch;
using std::chrono::milliseconds;

namespace {

// Longer than any time without a leader. A watcher of one key may have nothing to be told for a
// while, so silence is a violation only at the end, when progress was asked for.
constexpr std::chrono::seconds kSilenceMax{60};

Change ToChange(const client::WatchEvent& event) {
  Change change;
  change.key = KeyNumber(event.kv.key);
  change.deleted = event.type == client::EventType::kDelete;
  if (change.deleted) return change;
  change.write = WriteOf(event.kv.value);
  change.create_revision = event.kv.create_revision;
  change.version = event.kv.version;
  return change;
}

}  // namespace

std::vector<SeenEvent> ToSeen(const std::vector<client::WatchEvent>& events) {
  std::vector<SeenEvent> seen;
  seen.reserve(events.size());
  for (const client::WatchEvent& event : events) {
    seen.push_back({event.kv.mod_revision, ToChange(event), std::nullopt});
    if (event.prev_kv) seen.back().previous_write = WriteOf(event.prev_kv->value);
  }
  return seen;
}

WatchTeller::WatchTeller(const TellerWorld& world, const client::Client& client,
                         raft::Random* random)
    : world_(world), client_(client), random_(*random) {
  if (random_.OneIn(3)) {
    interest_.first_key = static_cast<int>(random_.Below(kWatchKeys));
    interest_.end_key = interest_.first_key + 1;
  } else if (random_.OneIn(2)) {
    interest_.first_key = static_cast<int>(random_.Below(kWatchKeys - 1));
    interest_.end_key = static_cast<int>(
        random_.Between(static_cast<uint64_t>(interest_.first_key) + 1, kWatchKeys));
  }
  interest_.no_put = random_.OneIn(8);
  interest_.no_delete = !interest_.no_put && random_.OneIn(8);
  interest_.previous = random_.OneIn(4);
  slow_ = random_.OneIn(5);
  start_ = ChooseStart();
  batches_left_ = static_cast<int64_t>(random_.Between(5, slow_ ? 50 : 1000));
}

std::string WatchTeller::description() const {
  return "keys " + std::to_string(interest_.first_key) + " to " +
         std::to_string(interest_.end_key) + " from " + std::to_string(start_) +
         (interest_.no_put ? ", no puts" : "") + (interest_.no_delete ? ", no deletions" : "") +
         (interest_.previous ? ", with what was before" : "") + (slow_ ? ", slowly" : "");
}

int64_t WatchTeller::ChooseStart() {
  const int64_t last = std::max<int64_t>(world_.log.last(), 1);
  switch (random_.Below(4)) {
    case 0:
      return 0;
    case 1:  // The future.
      return last + static_cast<int64_t>(random_.Between(1, 300));
    case 2:  // Most likely compacted.
      return 1 + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(last)));
    default: {
      const auto back = static_cast<int64_t>(random_.Below(2000));
      return std::max<int64_t>(world_.compacted + 1, last - back);
    }
  }
}

client::WatchOptions WatchTeller::Options(int64_t start) const {
  client::WatchOptions options;
  options.range = KeyName(interest_.first_key);
  if (interest_.end_key > interest_.first_key + 1) {
    options.range.end = interest_.end_key == kWatchKeys ? std::string(kWatchPrefix) + "~"
                                                        : KeyName(interest_.end_key);
  }
  options.start_revision = start;
  options.no_put = interest_.no_put;
  options.no_delete = interest_.no_delete;
  options.prev_kv = interest_.previous;
  if (slow_) options.buffer_bytes_max = 16 << 10;
  return options;
}

void WatchTeller::Begin(int64_t start) { watcher_.emplace(client_.watch().Start(Options(start))); }

std::string WatchTeller::Run() {
  ++world_.counts.watchers;
  Begin(start_);
  if (std::optional<std::string> violation = Created()) return *violation;
  while (!finished() && (batches_left_ > 0 || world_.finish_at != 0)) {
    std::optional<Result<WatchBatch>> batch = Next();
    if (!batch && finished()) break;
    if (!batch) return "silent for a minute, though progress was asked for";
    std::optional<std::string> violation = batch->ok() ? OnBatch(**batch) : OnEnd(batch->status());
    if (!violation && random_.OneIn(200)) violation = GoOnElsewhere();
    if (violation) return *violation;
    --batches_left_;
    if (world_.finish_at != 0) continue;
    if (slow_) std::this_thread::sleep_for(milliseconds(random_.Between(20, 300)));
    if (random_.OneIn(20)) watcher_->RequestProgress();
  }
  return "";
}

// Asks for progress when it takes long, and in the end without waiting.
std::optional<Result<WatchBatch>> WatchTeller::Next() {
  client::Pending<WatchBatch> next = watcher_->NextAsync();
  auto give_up = std::chrono::steady_clock::now() + kSilenceMax;
  while (!finished() && std::chrono::steady_clock::now() < give_up) {
    // What begins later than the newest revision is told of nothing, not even of progress.
    if (check_->next() > world_.log.last() + 1) {
      give_up = std::chrono::steady_clock::now() + kSilenceMax;
    }
    if (world_.finish_at != 0) watcher_->RequestProgress();
    if (next.WaitFor(milliseconds(500))) return next.Get();
    watcher_->RequestProgress();
  }
  return std::nullopt;
}

// What a watcher from now on will be told begins where the server says.
std::optional<std::string> WatchTeller::Created() {
  int64_t start = start_;
  const Result<int64_t> created = watcher_->Created();
  if (created.ok()) {
    if (start != 0 && *created != start) {
      return "created at revision " + std::to_string(*created);
    }
    start = *created;
  } else if (created.status().reason() != Reason::kCompacted) {
    return created.status().ToString();
  }
  check_.emplace(world_.log, interest_, start);
  return std::nullopt;
}

std::optional<std::string> WatchTeller::OnBatch(const WatchBatch& batch) {
  const std::vector<SeenEvent> events = ToSeen(batch.events);
  const int64_t told = events.empty() ? batch.header.revision : events.back().revision;
  if (!world_.log.WaitFor(told)) {
    return "told of revision " + std::to_string(told) + ", which the log does not reach";
  }
  if (events.empty()) {
    ++world_.counts.progress;
    return check_->OnProgress(told);
  }
  world_.events += static_cast<int64_t>(events.size());
  return check_->OnEvents(batch.header.revision, events, world_.compacted);
}

std::optional<std::string> WatchTeller::OnEnd(const client::Status& status) {
  if (status.reason() != Reason::kCompacted) return status.ToString();
  ++world_.counts.compacted;
  const int64_t first = status.compact_revision();
  if (auto violation = check_->OnCompacted(first, world_.compacted)) return violation;
  Begin(first);
  return std::nullopt;
}

// Takes what was received, and goes on after it with a watcher of its own.
std::optional<std::string> WatchTeller::GoOnElsewhere() {
  watcher_->Cancel();
  while (true) {
    const Result<WatchBatch> batch = watcher_->Next();
    if (!batch.ok()) {
      if (batch.status().reason() == Reason::kCompacted) return OnEnd(batch.status());
      if (batch.status().reason() != Reason::kCancelled) return batch.status().ToString();
      break;
    }
    if (auto violation = OnBatch(*batch)) return violation;
  }
  const int64_t next = watcher_->next_revision();
  if (next < check_->after_events()) {
    return "it would go on at " + std::to_string(next) + ", and be told again";
  }
  if (!world_.log.WaitFor(next - 1)) return "the log does not reach it";
  // It may know of progress that it has not told, or not rely on what it has.
  if (auto violation = check_->OnProgress(next - 1)) return violation;
  ++world_.counts.resumed;
  Begin(next);
  return std::nullopt;
}

}  // namespace gavel::chaos
