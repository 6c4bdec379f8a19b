#include "storage/engine/map_engine.h"

#include <utility>

#include "raft/check.h"
#include "storage/engine/map_checkpoint.h"

namespace gavel::storage {
namespace {

// Enough for every crash point between two flushes of a simulation; a bound for everyone else.
constexpr size_t kLaterStatesMax = 1024;

// Counts an object among the engine's readers for as long as it lives.
class ReaderMark {
 public:
  explicit ReaderMark(std::atomic<int>& readers) : readers_(readers) { ++readers_; }
  ~ReaderMark() { --readers_; }
  ReaderMark(const ReaderMark&) = delete;
  ReaderMark& operator=(const ReaderMark&) = delete;

 private:
  std::atomic<int>& readers_;
};

class MapIterator final : public Iterator {
 public:
  MapIterator(std::atomic<int>& readers, PersistentMap map, const ReadOptions& options)
      : mark_(readers), cursor_(std::move(map)), lower_(options.lower), upper_(options.upper) {}

  void Seek(std::string_view key) override {
    cursor_.SeekAtOrAfter(lower_ && key < *lower_ ? *lower_ : key);
    CheckBounds();
  }
  void SeekForPrev(std::string_view key) override {
    if (upper_ && key >= *upper_) return SeekToLast();
    cursor_.SeekAtOrBefore(key);
    CheckBounds();
  }
  void SeekToFirst() override {
    if (lower_) return Seek(*lower_);
    cursor_.SeekToFirst();
    CheckBounds();
  }
  void SeekToLast() override {
    if (upper_) {
      cursor_.SeekAtOrBefore(*upper_);
      if (cursor_.Valid() && cursor_.entry().key == *upper_) cursor_.Prev();
    } else {
      cursor_.SeekToLast();
    }
    CheckBounds();
  }
  void Next() override {
    GAVEL_CHECK(valid_);
    cursor_.Next();
    CheckBounds();
  }
  void Prev() override {
    GAVEL_CHECK(valid_);
    cursor_.Prev();
    CheckBounds();
  }
  bool Valid() const override { return valid_; }
  std::string_view key() const override {
    GAVEL_CHECK(valid_);
    return cursor_.entry().key;
  }
  std::string_view value() const override {
    GAVEL_CHECK(valid_);
    return cursor_.entry().value;
  }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  void CheckBounds() {
    valid_ = cursor_.Valid() && (!lower_ || cursor_.entry().key >= *lower_) &&
             (!upper_ || cursor_.entry().key < *upper_);
  }

  ReaderMark mark_;
  PersistentMap::Cursor cursor_;
  std::optional<std::string_view> lower_;
  std::optional<std::string_view> upper_;
  bool valid_ = false;
};

}  // namespace

class MapEngine::SnapshotImpl final : public EngineSnapshot {
 public:
  SnapshotImpl(std::atomic<int>& readers, StatePtr state)
      : mark_(readers), state_(std::move(state)) {}
  const State& state() const { return *state_; }

