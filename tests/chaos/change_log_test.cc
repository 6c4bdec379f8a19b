#include "tests/chaos/change_log.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gavel::chaos {
namespace {

// Made so that a reader can tell from an entry's place what it must be. Each revision changes one
// key, and every other one a second key too.
std::vector<Change> ChangesOf(int64_t revision) {
  const int key = static_cast<int>(revision) % kWatchKeys;
  std::vector<Change> changes = {{key, false, static_cast<uint64_t>(revision), revision, 1}};
  if (revision % 2 == 0) changes.push_back({(key + 1) % kWatchKeys, true, 0, 0, 0});
  return changes;
}

// Reads all that is there and says whether each entry is as it must be.
bool ReadsWhole(const ChangeLog& log) {
  const int64_t last = log.last();
  int64_t revision = ChangeLog::kFirst;
  size_t within = 0;
  bool good = true;
  log.Visit(ChangeLog::kFirst, last + 1, [&](const ChangeLog::Entry& entry) {
    const std::vector<Change> expected = ChangesOf(revision);
    good = good && entry.revision == revision && entry.change == expected[within];
    if (++within == expected.size()) {
      ++revision;
      within = 0;
    }
  });
  return good && within == 0 && revision == last + 1;
}

// Readers without pause neither keep the one that appends out nor see anything that is not whole.
TEST(ChangeLogTest, ReadersAndTheOneThatAppendsDoNotMind) {
  constexpr int64_t kRevisions = 100'000;  // More entries than one chunk has.
  ChangeLog log;
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&] {
      while (!done) wrong += !ReadsWhole(log);
      wrong += !log.WaitFor(ChangeLog::kFirst + kRevisions - 1) || !ReadsWhole(log);
    });
  }
  for (int64_t i = 0; i < kRevisions; ++i) {
    log.Append(ChangeLog::kFirst + i, ChangesOf(ChangeLog::kFirst + i));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(log.last(), ChangeLog::kFirst + kRevisions - 1);
}

// What is asked for beyond either end of the log is left out.
TEST(ChangeLogTest, VisitsWhatIsThere) {
  ChangeLog log;
  const auto count = [&](int64_t first, int64_t end) {
    int entries = 0;
    log.Visit(first, end, [&](const ChangeLog::Entry&) { ++entries; });
    return entries;
  };
  EXPECT_EQ(count(0, 100), 0);
  log.Append(2, ChangesOf(2));
  log.Append(3, ChangesOf(3));
  EXPECT_EQ(count(0, 100), 3);
  EXPECT_EQ(count(2, 3), 2);
  EXPECT_EQ(count(3, 3), 0);
  EXPECT_EQ(count(3, 4), 1);
  EXPECT_EQ(count(4, 9), 0);
}

// Each entry knows what its key held before; a deletion leaves nothing.
TEST(ChangeLogTest, AnEntryKnowsWhatWasBefore) {
  ChangeLog log;
  log.Append(2, {{7, false, 70, 2, 1}});
  log.Append(3, {{7, true, 0, 0, 0}});
  log.Append(4, {{7, false, 71, 4, 1}});
  std::vector<std::pair<uint64_t, int64_t>> before;
  log.Visit(2, 5, [&](const ChangeLog::Entry& entry) {
    before.emplace_back(entry.previous_write, entry.previous_revision);
  });
  EXPECT_EQ(before, (std::vector<std::pair<uint64_t, int64_t>>{{0, 0}, {70, 2}, {0, 0}}));
}

// A revision that does not come is not waited for longer than was said.
TEST(ChangeLogTest, WaitsAsLongAsItMay) {
  ChangeLog log;
  EXPECT_FALSE(log.WaitFor(2, std::chrono::milliseconds(20)));
  log.Append(2, ChangesOf(2));
  EXPECT_TRUE(log.WaitFor(2, std::chrono::milliseconds(0)));
}

}  // namespace
}  // namespace gavel::chaos
