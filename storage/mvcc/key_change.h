// A change of a key as watchers are told of it.
#pragma once

#include <cstdint>
#include <string>

#include "storage/mvcc/revision.h"

namespace gavel::storage {

// One PUT, or one DELETE (`tombstone`: only id and key say something).
struct KeyChange {
  ChangeId id;  // Its main revision is the key's mod_revision.
  bool tombstone = false;
  Revision create = 0;
  int64_t version = 0;
  int64_t lease = 0;
  std::string key;
  std::string value;
};

}  // namespace gavel::storage