 private:
  ReaderMark mark_;
  StatePtr state_;
};

MapEngine::MapEngine(MapEngineOptions options)
    : MapEngine(Private{}, options, std::make_shared<const State>()) {}

MapEngine::MapEngine(Private, MapEngineOptions options, StatePtr state)
    : options_(options), current_(state), durable_(std::move(state)) {}

MapEngine::~MapEngine() { GAVEL_CHECK(readers_ == 0) << "an iterator or snapshot is still open"; }

MapEngine::StatePtr MapEngine::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

absl::Status MapEngine::Write(const WriteBatch& batch) {
  StatePtr before;
  {
    const MutexLock lock(mutex_);
    if (!failure_.ok()) return failure_;
    if (stalled_) return absl::ResourceExhaustedError("the engine is stalled");
    before = current_;
  }
  auto after = std::make_shared<State>(*before);
  batch.ForEach([&](const WriteBatch::Op& op) {
    PersistentMap& map = after->families[static_cast<size_t>(op.family)];
    switch (op.kind) {
      case WriteBatch::Kind::kPut:
        map = map.Put(op.key, op.value);
        break;
      case WriteBatch::Kind::kDelete:
        map = map.Erase(op.key);
        break;
      case WriteBatch::Kind::kDeleteRange:
        map = map.EraseRange(op.key, op.value);
        break;
    }
  });
  const MutexLock lock(mutex_);
  GAVEL_CHECK(current_ == before) << "two threads write";
  current_ = after;
  later_.push_back(std::move(after));
  unflushed_bytes_ += batch.bytes();
  if (later_.size() > kLaterStatesMax) {
    std::deque<StatePtr> kept;
    for (size_t i = later_.size() % 2 == 0 ? 1 : 0; i < later_.size(); i += 2) {
      kept.push_back(std::move(later_[i]));
    }
    later_ = std::move(kept);
  }
  return absl::OkStatus();
}

absl::Status MapEngine::Get(Family family, std::string_view key, std::string* value,
                            const ReadOptions& options) const {
  GAVEL_CHECK(!options.persisted_only || options.snapshot == nullptr);
  StatePtr newest;
  const State* state;
  if (options.snapshot != nullptr) {
    state = &static_cast<const SnapshotImpl*>(options.snapshot)->state();
  } else {
    const MutexLock lock(mutex_);
    newest = options.persisted_only ? durable_ : current_;
    state = newest.get();
  }
  const PersistentMap::Entry* entry = state->families[static_cast<size_t>(family)].Find(key);
  if (entry == nullptr) return absl::NotFoundError("no such key");
  *value = entry->value;
  return absl::OkStatus();
}

std::unique_ptr<Iterator> MapEngine::NewIterator(Family family, const ReadOptions& options) const {
  GAVEL_CHECK(!options.persisted_only) << "iterators read the newest state or a snapshot";
  const auto index = static_cast<size_t>(family);
  if (options.snapshot != nullptr) {
    const State& state = static_cast<const SnapshotImpl*>(options.snapshot)->state();
    return std::make_unique<MapIterator>(readers_, state.families[index], options);
  }
  return std::make_unique<MapIterator>(readers_, current()->families[index], options);
}

std::shared_ptr<const EngineSnapshot> MapEngine::Snapshot() const {
  return std::make_shared<const SnapshotImpl>(readers_, current());
}

absl::Status MapEngine::FlushLocked() {
  if (!failure_.ok()) return failure_;
  durable_ = current_;
  later_.clear();
  unflushed_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status MapEngine::Flush() {
  const MutexLock lock(mutex_);
  return FlushLocked();
}

void MapEngine::FlushInBackground(std::function<void(absl::Status)> done) {
  if (options_.deferred_flushes) {
    const MutexLock lock(mutex_);
    pending_flushes_.push_back(std::move(done));
    return;
  }
  done(Flush());
}

size_t MapEngine::RunPendingFlushes() {
  std::vector<std::function<void(absl::Status)>> pending;
  {
    const MutexLock lock(mutex_);
    pending.swap(pending_flushes_);
  }
  for (auto& done : pending) done(Flush());
  return pending.size();
}

bool MapEngine::has_pending_flushes() const {
  const MutexLock lock(mutex_);
  return !pending_flushes_.empty();
}

absl::Status MapEngine::DeleteFilesInRange(Family family, std::string_view from,
                                           std::string_view to) {
  const auto index = static_cast<size_t>(family);
  const MutexLock lock(mutex_);
  if (!failure_.ok()) return failure_;
  std::vector<const PersistentMap::Entry*> durable;
  const StatePtr files = durable_;
  PersistentMap::Cursor cursor(files->families[index]);
  for (cursor.SeekAtOrAfter(from); cursor.Valid() && cursor.entry().key < to; cursor.Next()) {
    durable.push_back(&cursor.entry());
  }
  if (durable.empty()) return absl::OkStatus();
  // A key written again since then is not in a file yet, and stays.
  auto without = [&](const StatePtr& state) {
    auto result = std::make_shared<State>(*state);
    PersistentMap& map = result->families[index];
    for (const PersistentMap::Entry* entry : durable) {
      if (map.Find(entry->key) == entry) map = map.Erase(entry->key);
    }
    return result;
  };
  durable_ = without(durable_);
  for (StatePtr& state : later_) state = without(state);
  current_ = later_.empty() ? durable_ : later_.back();
  return absl::OkStatus();
}

absl::Status MapEngine::StartCompaction() { return health(); }

absl::Status MapEngine::Checkpoint(const std::string& path) {
  if (options_.disk == nullptr) {
    return absl::FailedPreconditionError("this engine has no disk to write a checkpoint to");
  }
  if (absl::Status flushed = Flush(); !flushed.ok()) return flushed;
  StatePtr state;
  {
    const MutexLock lock(mutex_);
    state = durable_;
  }
  return WriteMapCheckpoint(*options_.disk, path, state->families);
}

absl::StatusOr<std::unique_ptr<MapEngine>> MapEngine::OpenCheckpoint(const std::string& path,
                                                                     MapEngineOptions options) {
  GAVEL_CHECK(options.disk != nullptr);
  auto state = std::make_shared<State>();
  if (absl::Status read = ReadMapCheckpoint(*options.disk, path, state->families); !read.ok()) {
    return read;
  }
  return std::make_unique<MapEngine>(Private{}, options, std::move(state));
}

EngineStats MapEngine::stats() const {
  const MutexLock lock(mutex_);
  EngineStats stats;
  for (const PersistentMap& map : durable_->families) stats.disk_bytes += map.bytes();
  for (const PersistentMap& map : current_->families) stats.live_bytes += map.bytes();
  stats.memory_bytes = stats.live_bytes;
  stats.unflushed_bytes = unflushed_bytes_;
  stats.readers = static_cast<uint32_t>(readers_);
  return stats;
}

absl::Status MapEngine::health() const {
  const MutexLock lock(mutex_);
  return failure_;
}

std::unique_ptr<MapEngine> MapEngine::Crash(raft::Random& random) const {
  const size_t states = unflushed_states();
  const uint64_t draw = random.Below(4);
  const uint64_t any = random.Below(states + 1);  // Drawn always: the stream must not depend on it.
  return CrashKeeping(draw == 0 ? 0 : draw == 1 ? states : any);
}

std::unique_ptr<MapEngine> MapEngine::CrashKeeping(size_t kept) const {
  const MutexLock lock(mutex_);
  GAVEL_CHECK(kept <= later_.size());
  return std::make_unique<MapEngine>(Private{}, options_, kept == 0 ? durable_ : later_[kept - 1]);
}

size_t MapEngine::unflushed_states() const {
  const MutexLock lock(mutex_);
  return later_.size();
}

void MapEngine::Fail(absl::Status error) {
  GAVEL_CHECK(!error.ok());
  const MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = std::move(error);
}

void MapEngine::SetStalled(bool stalled) {
  const MutexLock lock(mutex_);
  stalled_ = stalled;
}

}  // namespace gavel::storage
