// A damaged archive is refused with the place of the damage, and a newer one by its version.

#include <algorithm>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "absl/strings/str_cat.h"

#include "raft/random.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "storage/engine/map_engine.h"
#include "storage/mvcc/varint.h"
#include "storage/snapshot/sha256.h"
#include "storage/state/semantics.h"
#include "tests/storage/snapshot/archives.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::archive::FrameHeader;
using storage::archive::FrameType;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string SmallArchive() {
  Store store;
  for (int i = 0; i < 20; ++i) store.Do(Put(absl::StrCat("key/", i % 7), absl::StrCat(i)));
  store.Do(Compact(9));
  return WriteArchive(store);
}

TEST(DamageTest, EveryTruncationIsRefusedWithItsPlace) {
  const std::string archive = SmallArchive();
  for (size_t size = 0; size < archive.size(); ++size) {
    ASSERT_THAT(ReadArchive(archive.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr(absl::StrCat("cut off at offset ", size)),
                               HasSubstr("that begins at offset "))));
  }
  EXPECT_OK(ReadArchive(archive));
}

TEST(DamageTest, EveryFlippedBitIsRefusedWithItsPlace) {
  const std::string archive = SmallArchive();
  for (size_t bit = 0; bit < archive.size() * 8; ++bit) {
    std::string damaged = archive;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto read = ReadArchive(damaged);
    ASSERT_THAT(read, StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
    const std::string message(read.status().message());
    const size_t at = message.find("offset ");
    ASSERT_NE(at, std::string::npos) << message;
    // The place named is the beginning of the part that the bit lies in.
    ASSERT_LE(std::strtoull(message.c_str() + at + 7, nullptr, 10), bit / 8) << message;
  }
}

// One change of any kind.
std::string Mutate(const std::string& archive, raft::Random& random) {
  std::string mutated = archive;
  const size_t at = random.Below(archive.size());
  const size_t length = 1 + random.Below(std::min<size_t>(archive.size() - at, 600));
  switch (random.Below(7)) {
    case 0:
      mutated[at] = static_cast<char>(random.Below(256));
      break;
    case 1:
      mutated.erase(at, length);
      break;
    case 2:
      mutated.insert(at, archive, random.Below(archive.size()), length);
      break;
    case 3:
      std::fill_n(mutated.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
      break;
    case 4:
      mutated.replace(at, length, archive.substr(random.Below(archive.size()), length));
      break;
    case 5:
      for (size_t i = 0; i < length; ++i) mutated[at + i] = static_cast<char>(random.Below(256));
      break;
    default:
      mutated.resize(at);
      mutated.append(length, static_cast<char>(random.Below(256)));
  }
  return mutated;
}

TEST(DamageTest, AThousandMutatedVariantsAreRefused) {
  Store store;
  Fill(store);
  const std::string archive = WriteArchive(store);
  raft::Random random(20);
  int refused = 0;
  for (int variant = 0; variant < 1000; ++variant) {
    const std::string mutated = Mutate(archive, random);
    storage::MapEngine engine;
    const auto installed = Install(mutated, engine, 1 + random.Below(5000));
    if (mutated == archive) {
      EXPECT_OK(installed);
      continue;
    }
    ++refused;
    ASSERT_THAT(installed, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset ")))
        << "variant " << variant;
    // Nothing of it can be taken for a store.
    ASSERT_TRUE(Dump(engine, Family::kMeta).empty()) << "variant " << variant;
  }
  EXPECT_GT(refused, 900);
}

TEST(DamageTest, ANewerFormatIsRefusedByName) {
  std::string archive = SmallArchive();
  archive[8] = 2;
  std::string checksum;
  storage::AppendLittleEndian(checksum, storage::Crc32c(archive.substr(0, 12)));
  archive.replace(12, 4, checksum);
  EXPECT_THAT(ReadArchive(archive),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("the snapshot has format version 2, and this build reads up to 1: "
                                 "use a newer build")));
}

// Writes archives whose checksums are all right and whose contents are not.
class Forger {
 public:
  Forger() : bytes_(storage::archive::EncodePreamble()) {
    header_.format = {storage::kFormatVersion, storage::SemanticsVersion()};
    header_.state.applied = raft::Index(5);
    header_.configuration = OneMember().configuration;
    header_.members = OneMember().members;
  }
  storage::ArchiveHeader& header() { return header_; }

  void Header() { Frame(FrameType::kHeader, storage::archive::EncodeHeader(header_)); }
  void Rows(Family family, const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string body(1, static_cast<char>(storage::archive::FamilyCode(family)));
    for (const auto& [key, value] : rows) {
      storage::AppendBytes(key, &body);
      storage::AppendBytes(value, &body);
      const auto& order = storage::archive::kFamilyOrder;
      ++totals_.rows[std::find(order.begin(), order.end(), family) - order.begin()];
      totals_.row_bytes += key.size() + value.size();
      totals_.contents = storage::archive::AddToContents(totals_.contents, family, key, value);
    }
    Frame(FrameType::kRows, body);
  }
  void Members() {
    for (const auto& member : header_.members) {
      Rows(Family::kMembers, {{storage::MemberKey(member.id), storage::EncodeMember(member)}});
    }
  }
  void Meta() {
    Rows(Family::kMeta, {{"configuration", raft::EncodeConfiguration(header_.configuration)},
                         {"format", storage::EncodeMetaFormat(header_.format)},
                         {"state", storage::EncodeMetaState(header_.state)}});
  }
  void Frame(FrameType type, const std::string& body) {
    FrameHeader header;
    header.type = type;
    header.number = frames_++;
    header.body_bytes = header.stored_bytes = static_cast<uint32_t>(body.size());
    header.body_checksum = storage::Crc32c(body);
    storage::archive::AppendFrameHeader(header, &bytes_);
    bytes_ += body;
  }
  storage::ArchiveTotals& totals() { return totals_; }

  absl::Status Read() {
    Frame(FrameType::kTrailer, storage::archive::EncodeTotals(totals_));
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    storage::Sha256 sha;
    sha.Add(bytes_);
    return ReadArchive(bytes_ + sha.Finish()).status();
  }

 private:
  std::string bytes_;
  storage::ArchiveHeader header_;
  storage::ArchiveTotals totals_;
  uint32_t frames_ = 0;
};

TEST(ForgedTest, OneThatIsRightIsTaken) {
  Forger forger;
  forger.Header();
  forger.Rows(Family::kAuth, {{"a", "1"}, {"b", "2"}});
  forger.Rows(Family::kAuth, {{"c", ""}});
  forger.Members();
  forger.Meta();
  EXPECT_OK(forger.Read());
}

TEST(ForgedTest, AnotherFormatOfTheStateIsRefusedByName) {
  for (const uint64_t format : {storage::kFormatVersion - 1, storage::kFormatVersion + 1}) {
    Forger forger;
    forger.header().format.format = format;
    forger.Header();
    forger.Members();
    forger.Meta();
    EXPECT_THAT(
        forger.Read(),
        StatusIs(absl::StatusCode::kFailedPrecondition,
                 HasSubstr(absl::StrCat("the state in the snapshot has format version ", format))));
  }
}

TEST(ForgedTest, ANewerSemanticsVersionIsRefusedByName) {
  Forger forger;
  forger.header().format.semantics = storage::SemanticsVersion() + 1;
  forger.Header();
  forger.Members();
  forger.Meta();
  EXPECT_THAT(forger.Read(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(absl::StrCat("the state in the snapshot has semantics version ",
                                              storage::SemanticsVersion() + 1))));
}

TEST(ForgedTest, RowsOutOfOrderAreRefused) {
  Forger keys;
  keys.Header();
  keys.Rows(Family::kAuth, {{"b", ""}, {"a", ""}});
  EXPECT_THAT(keys.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not in order")));
  Forger twice;
  twice.Header();
  twice.Rows(Family::kAuth, {{"a", ""}});
  twice.Rows(Family::kAuth, {{"a", ""}});
  EXPECT_THAT(twice.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not in order")));
  Forger families;
  families.Header();
  families.Members();
  families.Rows(Family::kAuth, {{"a", ""}});
  EXPECT_THAT(families.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not in order")));
}

TEST(ForgedTest, AHeaderThatSaysOtherThanTheRowsIsRefused) {
  Forger state;
  state.Header();
  state.header().state.applied = raft::Index(6);
  state.Members();
  state.Meta();
  EXPECT_THAT(state.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("header says")));
  Forger members;
  members.Header();
  members.header().members[0].name = "other";
  members.Members();
  EXPECT_THAT(members.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("header says")));
}

TEST(ForgedTest, MissingRowsAndWrongTotalsAreRefused) {
  Forger meta;
  meta.Header();
  meta.Members();
  EXPECT_THAT(meta.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("are missing")));
  Forger members;
  members.Header();
  members.Meta();
  EXPECT_THAT(members.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("are missing")));
  Forger totals;
  totals.Header();
  totals.Members();
  totals.Meta();
  ++totals.totals().row_bytes;
  EXPECT_THAT(totals.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("totals differ")));
}

