// The bytes of one file on a CrashDisk: what reads show, what a power cut leaves, and the
// unsynced changes in between.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/random.h"
#include "tests/support/crash_disk.h"

namespace gavel::testing {

// Sparse bytes; a page that is present but null holds zeros and uses space like any other.
class Pages {
 public:
  static constexpr uint64_t kPageBytes = 4096;

  Pages() = default;
  Pages(const Pages& other) { *this = other; }
  Pages& operator=(const Pages& other);

  uint64_t size() const { return size_; }
  void Resize(uint64_t size);
  // Grows the file if needed.
  void Write(uint64_t offset, std::string_view bytes);
  // Writes zeros without making them.
  void WriteZeros(uint64_t offset, uint64_t count);
  // Requires: the range lies within size().
  void Read(uint64_t offset, std::span<char> buffer) const;
  bool Allocated(uint64_t page) const { return pages_.contains(page); }
  uint64_t allocated_bytes() const { return pages_.size() * kPageBytes; }

 private:
  using Page = std::array<char, kPageBytes>;
  template <class Visit>
  static void ForEachPage(uint64_t offset, uint64_t count, Visit visit);

  uint64_t size_ = 0;
  std::map<uint64_t, std::unique_ptr<Page>> pages_;
};

struct CrashDisk::Inode {
  // An unsynced write or, without bytes and zeros, a truncation to `offset`.
  struct Change {
    uint64_t offset = 0;
    std::string bytes;
    uint64_t zeros = 0;  // Instead of bytes.

    bool truncation() const { return bytes.empty() && zeros == 0; }
    uint64_t end() const { return offset + std::max<uint64_t>(bytes.size(), zeros); }
    void ApplyTo(Pages& pages) const;
    // Applies the part in [from, to) only, inside the file's size.
    void ApplyPart(Pages& pages, uint64_t from, uint64_t to) const;
  };

  Pages visible;
  Pages durable;
  std::vector<Change> changes;  // From durable on; a failed sync may have dropped some.

  void Sync();
  // Leaves in both what a crash does.
  void Crash(CrashMode mode, raft::Random& random);

 private:
  void Tear(uint64_t sector_bytes, raft::Random& random);
};

}  // namespace gavel::testing
