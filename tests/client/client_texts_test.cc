// The texts that the library knows: each is judged by a test, and written as servers write it.
#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

#include "gtest/gtest.h"

#include "client/internal/errors.h"
#include "server/rpc/error_map.h"
#include "tests/client/error_cases.h"

namespace gavel::client {
namespace {

using internal::KnownText;
using internal::KnownTexts;
using testing::Case;
using testing::kCases;

const Case* FindCase(std::string_view text) {
  const auto* found = std::find_if(std::begin(kCases), std::end(kCases),
                                   [&](const Case& c) { return c.text == text; });
  return found == std::end(kCases) ? nullptr : found;
}

TEST(ClientTextsTest, EachIsOnceInTheTableAndJudgedByACase) {
  std::set<std::string_view> texts;
  for (const KnownText& known : KnownTexts()) {
    SCOPED_TRACE(known.text);
    EXPECT_TRUE(texts.insert(known.text).second);
    const Case* const c = FindCase(known.text);
    ASSERT_NE(c, nullptr);
    EXPECT_EQ(c->error_class, known.error_class);
    EXPECT_EQ(c->reason, known.reason);
  }
}

TEST(ClientTextsTest, EachCaseIsWhatItsCodeAndTextAreTakenFor) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    const Status status = internal::FromRpc(static_cast<Code>(c.code), c.text);
    EXPECT_EQ(status.error_class(), c.error_class);
    EXPECT_EQ(status.reason(), c.reason);
  }
}

// A letter that differs from what a server writes would make a certain outcome an unknown one.
TEST(ClientTextsTest, EachIsWrittenAsGavelWritesIt) {
  // Said by etcd's core, which ours does not say; and by ours outside of its table.
  const std::set<std::string_view> elsewhere = {"raft proposal dropped"};
  const std::set<std::string> ours = {
      server::WatchRefusalText(server::WatchRefusal::kEmptyRange),
      server::TooManyReadBytes().message,
  };
  for (const KnownText& known : KnownTexts()) {
    if (elsewhere.contains(known.text) || ours.contains(std::string(known.text))) continue;
    SCOPED_TRACE(known.text);
    const auto table = server::ErrorTable();
    const auto row = std::find_if(table.begin(), table.end(),
                                  [&](const auto& r) { return r.text == known.text; });
    ASSERT_NE(row, table.end());
    EXPECT_EQ(static_cast<int>(row->code), static_cast<int>(FindCase(known.text)->code));
  }
}

}  // namespace
}  // namespace gavel::client
