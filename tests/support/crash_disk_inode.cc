#include "tests/support/crash_disk_inode.h"

#include <set>
#include <utility>

#include "raft/check.h"

namespace gavel::testing {

Pages& Pages::operator=(const Pages& other) {
  if (this == &other) return *this;
  size_ = other.size_;
  pages_.clear();
  for (const auto& [number, page] : other.pages_) {
    pages_[number] = page ? std::make_unique<Page>(*page) : nullptr;
  }
  return *this;
}

// Calls visit(page, offset in page, offset in range, count) for each page of the range.
template <class Visit>
void Pages::ForEachPage(uint64_t offset, uint64_t count, Visit visit) {
  for (uint64_t done = 0; done < count;) {
    const uint64_t page = (offset + done) / kPageBytes;
    const uint64_t inside = (offset + done) % kPageBytes;
    const uint64_t step = std::min(kPageBytes - inside, count - done);
    visit(page, inside, done, step);
    done += step;
  }
}

void Pages::Resize(uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound((size + kPageBytes - 1) / kPageBytes), pages_.end());
    const auto last = pages_.find(size / kPageBytes);
    if (last != pages_.end() && last->second) {
      std::fill(last->second->begin() + static_cast<ptrdiff_t>(size % kPageBytes),
                last->second->end(), '\0');
    }
  }
  size_ = size;
}

void Pages::Write(uint64_t offset, std::string_view bytes) {
  ForEachPage(offset, bytes.size(), [&](uint64_t page, uint64_t in, uint64_t from, uint64_t n) {
    std::unique_ptr<Page>& slot = pages_[page];
    if (!slot) slot = std::make_unique<Page>(Page{});
    std::copy_n(bytes.data() + from, n, slot->data() + in);
  });
  size_ = std::max(size_, offset + bytes.size());
}

void Pages::WriteZeros(uint64_t offset, uint64_t count) {
  ForEachPage(offset, count, [&](uint64_t page, uint64_t in, uint64_t, uint64_t n) {
    std::unique_ptr<Page>& slot = pages_[page];
    if (n == kPageBytes) {
      slot.reset();
    } else if (slot) {
      std::fill_n(slot->data() + in, n, '\0');
    }
  });
  size_ = std::max(size_, offset + count);
}

void Pages::Read(uint64_t offset, std::span<char> buffer) const {
  GAVEL_CHECK(offset + buffer.size() <= size_);
  ForEachPage(offset, buffer.size(), [&](uint64_t page, uint64_t in, uint64_t from, uint64_t n) {
    const auto found = pages_.find(page);
    if (found == pages_.end() || !found->second) {
      std::fill_n(buffer.data() + from, n, '\0');
    } else {
      std::copy_n(found->second->data() + in, n, buffer.data() + from);
    }
  });
}

void CrashDisk::Inode::Change::ApplyTo(Pages& pages) const {
  if (truncation()) {
    pages.Resize(offset);
  } else if (zeros > 0) {
    pages.WriteZeros(offset, zeros);
  } else {
    pages.Write(offset, bytes);
  }
}

void CrashDisk::Inode::Change::ApplyPart(Pages& pages, uint64_t from, uint64_t to) const {
  from = std::max(from, offset);
  to = std::min(to, end());
  if (from >= to) return;
  if (zeros > 0) {
    pages.WriteZeros(from, to - from);
  } else {
    pages.Write(from, std::string_view(bytes).substr(from - offset, to - from));
  }
}

void CrashDisk::Inode::Sync() {
  for (const Change& change : changes) change.ApplyTo(durable);
  changes.clear();
}

void CrashDisk::Inode::Crash(CrashMode mode, raft::Random& random) {
  switch (mode) {
    case CrashMode::kKeepAll:
      return;  // The page cache lives on, and so does what is still to be synced.
    case CrashMode::kLoseAll:
      break;
    case CrashMode::kTearBy512:
      Tear(512, random);
      break;
    case CrashMode::kTearBy4096:
      Tear(4096, random);
      break;
  }
  changes.clear();
  visible = durable;
}

void CrashDisk::Inode::Tear(uint64_t sector_bytes, raft::Random& random) {
  // The size is that of any moment since the last sync.
  uint64_t size = durable.size();
  uint64_t moment = durable.size();
  uint64_t moments = 1;
  for (const Change& change : changes) {
    moment = change.truncation() ? change.offset : std::max(moment, change.end());
    if (random.OneIn(++moments)) size = moment;
  }
  // Each sector has seen some of the changes to it, the first ones.
  std::map<uint64_t, std::vector<const Change*>> sectors;
  for (const Change& change : changes) {
    if (change.truncation()) continue;
    for (uint64_t s = change.offset / sector_bytes; s * sector_bytes < change.end(); ++s) {
      sectors[s].push_back(&change);
    }
  }
  for (const auto& [sector, touching] : sectors) {
    const uint64_t seen = random.Between(0, touching.size());
    for (uint64_t i = 0; i < seen; ++i) {
      touching[i]->ApplyPart(durable, sector * sector_bytes, (sector + 1) * sector_bytes);
    }
  }
  durable.Resize(size);
}

}  // namespace gavel::testing
