#include "client/ctl/settings.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

FlagValues Given(const std::map<std::string, std::string>& flags,
                 const std::map<std::string, std::string>& variables) {
  FlagValues values;
  values.AddDefaults(GlobalFlags());
  for (const FlagSpec& flag : GlobalFlags()) {
    const auto found = flags.find(std::string(flag.name));
    if (found != flags.end()) {
      EXPECT_FALSE(values.Set(flag, found->second, flag.name));
    }
  }
  const auto lookup = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  EXPECT_FALSE(ApplyEnvironment(lookup, &values));
  return values;
}

TEST(SettingsTest, DefaultsAreThoseOfEtcdctl) {
  const Expected<Settings> settings = ReadSettings(Given({}, {}));
  ASSERT_TRUE(settings.ok());
  EXPECT_THAT(settings->endpoints, ElementsAre("127.0.0.1:2379"));
  EXPECT_EQ(settings->client.timeout, std::chrono::seconds(5));
  EXPECT_EQ(settings->client.dial_timeout, std::chrono::seconds(2));
  EXPECT_EQ(settings->format, Format::kSimple);
  EXPECT_FALSE(settings->hex);
}

// The command line wins, then GAVELCTL_, then ETCDCTL_; an empty variable is none.
TEST(SettingsTest, PrecedenceOfSources) {
  const std::map<std::string, std::string> both = {{"GAVELCTL_ENDPOINTS", "g:1"},
                                                   {"ETCDCTL_ENDPOINTS", "e:1"}};
  EXPECT_EQ(Given({{"endpoints", "f:1"}}, both).Text("endpoints"), "f:1");
  EXPECT_EQ(Given({}, both).Text("endpoints"), "g:1");
  EXPECT_EQ(Given({}, {{"ETCDCTL_ENDPOINTS", "e:1"}}).Text("endpoints"), "e:1");
  EXPECT_EQ(Given({}, {{"GAVELCTL_ENDPOINTS", ""}, {"ETCDCTL_ENDPOINTS", "e:1"}}).Text("endpoints"),
            "e:1");
  EXPECT_EQ(Given({}, {{"ETCDCTL_WRITE_OUT", "json"}}).Text("write-out"), "json");
  EXPECT_TRUE(Given({}, {{"ETCDCTL_HEX", "1"}}).Switch("hex"));
}

TEST(SettingsTest, BadVariableIsNamed) {
  FlagValues values;
  values.AddDefaults(GlobalFlags());
  const MaybeFailure failure = ApplyEnvironment(
      [](const char* name) {
        return std::string_view(name) == "ETCDCTL_DIAL_TIMEOUT" ? "soon" : nullptr;
      },
      &values);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("ETCDCTL_DIAL_TIMEOUT"));
}

TEST(SettingsTest, UnknownVariablesAreFound) {
  const char* const variables[] = {"ETCDCTL_API=3",    "ETCDCTL_ENDPOINT=x", "GAVELCTL_HEX=1",
                                   "GAVELCTL_COLOR=1", "PATH=/bin",          nullptr};
  EXPECT_THAT(UnknownVariables(variables), ElementsAre("ETCDCTL_ENDPOINT", "GAVELCTL_COLOR"));
}

// To go on without TLS or a user would be less safe than what was asked for.
TEST(SettingsTest, WhatIsMissingIsRefused) {
  for (const char* name : {"cacert", "cert", "key", "user", "password", "auth-jwt-token",
                           "discovery-srv", "discovery-srv-name"}) {
    const Expected<Settings> settings = ReadSettings(Given({{name, "x"}}, {}));
    ASSERT_FALSE(settings.ok()) << name;
    EXPECT_EQ(settings.failure().code, ExitCode::kBadFeature);
    EXPECT_THAT(settings.failure().message, HasSubstr(name));
  }
  EXPECT_FALSE(ReadSettings(Given({{"insecure-transport", "false"}}, {})).ok());
  EXPECT_TRUE(ReadSettings(Given({{"insecure-transport", "true"}}, {})).ok());
  EXPECT_TRUE(ReadSettings(Given({{"insecure-skip-tls-verify", "true"}}, {})).ok());
  EXPECT_FALSE(ReadSettings(Given({}, {{"ETCDCTL_USER", "root:x"}})).ok());
}

// A limit of nothing, or of less, would refuse every input.
TEST(SettingsTest, TheLimitOfInputIsOneByteAtLeast) {
  for (const char* none : {"0", "-1", ""}) {
    const Expected<Settings> settings = ReadSettings(Given({{"max-input-bytes", none}}, {}));
    ASSERT_FALSE(settings.ok()) << none;
    EXPECT_THAT(settings.failure().message, HasSubstr("--max-input-bytes"));
  }
  EXPECT_EQ(ReadSettings(Given({{"max-input-bytes", "1"}}, {}))->input_bytes_max, 1U);
}

// As for etcdctl, a dialling time of 0 is none of its own; a request without any time is a mistake.
TEST(SettingsTest, TimesOfNought) {
  const Expected<Settings> dial = ReadSettings(Given({{"dial-timeout", "0s"}}, {}));
  ASSERT_TRUE(dial.ok());
  EXPECT_EQ(dial->client.dial_timeout, dial->client.timeout);
  const Expected<Settings> none = ReadSettings(Given({{"command-timeout", "0s"}}, {}));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.failure().code, ExitCode::kBadArguments);
  EXPECT_THAT(none.failure().message, HasSubstr("--command-timeout"));
  const Expected<Settings> shortest = ReadSettings(Given({{"command-timeout", "1ns"}}, {}));
  ASSERT_TRUE(shortest.ok());
  EXPECT_EQ(shortest->client.timeout, std::chrono::nanoseconds(1));
  EXPECT_EQ(shortest->client.silence_timeout, std::chrono::milliseconds(1));
  const Expected<Settings> least = ReadSettings(Given({{"command-timeout", "1ms"}}, {}));
  ASSERT_TRUE(least.ok());
  EXPECT_EQ(least->client.silence_timeout, std::chrono::milliseconds(1));
}

// Limits of messages, by the names that etcdctl gives them.
TEST(SettingsTest, LimitsOfMessages) {
  const Expected<Settings> given =
      ReadSettings(Given({{"max-request-bytes", "100"}}, {{"ETCDCTL_MAX_RECV_BYTES", "200"}}));
  ASSERT_TRUE(given.ok());
  EXPECT_EQ(given->client.request_bytes_max, 100);
  EXPECT_EQ(given->client.response_bytes_max, 200);
  EXPECT_FALSE(ReadSettings(Given({{"max-request-bytes", "-1"}}, {})).ok());
  EXPECT_FALSE(ReadSettings(Given({{"max-recv-bytes", "2147483648"}}, {})).ok());
  EXPECT_EQ(ReadSettings(Given({}, {}))->client.response_bytes_max, 0);
}

TEST(SettingsTest, NoEndpointIsAnError) {
  const Expected<Settings> settings = ReadSettings(Given({{"endpoints", " , "}}, {}));
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.failure().code, ExitCode::kBadArguments);
}

}  // namespace
}  // namespace gavel::client::ctl
