// Options from --config-file: YAML whose keys are the flags' names.
#include <cstdio>
#include <fstream>

#include "server/options.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ConfigFileTest : public ::testing::Test {
 protected:
  ~ConfigFileTest() override { std::remove(file_.c_str()); }

  absl::StatusOr<ParsedOptions> Parse(const std::string& text,
                                      std::vector<std::string> arguments = {},
                                      const Environment& environment = {}) {
    std::ofstream(file_) << text;
    arguments.push_back("--config-file=" + file_);
    return ParseOptions(arguments, environment);
  }

  const std::string file_ = ::testing::TempDir() + "/" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                            ".yaml";
};

TEST_F(ConfigFileTest, KeysAreTheNamesOfFlags) {
  absl::StatusOr<ParsedOptions> parsed = Parse(R"(
# A comment.
name: 'm1'
data-dir: /var/lib/m1
snapshot-catchup-entries: 100
heartbeat-interval: 50
election-timeout: 500
warning-apply-duration: 250000000
grpc-keepalive-min-time: 3s
listen-client-urls: http://127.0.0.1:4001,http://127.0.0.1:4002
advertise-client-urls: http://127.0.0.1:4001
log-outputs: [stdout, /tmp/x.log]
wal-dir:
)");
  ASSERT_OK(parsed);
  const ServerOptions& options = parsed->options;
  EXPECT_EQ(options.name, "m1");
  EXPECT_EQ(options.data_dir, "/var/lib/m1");
  EXPECT_EQ(options.snapshot_catchup_entries, 100U);
  EXPECT_EQ(options.heartbeat_interval, 50 * kNsPerMs);
  EXPECT_EQ(options.warning_apply_duration, 250 * kNsPerMs);
  EXPECT_EQ(options.keepalive_min_time, 3 * kNsPerSecond);
  EXPECT_EQ(options.listen_client_urls.size(), 2U);
  EXPECT_THAT(options.log.outputs, ElementsAre("stdout", "/tmp/x.log"));
  EXPECT_THAT(parsed->warnings, IsEmpty());
}

TEST_F(ConfigFileTest, FlagsAndVariablesAreIgnoredWithAWarning) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse("name: file\n", {"--name=flag", "--data-dir=/flag"}, {{"ETCD_NAME", "variable"}});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.name, "file");
  EXPECT_EQ(parsed->options.data_dir, "file.etcd");
  EXPECT_THAT(parsed->warnings, Contains(HasSubstr("--name is ignored because of the config")));
  EXPECT_THAT(parsed->warnings, Contains(HasSubstr("ETCD_NAME is ignored")));
}

TEST_F(ConfigFileTest, TheVariableNamesTheFileToo) {
  std::ofstream(file_) << "name: file\n";
  absl::StatusOr<ParsedOptions> parsed = ParseOptions({}, {{"ETCD_CONFIG_FILE", file_}});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.name, "file");
}

TEST_F(ConfigFileTest, UnknownKeysAreWarnedOfAsEtcdIgnoresThem) {
  absl::StatusOr<ParsedOptions> parsed = Parse("nmae: x\n");
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->warnings, ElementsAre(HasSubstr("unknown key nmae (did you mean --name?)")));
}

TEST_F(ConfigFileTest, GroupsOnTheSafetyOfConnectionsAreRefusedUnlessEmpty) {
  EXPECT_OK(
      Parse("client-transport-security:\n  cert-file:\n  client-cert-auth: false\n"
            "peer-transport-security:\n  auto-tls: false\n"));
  EXPECT_THAT(Parse("client-transport-security:\n  cert-file: a.pem\n"),
              StatusIs(kInvalid, HasSubstr("cert-file: refused")));
  EXPECT_THAT(Parse("peer-transport-security:\n  client-cert-auth: true\n"),
              StatusIs(kInvalid, HasSubstr("peer-client-cert-auth: refused")));
  EXPECT_THAT(Parse("peer-transport-security:\n  allowed-cn: a\n"),
              StatusIs(kInvalid, HasSubstr("peer-allowed-cn: refused")));
}

// Neither a group that is not understood nor what stands beside the file is left out in silence.
TEST_F(ConfigFileTest, WhoAsksForSafetyDoesNotStartWithout) {
  EXPECT_OK(Parse("client-transport-security:\npeer-transport-security:\n"));
  EXPECT_THAT(Parse("client-transport-security:\n  - cert-file: a.pem\n"),
              StatusIs(kInvalid, HasSubstr("client-transport-security: refused: not a map")));
  EXPECT_THAT(Parse("peer-transport-security: cert\n"),
              StatusIs(kInvalid, HasSubstr("peer-transport-security: refused: not a map")));
  EXPECT_THAT(Parse("name: a\n", {"--cert-file=a.pem"}),
              StatusIs(kInvalid, HasSubstr("--cert-file: refused")));
  EXPECT_THAT(Parse("name: a\n", {}, {{"ETCD_PEER_AUTO_TLS", "true"}}),
              StatusIs(kInvalid, HasSubstr("ETCD_PEER_AUTO_TLS: refused")));
  EXPECT_OK(Parse("name: a\n", {"--cert-file=", "--auth-token=simple"}));
  EXPECT_THAT(Parse("name: a\n", {"--listen-client-urls=http://127.0.0.1:1,https://127.0.0.1:2"}),
              StatusIs(kInvalid, HasSubstr("https://127.0.0.1:2 is refused")));
  EXPECT_THAT(Parse("name: a\n", {}, {{"ETCD_INITIAL_CLUSTER", "a=https://127.0.0.1:2"}}),
              StatusIs(kInvalid, HasSubstr("ETCD_INITIAL_CLUSTER: a=https")));
  EXPECT_OK(Parse("name: a\n", {"--listen-client-urls=http://127.0.0.1:1"}));
}

TEST_F(ConfigFileTest, DamagedFilesAreNamed) {
  EXPECT_THAT(Parse("name: [1, {\n"), StatusIs(kInvalid, HasSubstr(file_)));
  EXPECT_THAT(Parse("- a\n- b\n"), StatusIs(kInvalid, HasSubstr("not a YAML map")));
  EXPECT_THAT(Parse("name: {a: b}\n"), StatusIs(kInvalid, HasSubstr("plain value")));
  EXPECT_THAT(Parse("[1, 2]: x\n"), StatusIs(kInvalid, HasSubstr(file_)));
  EXPECT_THAT(Parse("max-txn-ops: many\n"), StatusIs(kInvalid, HasSubstr("max-txn-ops")));
  EXPECT_OK(Parse(""));
  EXPECT_THAT(ParseOptions({"--config-file=/no/such/file"}, {}),
              StatusIs(kInvalid, HasSubstr("/no/such/file: cannot be read")));
  EXPECT_THAT(ParseOptions({"--config-file=/proc"}, {}),
              StatusIs(kInvalid, HasSubstr("/proc: cannot be read")))
      << "a directory";
}

}  // namespace
}  // namespace gavel::server
