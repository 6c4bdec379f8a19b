// The small formats of storage: rows of the state, configurations, versions, the identity of a
// data directory, the end of a MANIFEST. What is decoded encodes to bytes that decode to the same.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/check.h"
#include "raft/configuration.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/double_block.h"
#include "storage/disk/little_endian.h"
#include "storage/engine/map_engine.h"
#include "storage/engine/rocks_manifest.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/state/membership.h"
#include "storage/state/meta.h"
#include "storage/state/state_machine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/storage/state/store.h"
#include "tests/support/crash_disk.h"

namespace gavel::fuzz {
namespace {

using gavel::testing::CrashDisk;

enum Kind { kMeta, kConfiguration, kVersion, kChange, kKeys, kIdentity, kManifest, kState, kKinds };

constexpr char kIdentityPath[] = "/data/member/identity";

void DecodeMeta(std::string_view bytes) {
  storage::MetaFormat format;
  if (storage::DecodeMetaFormat(bytes, &format)) {
    storage::MetaFormat again;
    GAVEL_CHECK(storage::DecodeMetaFormat(storage::EncodeMetaFormat(format), &again));
    GAVEL_CHECK(again.format == format.format && again.semantics == format.semantics);
  }
  storage::MetaState state;
  if (storage::DecodeMetaState(bytes, &state)) {
    storage::MetaState again;
    GAVEL_CHECK(storage::DecodeMetaState(storage::EncodeMetaState(state), &again));
    GAVEL_CHECK(again == state);
  }
}

void DecodeConfiguration(std::string_view bytes) {
  const auto configuration = raft::DecodeConfiguration(bytes);
  if (!configuration.ok()) return;
  GAVEL_CHECK(raft::CheckConfiguration(*configuration).ok());
  const auto again = raft::DecodeConfiguration(raft::EncodeConfiguration(*configuration));
  GAVEL_CHECK(again.ok() && *again == *configuration);
}

void DecodeVersion(std::string_view bytes) {
  storage::Version version;
  if (!storage::ParseVersionRecord(bytes, &version)) return;
  std::string encoded;
  storage::AppendVersionRecord(version, &encoded);
  storage::Version again;
  GAVEL_CHECK(storage::ParseVersionRecord(encoded, &again));
  GAVEL_CHECK(again.tombstone == version.tombstone && again.create == version.create &&
              again.version == version.version && again.lease == version.lease &&
              again.value == version.value);
}

void DecodeChange(std::string_view bytes) {
  storage::ChangeRecord change;
  if (!storage::ParseChangeRecord(bytes, &change)) return;
  std::string encoded;
  storage::AppendChangeRecord(change, &encoded);
  storage::ChangeRecord again;
  GAVEL_CHECK(storage::ParseChangeRecord(encoded, &again));
  GAVEL_CHECK(again.tombstone == change.tombstone && again.user_key == change.user_key &&
              again.superseded_total == change.superseded_total);
}

// Two user keys: their rows stand in their order, and each is found again in its row.
void EncodeKeys(Choices& choices) {
  const storage::ChangeId id{static_cast<int64_t>(choices.Number(8) >> 1),
                             static_cast<int32_t>(choices.Number(4) >> 1)};
  const std::string_view first = choices.Bytes(choices.Byte());
  const std::string_view second = choices.left();
  const std::string row = storage::VersionKey(first, id);
  GAVEL_CHECK((row < storage::VersionKey(second, id)) == (first < second)) << "out of order";
  const auto parts = storage::ParseVersionKey(row);
  GAVEL_CHECK(parts && parts->id == id);
  std::string scratch;
  GAVEL_CHECK(storage::UserKey(parts->prefix, &scratch) == first);
  const auto any = storage::ParseVersionKey(second);
  GAVEL_CHECK(!any || any->prefix.size() + storage::kVersionSuffixBytes == second.size());
  GAVEL_CHECK(storage::ParseChangeKey(storage::ChangeKey(id)) == id);
  storage::ParseChangeKey(second);
}

void OpenIdentity(std::string_view bytes) {
  CrashDisk disk;
  GAVEL_CHECK(disk.CreateDirectories("/data/member").ok());
  auto file = disk.Open(kIdentityPath, storage::OpenMode::kCreate);
  GAVEL_CHECK(file.ok() && (*file)->WriteAt(0, bytes).ok() && (*file)->SyncData().ok());
  storage::Identity identity;
  {
    auto directory = storage::DataDirectory::Open(disk, "/data");
    if (!directory.ok()) {
      GAVEL_CHECK(!directory.status().message().empty());
      GAVEL_CHECK(disk.Contents(kIdentityPath) == bytes) << "a refused identity was changed";
      return;
    }
    if (directory->is_new()) return;
    identity = directory->identity();
    // The last life that a number can count.
    if (identity.incarnation.value() > UINT64_MAX - 2) return;
    const auto next = directory->BumpIncarnation();
    GAVEL_CHECK(next.ok() && *next > identity.incarnation);
    identity.incarnation = *next;
  }
  auto again = storage::DataDirectory::Open(disk, "/data");
  GAVEL_CHECK(again.ok() && again->identity() == identity) << "an incarnation was not kept";
}

void CutManifest(std::string_view bytes) {
  const std::optional<size_t> end = storage::FindTornTail(bytes);
  if (!end) return;
  GAVEL_CHECK(*end < bytes.size());
  GAVEL_CHECK(!storage::FindTornTail(bytes.substr(0, *end))) << "cut, and torn again";
}

// A state whose rows were written by nobody.
void OpenState(Choices& choices) {
  auto engine = std::make_shared<storage::MapEngine>();
  const storage::InitialState initial = gavel::testing::OneMember();
  GAVEL_CHECK(storage::StateMachine::Open(engine, initial, {}).ok());
  storage::WriteBatch batch;
  constexpr std::string_view kRows[] = {storage::kMetaFormat,        storage::kMetaState,
                                        storage::kMetaConfiguration, storage::kMetaMembership,
                                        storage::kMetaFounding,      "other"};
  for (int rows = 0; rows < 8 && !choices.empty(); ++rows) {
    const uint64_t where = choices.Below(10);
    const std::string_view bytes = choices.Bytes(choices.Byte());
    if (where < 6) {
      batch.Put(storage::Family::kMeta, kRows[where], bytes);
    } else if (where < 8) {
      batch.Put(storage::Family::kMembers, bytes.substr(0, bytes.size() / 2),
                bytes.substr(bytes.size() / 2));
    } else {
      batch.Put(storage::Family::kChanges, storage::ChangeKey({2, static_cast<int32_t>(rows)}),
                bytes);
    }
  }
  GAVEL_CHECK(engine->Write(batch).ok());
  const auto machine = storage::StateMachine::Open(engine, initial, {});
  if (!machine.ok()) GAVEL_CHECK(!machine.status().message().empty());
  if (const auto founders = storage::ReadFounding(*engine); !founders.ok()) {
    GAVEL_CHECK(!founders.status().message().empty());
  }
}

}  // namespace

void OneInput(std::string_view input) {
  Choices choices(input);
  const uint64_t kind = choices.Below(kKinds);
  const std::string_view bytes = choices.left();
  switch (kind) {
    case kMeta:
      return DecodeMeta(bytes);
    case kConfiguration:
      return DecodeConfiguration(bytes);
    case kVersion:
      return DecodeVersion(bytes);
    case kChange:
      return DecodeChange(bytes);
    case kKeys:
      return EncodeKeys(choices);
    case kIdentity:
      return OpenIdentity(bytes);
    case kManifest:
      return CutManifest(bytes);
    default:
      return OpenState(choices);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const auto add = [&](Kind kind, const std::string& bytes) {
    seeds.push_back(std::string(1, static_cast<char>(kind)) + bytes);
  };
  const storage::InitialState initial = gavel::testing::OneMember();
  const std::string configuration = raft::EncodeConfiguration(initial.configuration);
  storage::MetaState state;
  state.applied = raft::Index(300);
  state.totals.revision = 200;
  add(kMeta, storage::EncodeMetaFormat({1, 1}));
  add(kMeta, storage::EncodeMetaState(state));
  add(kConfiguration, configuration);
  storage::Version version{
      .id = {}, .tombstone = false, .create = 5, .version = 300, .lease = -1, .value = "value"};
  std::string record;
  storage::AppendVersionRecord(version, &record);
  add(kVersion, record);
  record.clear();
  storage::AppendChangeRecord({false, 1 << 20, "key"}, &record);
  add(kChange, record);
  add(kKeys, std::string("\1\0\0\0\0\0\0\0\2\0\0\0\3a\0ba\0", 19));
  CrashDisk disk;
  {
    auto directory = storage::DataDirectory::Open(disk, "/data");
    GAVEL_CHECK(directory.ok());
    GAVEL_CHECK(directory->Create({77, raft::NodeId(1), "m0", raft::Incarnation(0)}).ok());
    GAVEL_CHECK(directory->BumpIncarnation().ok());
  }
  add(kIdentity, disk.Contents(kIdentityPath));
  // Two whole records of a MANIFEST (masked checksum, length, type 1) and zeros.
  std::string manifest;
  for (const std::string payload : {"one", "another"}) {
    std::string body = "\1" + payload;
    const uint32_t crc = storage::Crc32c(body);
    storage::AppendLittleEndian(manifest, ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    storage::AppendLittleEndian(manifest, static_cast<uint16_t>(payload.size()));
    manifest += body;
  }
  add(kManifest, manifest);
  add(kManifest, manifest.substr(0, manifest.size() - 3) + std::string(40, '\0'));
  std::string rows;
  for (const auto& [where, bytes] :
       std::vector<std::pair<char, std::string>>{{0, storage::EncodeMetaFormat({1, 1})},
                                                 {1, storage::EncodeMetaState(state)},
                                                 {2, configuration}}) {
    rows += where;
    rows += static_cast<char>(bytes.size());
    rows += bytes;
  }
  add(kState, rows);
  return seeds;
}

void Mend(std::string& input, raft::Random&) {
  if (input.empty() || static_cast<uint8_t>(input[0]) % kKinds != kIdentity) return;
  for (size_t at = 1; at + storage::DoubleBlock::kSlotBytes <= input.size();
       at += storage::DoubleBlock::kSlotBytes) {
    char* slot = input.data() + at;
    const uint32_t length = storage::LoadLittleEndian<uint32_t>(slot + 12);
    if (length > storage::DoubleBlock::kBodyBytesMax) continue;
    const uint32_t head = storage::Crc32c({slot, 24});
    storage::StoreLittleEndian(slot + 24, storage::Crc32c({slot + 28, length}, head));
  }
}

}  // namespace gavel::fuzz
