// The URLs that members are given, as etcd checks them.
#include "server/url.h"

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(UrlTest, HostAndPortAreTakenApart) {
  absl::StatusOr<Url> url = ParseUrl("http://10.0.0.1:2379");
  ASSERT_OK(url);
  EXPECT_EQ(url->host, "10.0.0.1");
  EXPECT_EQ(url->port, "2379");
  EXPECT_EQ(url->Text(), "http://10.0.0.1:2379");
  EXPECT_EQ(url->GrpcAddress(), "10.0.0.1:2379");
}

TEST(UrlTest, Ipv6AddressesKeepTheirBrackets) {
  absl::StatusOr<Url> url = ParseUrl("http://[::1]:2379");
  ASSERT_OK(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->Text(), "http://[::1]:2379");
  EXPECT_EQ(url->GrpcAddress(), "[::1]:2379");
}

TEST(UrlTest, UnixUrlsCarryAPath) {
  absl::StatusOr<Url> url = ParseUrl("unix:///run/gavel.sock");
  ASSERT_OK(url);
  EXPECT_EQ(url->GrpcAddress(), "unix:/run/gavel.sock");
  EXPECT_EQ(url->Text(), "unix:///run/gavel.sock");
}

TEST(UrlTest, MalformedUrlsAreNamed) {
  EXPECT_THAT(ParseUrl("localhost:2379"), StatusIs(kInvalid, HasSubstr("scheme must be http")));
  EXPECT_THAT(ParseUrl("ftp://h:1"), StatusIs(kInvalid, HasSubstr("scheme must be http")));
  EXPECT_THAT(ParseUrl("http://host"), StatusIs(kInvalid, HasSubstr("\"host:port\": http://host")));
  EXPECT_THAT(ParseUrl("http://host:"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://host:70000"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://host:-1"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://host:12x"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://::1:2379"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://[::1:2379"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://a@b:1"), StatusIs(kInvalid, HasSubstr("host:port")));
  EXPECT_THAT(ParseUrl("http://h:1/v2"), StatusIs(kInvalid, HasSubstr("must not contain a path")));
  EXPECT_THAT(ParseUrl("unix://"), StatusIs(kInvalid));
  EXPECT_THAT(ParseUrl(""), StatusIs(kInvalid));
}

TEST(UrlTest, ListsAreSortedAndNeverEmpty) {
  absl::StatusOr<std::vector<Url>> urls = ParseUrls("http://b:1, http://a:1");
  ASSERT_OK(urls);
  EXPECT_THAT(UrlTexts(*urls), ElementsAre("http://a:1", "http://b:1"));
  EXPECT_THAT(ParseUrls(""), StatusIs(kInvalid, HasSubstr("no valid URLs given")));
  EXPECT_THAT(ParseUrls(" , "), StatusIs(kInvalid, HasSubstr("no valid URLs given")));
  EXPECT_THAT(ParseUrls("http://a:1,b"), StatusIs(kInvalid));
}

}  // namespace
}  // namespace gavel::server
