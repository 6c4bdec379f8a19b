#include "client/ctl/peer_urls.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

using ::testing::ElementsAre;

TEST(PeerUrlsTest, WhatEtcdTakesIsTaken) {
  EXPECT_THAT(*ReadPeerUrls("http://a:1"), ElementsAre("http://a:1"));
  EXPECT_THAT(*ReadPeerUrls(" http://a:1 ,https://[::1]:2"),
              ElementsAre("http://a:1", "https://[::1]:2"));
  for (const char* url : {"unix://a:1", "unixs://a:1", "HTTP://a:1", "http://:1",
                          "http://a:", "http://u:p@a:1", "http://a:1?x", "http://a:99999"}) {
    EXPECT_TRUE(ReadPeerUrls(url).ok()) << url;
  }
}

TEST(PeerUrlsTest, WhatEtcdRefusesIsRefusedInItsWords) {
  const std::pair<const char*, const char*> kRefused[] = {
      {"", "URL scheme must be http, https, unix, or unixs: "},
      {"a", "URL scheme must be http, https, unix, or unixs: a"},
      {"a:1", "URL scheme must be http, https, unix, or unixs: a:1"},
      {"http://a:1,", "URL scheme must be http, https, unix, or unixs: "},
      {"HTTPX://a:1", "URL scheme must be http, https, unix, or unixs: HTTPX://a:1"},
      {"http:a:1", "URL address does not have the form \"host:port\": http:a:1"},
      {"http://", "URL address does not have the form \"host:port\": http://"},
      {"http://a", "URL address does not have the form \"host:port\": http://a"},
      {"http://a:1:2", "URL address does not have the form \"host:port\": http://a:1:2"},
      {"http://[a:1", "URL address does not have the form \"host:port\": http://[a:1"},
      {"http://[a]]:1", "URL address does not have the form \"host:port\": http://[a]]:1"},
      {"http://a:b", "URL address does not have the form \"host:port\": http://a:b"},
      {"http://u:1@a", "URL address does not have the form \"host:port\": http://u:1@a"},
      {"http://a:1/", "URL must not contain a path: http://a:1/"},
      {"http://a:1/b?c", "URL must not contain a path: http://a:1/b?c"},
  };
  for (const auto& [urls, words] : kRefused) {
    const auto read = ReadPeerUrls(urls);
    ASSERT_FALSE(read.ok()) << urls;
    EXPECT_EQ(read.failure().message, words);
    EXPECT_EQ(read.failure().code, ExitCode::kError);
    EXPECT_FALSE(read.failure().hint.empty());
  }
}

TEST(MemberIdTest, IsHexadecimalOf64Bits) {
  EXPECT_EQ(ParseMemberId("0"), 0u);
  EXPECT_EQ(ParseMemberId("8e9E05c52164694d"), 0x8e9e05c52164694dU);
  EXPECT_EQ(ParseMemberId("000000000000000000ff"), 255u);
  EXPECT_EQ(ParseMemberId("ffffffffffffffff"), UINT64_MAX);
  for (const char* text : {"", " 1", "1 ", "0x1", "-1", "+1", "g", "10000000000000000", "1,2"}) {
    EXPECT_EQ(ParseMemberId(text), std::nullopt) << text;
  }
}

TEST(MemberIdTest, IsPaddedAsEtcdctlDoesIt) {
  EXPECT_EQ(PaddedHex(0xabc), "             abc");
  EXPECT_EQ(PaddedHex(UINT64_MAX), "ffffffffffffffff");
  EXPECT_EQ(PaddedHex(0), "               0");
}

}  // namespace
}  // namespace gavel::client::ctl
