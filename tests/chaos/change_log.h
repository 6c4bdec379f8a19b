// The writes of the watch scenario, and the log of changes that they made.
//
// What a write does follows from its number, so a revision whose changes are known by one watcher
// can be held against what was written, and every other watcher against that log.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gavel::chaos {

// Keys have numbers from 0 on; KeyName keeps their order.
inline constexpr int kWatchKeys = 200;
inline constexpr char kWatchPrefix[] = "watched/";
std::string KeyName(int key);
// The number of a name; -1 if it is none.
int KeyNumber(const std::string& name);

// One change of one key.
struct Change {
  int key = 0;
  bool deleted = false;
  uint64_t write = 0;  // Which write has put it; of a deletion 0.
  int64_t create_revision = 0;
  int64_t version = 0;
  friend bool operator==(const Change&, const Change&) = default;
};

// What a write does, in this order; each key at most once, and at least one is put.
struct WriteStep {
  int key = 0;
  bool deletes = false;
};
std::vector<WriteStep> StepsOf(uint64_t write);
// What a write puts; ends with its number.
std::string ValueOf(uint64_t write);
// The number of the write that has put the value; 0 if none has.
uint64_t WriteOf(const std::string& value);

// A list that one thread adds to while others read what it has published, without a lock: readers
// without pause would keep the one that adds out of it.
template <class T>
class GrowingList {
 public:
  GrowingList() : chunks_(kChunksMax) {}

  // Only the thread that adds.
  void Add(T value) {
    std::unique_ptr<T[]>& chunk = chunks_.at(added_ / kChunk);
    if (!chunk) chunk = std::make_unique<T[]>(kChunk);
    chunk[added_++ % kChunk] = std::move(value);
  }
  size_t added() const { return added_; }
  // Requires: it was added before something that this thread has seen since.
  const T& at(size_t index) const { return chunks_[index / kChunk][index % kChunk]; }

 private:
  static constexpr size_t kChunk = 1 << 16;
  static constexpr size_t kChunksMax = 1 << 14;

  std::vector<std::unique_ptr<T[]>> chunks_;
  size_t added_ = 0;
};

// All changes by revision, as one watcher was told of them, from revision 2 on. One thread appends,
// and waits for nobody; any may read.
class ChangeLog {
 public:
  static constexpr int64_t kFirst = 2;

  ChangeLog() { begins_.Add(0); }

  // Requires: `revision` is last() + 1.
  void Append(int64_t revision, const std::vector<Change>& changes);
  // The newest revision; kFirst - 1 if there is none.
  int64_t last() const { return last_.load(std::memory_order_acquire); }
  // Waits until last() >= revision; false if it is not within `limit`, the default of which leaves
  // the watcher of everything the time that a busy machine takes.
  bool WaitFor(int64_t revision, std::chrono::milliseconds limit = std::chrono::minutes(5)) const;
  // The changes of [first, end), in order, with their revisions, as far as they are there.
  struct Entry {
    int64_t revision = 0;
    Change change;
    // What the key held before; 0: it was not there.
    uint64_t previous_write = 0;
    int64_t previous_revision = 0;
  };
  template <class Visitor>
  void Visit(int64_t first, int64_t end, const Visitor& visit) const {
    const int64_t newest = last();
    const size_t to = Begin(end, newest);
    for (size_t at = Begin(first, newest); at < to; ++at) visit(entries_.at(at));
  }

 private:
  size_t Begin(int64_t revision, int64_t newest) const;

  GrowingList<Entry> entries_;
  GrowingList<size_t> begins_;              // Where each revision begins in entries_, and the end.
  std::atomic<int64_t> last_ = kFirst - 1;  // Up to where both lists are published.
  std::vector<Entry> newest_ = std::vector<Entry>(kWatchKeys);  // Of each key, for Append.
};

// How a write ended for its writer.
struct WriteEnd {
  enum class How { kDone, kUnknown, kNotDone } how = How::kUnknown;
  int64_t revision = 0;  // kDone.
};

// The model's state of one key.
struct KeyState {
  uint64_t write = 0;  // 0: it is not there.
  int64_t create_revision = 0;
  int64_t version = 0;
};

// Checks that every revision of the log is exactly what one of the writes does to what was there,
// that no write is there twice or although it was not done, and that every acknowledged one is
// there at its revision. Gives what each key holds at the end.
std::vector<std::string> CheckLog(const ChangeLog& log, const std::map<uint64_t, WriteEnd>& writes,
                                  std::vector<KeyState>* state);

}  // namespace gavel::chaos
