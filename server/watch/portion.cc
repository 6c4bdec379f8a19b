#include "server/watch/portion.h"

#include <iterator>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"
#include "server/watch/event_bytes.h"
#include "storage/mvcc/change_scan.h"

namespace gavel::server {

using storage::KeyChange;
using storage::Revision;

Portion::Portion(std::vector<KeyChange> changes, Revision first, Revision last)
    : changes_(std::move(changes)), first_(first), last_(last) {
  for (const KeyChange& change : changes_) bytes_ += change.key.size() + change.value.size();
}

absl::Status Portion::LoadPrevious(size_t i, const storage::ReadView& view) const {
  const KeyChange& change = changes_[i];
  const MutexLock lock(mutex_);
  if (previous_.empty()) previous_.resize(changes_.size());
  PreviousValue& previous = previous_[i];
  if (previous.loaded) return absl::OkStatus();
  const bool created = !change.tombstone && change.create == change.id.main;
  if (!created) {
    KeyChange before;
    const absl::StatusOr<bool> found = storage::ReadPreviousValue(
        view, change.key, GAVEL_PLANTED_BUG(71) ? view.revision + 1 : change.id.main, &before);
    if (!found.ok()) return found.status();
    if (*found) AppendKeyValue(before, &previous.key_value);
  }
  previous.loaded = true;
  return absl::OkStatus();
}

std::string_view Portion::Previous(size_t i) const {
  const MutexLock lock(mutex_);
  GAVEL_CHECK(!previous_.empty() && previous_[i].loaded);
  return previous_[i].key_value;
}

std::vector<std::shared_ptr<const Portion>> CutIntoPortions(std::vector<KeyChange> changes,
                                                            Revision first, Revision last,
                                                            size_t bytes_max,
                                                            int64_t revisions_max) {
  std::vector<std::shared_ptr<const Portion>> portions;
  auto begin = changes.begin();
  size_t bytes = 0;
  for (auto it = changes.begin(); it != changes.end(); ++it) {
    const bool new_revision = it != begin && it->id.main != std::prev(it)->id.main;
    if (new_revision && (bytes >= bytes_max || it->id.main - first >= revisions_max)) {
      portions.push_back(std::make_shared<Portion>(
          std::vector<KeyChange>(std::make_move_iterator(begin), std::make_move_iterator(it)),
          first, it->id.main - 1));
      first = it->id.main;
      begin = it;
      bytes = 0;
    }
    bytes += it->key.size() + it->value.size();
  }
  if (begin == changes.begin()) {
    portions.push_back(std::make_shared<Portion>(std::move(changes), first, last));
  } else {
    portions.push_back(
        std::make_shared<Portion>(std::vector<KeyChange>(std::make_move_iterator(begin),
                                                         std::make_move_iterator(changes.end())),
                                  first, last));
  }
  return portions;
}

}  // namespace gavel::server
