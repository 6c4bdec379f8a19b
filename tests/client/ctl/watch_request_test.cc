#include "client/ctl/watch_request.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using Words = std::vector<std::string>;

// An interactive line takes what the command line takes, and what stands behind "--" is a command.
TEST(WatchRequestTest, ReadsALine) {
  const Expected<WatchRequest> read =
      ReadWatchLine({"watch", "--rev=7", "a", "--prev-kv", "b", "--", "sh", "-c", "--prefix"}, {});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->options.range, KeyRange("a", "b"));
  EXPECT_EQ(read->options.start_revision, 7);
  EXPECT_TRUE(read->options.prev_kv);
  EXPECT_FALSE(read->options.progress_notify);
  EXPECT_EQ(read->command, (Words{"sh", "-c", "--prefix"}));
}

TEST(WatchRequestTest, APrefixIsARange) {
  const Expected<WatchRequest> read = ReadWatchLine({"watch", "a", "--prefix"}, {});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->options.range, KeyRange("a", "b"));
  EXPECT_TRUE(read->command.empty());
}

// What does not fit together is refused as wrong arguments, whatever it is.
TEST(WatchRequestTest, RefusesWhatDoesNotFit) {
  const WatchDefaults key{.key = "k"};
  const std::vector<std::pair<Words, WatchDefaults>> lines = {
      {{"watch"}, {}},
      {{"watch", "a", "b", "c"}, {}},
      {{"watch", "a", "b", "--prefix"}, {}},
      {{"watch", "a", "--"}, {}},
      {{"watch", "a", "--no-such-flag"}, {}},
      {{"watch", "a", "--rev=x"}, {}},
      {{"watch", "--help"}, {}},
      {{"watch", "a"}, key},
  };
  for (const auto& [words, defaults] : lines) {
    const Expected<WatchRequest> read = ReadWatchLine(words, defaults);
    ASSERT_FALSE(read.ok()) << testing::PrintToString(words);
    EXPECT_EQ(read.failure().code, ExitCode::kBadArguments);
    EXPECT_FALSE(read.failure().message.empty());
  }
}

// Variables stand for the key and the end of the range; ours win over etcdctl's.
TEST(WatchRequestTest, TakesTheKeyFromVariables) {
  std::map<std::string, const char*> variables = {{"ETCDCTL_WATCH_KEY", "theirs"},
                                                  {"GAVELCTL_WATCH_KEY", "ours"},
                                                  {"ETCDCTL_WATCH_RANGE_END", "z"}};
  const auto environment = [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second;
  };
  const Expected<WatchDefaults> defaults = ReadWatchDefaults(environment);
  ASSERT_TRUE(defaults.ok());
  const Expected<WatchRequest> read = ReadWatchLine({"watch", "--", "true"}, *defaults);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->options.range, KeyRange("ours", "z"));
  EXPECT_EQ(read->command, Words{"true"});

  variables.erase("ETCDCTL_WATCH_KEY");
  variables.erase("GAVELCTL_WATCH_KEY");
  EXPECT_FALSE(ReadWatchDefaults(environment).ok());
}

}  // namespace
}  // namespace gavel::client::ctl
