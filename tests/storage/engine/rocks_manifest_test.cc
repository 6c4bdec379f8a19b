// A MANIFEST torn by a power cut is cut at its last whole record; other damage is left alone.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/rocks_engine.h"
#include "storage/engine/rocks_manifest.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::HasSubstr;

class RocksManifestTest : public ::testing::Test {
 protected:
  // A database of two flushes: what the MANIFEST held after the first and after the second.
  void SetUp() override {
    auto engine = Open();
    ASSERT_OK(engine);
    Put(**engine, "1");
    manifest_ = (std::filesystem::path(path_) / ReadFile(path_ + "/CURRENT")).string();
    manifest_.pop_back();  // The newline.
    first_ = ReadFile(manifest_);
    Put(**engine, "2");
    second_ = ReadFile(manifest_);
    ASSERT_GT(second_.size(), first_.size());
    ASSERT_EQ(second_.substr(0, first_.size()), first_);
  }

  absl::StatusOr<std::unique_ptr<Engine>> Open() {
    RocksOptions options;
    options.path = path_;
    options.on_warning = [this](std::string_view text) { warning_ = text; };
    warning_.clear();
    return OpenRocksEngine(options);
  }
  static void Put(Engine& engine, const std::string& value) {
    WriteBatch batch;
    batch.Put(Family::kMeta, "applied", value);
    ASSERT_OK(engine.Write(batch));
    ASSERT_OK(engine.Flush());
  }
  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  // Opens a copy of the database with these bytes as its MANIFEST; returns the value found.
  absl::StatusOr<std::string> OpenWith(const std::string& manifest) {
    const std::string kept = path_ + ".kept";
    if (!std::filesystem::exists(kept)) std::filesystem::copy(path_, kept);
    std::filesystem::remove_all(path_);
    std::filesystem::copy(kept, path_);
    std::ofstream(manifest_, std::ios::binary | std::ios::trunc) << manifest;
    auto engine = Open();
    if (!engine.ok()) return engine.status();
    std::string value;
    const absl::Status got = (*engine)->Get(Family::kMeta, "applied", &value);
    if (!got.ok()) return got;
    return value;
  }

  gavel::testing::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/db";
  std::string manifest_;
  std::string first_;
  std::string second_;
  std::string warning_;
};

// The tail is missing, or zeros, from any byte on: the state is that of the last whole record. The
// second flush ends in a record of its own that the state does not depend on.
TEST_F(RocksManifestTest, ATornLastRecordIsCutOff) {
  int warned = 0;
  std::string found = "1";
  for (size_t at = first_.size(); at + 2 <= second_.size(); at += 3) {
    SCOPED_TRACE("zeros from byte " + std::to_string(at));
    std::string torn = second_.substr(0, at);
    const auto missing = OpenWith(torn);
    ASSERT_OK(missing);
    torn.resize(second_.size(), '\0');
    EXPECT_THAT(OpenWith(torn), gavel::testing::IsOkAndHolds(*missing));
    if (!warning_.empty()) {
      ++warned;
      EXPECT_THAT(warning_, HasSubstr(manifest_));
    }
    if (*missing != found) {
      EXPECT_EQ(*missing, "2");
      EXPECT_GT(at, first_.size() + 20);
      found = *missing;
    }
  }
  EXPECT_GT(warned, 10);
  EXPECT_THAT(OpenWith(second_), gavel::testing::IsOkAndHolds(std::string("2")));
  EXPECT_EQ(warning_, "");
}

// One changed byte is no power cut. It is never taken for one, wherever it is.
TEST_F(RocksManifestTest, AChangedByteIsNeverCutOff) {
  for (size_t at = 0; at < second_.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string damaged = second_;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      ASSERT_EQ(FindTornTail(damaged), std::nullopt) << "byte " << at;
    }
  }
  std::string damaged = second_;
  damaged[second_.size() - 5] ^= 1;
  EXPECT_THAT(OpenWith(damaged), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

// A hole with a good record behind it is damage in the middle.
TEST_F(RocksManifestTest, ZerosInTheMiddleAreNotATornTail) {
  std::string damaged = second_;
  for (size_t at = first_.size() - 20; at < first_.size(); ++at) damaged[at] = '\0';
  EXPECT_EQ(FindTornTail(damaged), std::nullopt);
  EXPECT_THAT(OpenWith(damaged), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
  EXPECT_EQ(FindTornTail(""), std::nullopt);
  EXPECT_EQ(FindTornTail(std::string(100, '\0')), std::nullopt);
  EXPECT_EQ(FindTornTail(second_), std::nullopt);
}

}  // namespace
}  // namespace gavel::storage