TEST(ForgedTest, BlocksThatMakeNoSenseAreRefused) {
  Forger no_header;
  no_header.Members();
  EXPECT_THAT(no_header.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cannot stand")));
  Forger two_headers;
  two_headers.Header();
  two_headers.Header();
  EXPECT_THAT(two_headers.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cannot stand")));
  Forger family;
  family.Header();
  family.Frame(FrameType::kRows, std::string("\x63\x01k\x01v", 5));
  EXPECT_THAT(family.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no family")));
  Forger row;
  row.Header();
  row.Frame(FrameType::kRows, std::string("\x06\x01k\x7fv", 5));
  EXPECT_THAT(row.Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a row makes no sense")));
}

// Only the comparison of the last 32 bytes can be left out, as for a file that was copied by hand.
TEST(DamageTest, WithoutTheDigestEverythingElseIsStillChecked) {
  const std::string archive = SmallArchive();
  std::string damaged = archive;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  EXPECT_THAT(ReadArchive(damaged), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("SHA-256")));
  EXPECT_OK(ReadArchive(damaged, {.skip_digest = true}));
  damaged = archive;
  damaged[100] = static_cast<char>(damaged[100] ^ 1);
  EXPECT_THAT(ReadArchive(damaged, {.skip_digest = true}), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gavel::testing
