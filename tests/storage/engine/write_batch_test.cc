// The write batch keeps changes in order, whatever bytes they are made of.
#include <string>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/engine.h"

namespace gavel::storage {
namespace {

using Row = std::tuple<WriteBatch::Kind, Family, std::string, std::string>;

std::vector<Row> Rows(const WriteBatch& batch) {
  std::vector<Row> rows;
  batch.ForEach([&](const WriteBatch::Op& op) {
    rows.emplace_back(op.kind, op.family, std::string(op.key), std::string(op.value));
  });
  return rows;
}

TEST(WriteBatchTest, KeepsEveryKindOfChangeInOrder) {
  const std::string binary("\0\xff\x80\x01", 4);
  const std::string large(100'000, 'x');
  WriteBatch batch;
  batch.Put(Family::kAlarms, binary, large);
  batch.Delete(Family::kMeta, "");
  batch.DeleteRange(Family::kChanges, "a", "b");
  batch.Put(Family::kVersions, std::string(128, 'k'), "");
  EXPECT_EQ(batch.count(), 4u);
  EXPECT_THAT(Rows(batch),
              ::testing::ElementsAre(
                  Row{WriteBatch::Kind::kPut, Family::kAlarms, binary, large},
                  Row{WriteBatch::Kind::kDelete, Family::kMeta, "", ""},
                  Row{WriteBatch::Kind::kDeleteRange, Family::kChanges, "a", "b"},
                  Row{WriteBatch::Kind::kPut, Family::kVersions, std::string(128, 'k'), ""}));
}

// A reversed range deletes nothing in either engine, so it is not even kept.
TEST(WriteBatchTest, AnEmptyOrReversedRangeIsNoChange) {
  WriteBatch batch;
  batch.DeleteRange(Family::kChanges, "b", "b");
  batch.DeleteRange(Family::kChanges, "c", "b");
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0u);
}

TEST(WriteBatchTest, ClearEmpties) {
  WriteBatch batch;
  batch.Put(Family::kMeta, "k", "v");
  EXPECT_GT(batch.bytes(), 2u);
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_TRUE(Rows(batch).empty());
}

TEST(FamilyTest, NamesAreDistinct) {
  std::vector<std::string> names;
  for (int i = 0; i < kFamilyCount; ++i) {
    names.emplace_back(FamilyName(static_cast<Family>(i)));
  }
  EXPECT_THAT(names, ::testing::ElementsAre("meta", "versions", "changes", "leases", "lease_keys",
                                            "auth", "members", "alarms", "lease_renewals"));
}

}  // namespace
}  // namespace gavel::storage
