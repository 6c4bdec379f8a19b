// The changes of a batch that is not written yet, laid over the engine.
//
// It is what makes the second command of a batch, and the later operations of a transaction, see
// the earlier ones. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/newest_cache.h"
#include "storage/mvcc/record.h"

namespace gavel::storage {

class Overlay {
 public:
  // `cache` may be null. Both must outlive the overlay.
  Overlay(const Engine& engine, NewestCache* cache) : engine_(engine), cache_(cache) {}

  // Adds the newest version of a key. Requires: its id is above all others of the key.
  void Add(std::string_view key, const Version& version);

  // Returns what is newest of a key, batch included.
  absl::StatusOr<NewestVersion> Newest(std::string_view key);
  // Returns the value of an existing version of a key.
  absl::StatusOr<std::string> Value(std::string_view key, ChangeId id) const;

  // Shows each key of the range that is live at `revision`, in key order, until the end or until
  // `visit` returns false. `visit` must not change the overlay.
  using Visit = absl::FunctionRef<bool(std::string_view key, const Version& version)>;
  absl::Status Scan(const KeyRange& range, Revision revision, Visit visit) const;

  // Forgets the batch: it was given up.
  void Drop() { pending_.clear(); }
  // Moves what is known to the cache: the batch has been written.
  void Written();

 private:
  struct Pending {
    explicit Pending(const Version& original) : value(original.value), without_value(original) {
      without_value.value = {};
    }
    Version version() const {
      Version whole = without_value;
      whole.value = value;
      return whole;
    }
    ChangeId id() const { return without_value.id; }

    std::string value;
    Version without_value;  // Its view would not survive a move.
  };
  // Versions of one key, oldest first; never empty.
  using Versions = std::vector<Pending>;
  using Map = std::map<std::string, Versions, std::less<>>;

  static const Pending* NewestAt(const Versions& versions, Revision revision);

  const Engine& engine_;
  NewestCache* const cache_;
  Map pending_;
};

}  // namespace gavel::storage
