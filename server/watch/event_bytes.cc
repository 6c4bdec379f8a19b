#include "server/watch/event_bytes.h"

#include <utility>

#include "storage/mvcc/varint.h"

namespace gavel::server {
namespace {

using storage::AppendVarint;

// Tags of mvccpb.KeyValue, mvccpb.Event and WatchResponse: (field number << 3) | wire type.
constexpr char kKvKey = 1 << 3 | 2;
constexpr char kKvCreate = 2 << 3;
constexpr char kKvMod = 3 << 3;
constexpr char kKvVersion = 4 << 3;
constexpr char kKvValue = 5 << 3 | 2;
constexpr char kKvLease = 6 << 3;
constexpr char kEventType = 1 << 3;
constexpr char kEventKv = 2 << 3 | 2;
constexpr char kEventPrevKv = 3 << 3 | 2;
constexpr char kResponseEvents = 11 << 3 | 2;
constexpr char kDelete = 1;

// Room for the numbers and tags of one event.
constexpr size_t kEventRoom = 80;

// What is zero or empty is left out, as protobuf does.
void AppendNumber(char tag, int64_t number, std::string* out) {
  if (number == 0) return;
  out->push_back(tag);
  AppendVarint(static_cast<uint64_t>(number), out);
}

void AppendField(char tag, std::string_view bytes, std::string* out) {
  out->push_back(tag);
  storage::AppendBytes(bytes, out);
}

}  // namespace

void AppendKeyValue(const storage::KeyChange& change, std::string* out) {
  if (!change.key.empty()) AppendField(kKvKey, change.key, out);
  if (change.tombstone) {
    AppendNumber(kKvMod, change.id.main, out);
    return;
  }
  AppendNumber(kKvCreate, change.create, out);
  AppendNumber(kKvMod, change.id.main, out);
  AppendNumber(kKvVersion, change.version, out);
  if (!change.value.empty()) AppendField(kKvValue, change.value, out);
  AppendNumber(kKvLease, change.lease, out);
}

std::shared_ptr<const EventBytes> EventBytes::Encode(const Portion& portion,
                                                     const std::vector<uint8_t>& wanted,
                                                     bool with_previous,
                                                     storage::Revision compacted) {
  auto encoded = std::make_shared<EventBytes>();
  const std::vector<storage::KeyChange>& changes = portion.changes();
  encoded->offsets_.reserve(changes.size() + 1);
  encoded->bytes_.reserve(portion.bytes() + changes.size() * kEventRoom);
  std::string key_value;
  std::string event;
  for (size_t i = 0; i < changes.size(); ++i) {
    encoded->offsets_.push_back(encoded->bytes_.size());
    if (wanted[i] == 0) continue;
    key_value.clear();
    AppendKeyValue(changes[i], &key_value);
    event.clear();
    if (changes[i].tombstone) {
      event.push_back(kEventType);
      event.push_back(kDelete);
    }
    AppendField(kEventKv, key_value, &event);
    if (with_previous && changes[i].id.main > compacted) {
      const std::string_view previous = portion.Previous(i);
      if (!previous.empty()) AppendField(kEventPrevKv, previous, &event);
    }
    AppendField(kResponseEvents, event, &encoded->bytes_);
  }
  encoded->offsets_.push_back(encoded->bytes_.size());
  return encoded;
}

}  // namespace gavel::server
