// Opening a write-ahead log whose bytes can be anything.
//
// Either it is refused for a reason and not a byte is changed, or what comes back makes sense,
// can be read back entry by entry, takes a new entry, and is the same when it is opened again.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/limits.h"
#include "storage/disk/path.h"
#include "storage/wal/format.h"
#include "storage/wal/wal.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/wal_image.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"

namespace gavel::fuzz {
namespace {

using gavel::testing::CrashDisk;
using storage::Describe;
using storage::JoinPath;
using storage::Wal;
using storage::WalContents;

constexpr char kDirectory[] = "/wal";
// Beyond this, numbers are not counted up from: the last of them is no index.
constexpr uint64_t kNumberMax = raft::kIndexMax.value() - 1;

storage::WalOptions Options() {
  storage::WalOptions options;
  options.directory = kDirectory;
  options.segment_bytes = 1024;
  options.zero_step_bytes = 512;
  return options;
}

std::string PathOf(uint8_t name) {
  return JoinPath(kDirectory, name == 0 ? "high-water" : storage::wal::SegmentName(name));
}

void WriteFiles(const WalImage& image, CrashDisk& disk) {
  GAVEL_CHECK(disk.CreateDirectories(kDirectory).ok());
  for (const auto& [name, bytes] : image.files) {
    auto file = disk.Open(PathOf(name), storage::OpenMode::kCreate);
    GAVEL_CHECK(file.ok());
    if (!bytes.empty()) GAVEL_CHECK((*file)->WriteAt(0, bytes).ok());
    GAVEL_CHECK((*file)->SyncData().ok());
  }
  GAVEL_CHECK(disk.SyncDirectory(kDirectory).ok());
}

void CheckUnchanged(const WalImage& image, const CrashDisk& disk) {
  for (const auto& [name, bytes] : image.files) {
    GAVEL_CHECK(disk.Contents(PathOf(name)) == bytes) << "a refused log was changed";
  }
}

void CheckContents(const WalContents& contents) {
  raft::EntryId last{contents.start.index, contents.start.term};
  for (const raft::Entry& entry : contents.entries) {
    GAVEL_CHECK(entry.index == last.index.Next() && entry.term >= last.term) << "a gap";
    GAVEL_CHECK((entry.payload == nullptr) == (entry.kind == raft::EntryKind::kEmpty));
    last = {entry.index, entry.term};
  }
  GAVEL_CHECK(CheckConfiguration(contents.start.configuration).ok());
}

void CheckReads(const Wal& wal, const WalContents& contents) {
  for (const raft::Entry& entry : contents.entries) {
    if (entry.index < contents.first_index) continue;
    const auto read = wal.Read(entry.index, 1);
    GAVEL_CHECK(read.ok() && !read->empty()) << "an entry cannot be read back";
    GAVEL_CHECK(Describe(read->front()) == Describe(entry)) << "another entry is read back";
  }
}

raft::EntryId LastOf(const WalContents& contents) {
  if (contents.entries.empty()) return {contents.start.index, contents.start.term};
  return {contents.entries.back().index, contents.entries.back().term};
}

// Appends one entry; nullopt where the numbers leave no room for it.
std::optional<raft::Entry> AppendOne(Wal& wal, const WalContents& contents) {
  const raft::EntryId last = LastOf(contents);
  const raft::Term term = std::max({last.term, contents.hard_state.term, raft::Term(1)});
  if (last.index.value() > kNumberMax || term.value() > kNumberMax) return std::nullopt;
  raft::Entry entry = storage::Command(last.index.value() + 1, term.value(), "new");
  const storage::WalBatch batch =
      term > contents.hard_state.term
          ? storage::InTheirTerm({.mark = {}, .hard_state = {}, .entries = {entry}})
          : storage::WalBatch{.mark = {}, .hard_state = {}, .entries = {entry}};
  GAVEL_CHECK(wal.Append(batch).ok());
  GAVEL_CHECK(wal.Sync().ok());
  return entry;
}

void CheckOpened(CrashDisk& disk, raft::Index keep_from, Wal::Opened opened) {
  const WalContents before = std::move(opened.contents);
  CheckContents(before);
  CheckReads(*opened.wal, before);
  const std::optional<raft::Entry> added = AppendOne(*opened.wal, before);
  opened.wal.reset();
  const auto again = Wal::Open(disk, Options(), keep_from);
  GAVEL_CHECK(again.ok()) << "what was opened once does not open again: "
                          << std::string(again.status().message());
  GAVEL_CHECK(!again->contents.torn_tail) << "a tail was cut twice";
  std::vector<std::string> expected = Describe(before.entries);
  // With a beginning beyond the old end the new entry may lie before it.
  if (added && added->index > again->contents.start.index) expected.push_back(Describe(*added));
  GAVEL_CHECK(Describe(again->contents.entries) == expected) << "other entries than before";
  GAVEL_CHECK(again->contents.hard_state.term ==
              std::max(before.hard_state.term, added ? added->term : raft::Term()))
      << "another hard state";
}

}  // namespace

void OneInput(std::string_view input) {
  const WalImage image = ParseWalImage(input);
  CrashDisk disk;
  WriteFiles(image, disk);
  const raft::Index keep_from(image.keep_from);
  auto opened = Wal::Open(disk, Options(), keep_from);
  if (opened.ok()) return CheckOpened(disk, keep_from, *std::move(opened));
  const absl::StatusCode code = opened.status().code();
  GAVEL_CHECK(code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kNotFound ||
              code == absl::StatusCode::kFailedPrecondition)
      << std::string(opened.status().message());
  CheckUnchanged(image, disk);
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    raft::Random random(seed);
    CrashDisk disk;
    auto wal = Wal::Create(disk, Options(), storage::Meta(0, 0, 1 + seed % 3));
    GAVEL_CHECK(wal.ok());
    uint64_t last = 0;
    uint64_t mark = 0;
    uint64_t term = 1;
    for (uint64_t batch = 0; batch < seed; ++batch) {
      storage::WalBatch next;
      if (batch == 0) next.hard_state = storage::State(term, 0, 0);
      if (random.OneIn(3)) next.hard_state = storage::State(++term, random.Below(3), last);
      if (last > mark + 2 && random.OneIn(4)) last -= random.Below(2);  // Truncates.
      for (uint64_t count = random.Between(1, 3); count > 0; --count) {
        ++last;
        const std::string payload(random.Below(200), 'p');
        next.entries.push_back(random.OneIn(4)   ? storage::Empty(last, term)
                               : random.OneIn(5) ? storage::Change(last, term, 3)
                                                 : storage::Command(last, term, payload));
      }
      if (batch == 5 && seed % 2 == 0) {
        // The log starts anew, as after a snapshot.
        mark = last += 10;
        next = {.mark = storage::Meta(last, term, 3), .hard_state = {}, .entries = {}};
      }
      GAVEL_CHECK((*wal)->Append(next).ok() && (*wal)->Sync().ok());
      if (batch == 7) GAVEL_CHECK((*wal)->WriteMark().ok());
    }
    WalImage image;
    image.keep_from = static_cast<uint8_t>(random.Below(last + 2));
    for (uint8_t name = 0; name <= kSegmentsMax; ++name) {
      if (*disk.Exists(PathOf(name))) image.files[name] = disk.Contents(PathOf(name));
    }
    seeds.push_back(EncodeWalImage(image));
    GAVEL_CHECK(ParseWalImage(seeds.back()).files == image.files);
  }
  return seeds;
}

void Mend(std::string& input, raft::Random& random) {
  WalImage image = ParseWalImage(input);
  MendWalImage(image, /*chains=*/!random.OneIn(4));
  input = EncodeWalImage(image);
}

}  // namespace gavel::fuzz
