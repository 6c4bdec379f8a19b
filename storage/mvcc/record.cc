#include "storage/mvcc/record.h"

#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

constexpr char kTombstone = 0;
constexpr char kValue = 1;

bool TakeKind(std::string_view* in, bool* tombstone) {
  if (in->empty() || (in->front() != kTombstone && in->front() != kValue)) return false;
  *tombstone = in->front() == kTombstone;
  in->remove_prefix(1);
  return true;
}

}  // namespace

void AppendVersionRecord(const Version& version, std::string* out) {
  out->push_back(version.tombstone ? kTombstone : kValue);
  if (version.tombstone) return;
  AppendVarint(static_cast<uint64_t>(version.create), out);
  AppendVarint(static_cast<uint64_t>(version.version), out);
  AppendVarint(static_cast<uint64_t>(version.lease), out);
  out->append(version.value);
}

bool ParseVersionRecord(std::string_view in, Version* version) {
  if (!TakeKind(&in, &version->tombstone)) return false;
  if (version->tombstone) {
    version->create = version->version = version->lease = 0;
    version->value = {};
    return in.empty();
  }
  version->value = {};
  if (!TakeVarint(&in, &version->create) || !TakeVarint(&in, &version->version) ||
      !TakeVarint(&in, &version->lease)) {
    return false;
  }
  version->value = in;
  return true;
}

void AppendChangeRecord(const ChangeRecord& change, std::string* out) {
  out->push_back(change.tombstone ? kTombstone : kValue);
  AppendVarint(static_cast<uint64_t>(change.superseded_total), out);
  out->append(change.user_key);
}

bool ParseChangeRecord(std::string_view in, ChangeRecord* change) {
  if (!TakeKind(&in, &change->tombstone) || !TakeVarint(&in, &change->superseded_total)) {
    return false;
  }
  change->user_key = in;
  return true;
}

}  // namespace gavel::storage
