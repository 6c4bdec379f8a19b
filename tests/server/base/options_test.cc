// Options from flags and variables: names, defaults, precedence, refusals and checks.
#include "server/options.h"

#include "absl/strings/str_cat.h"

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ParsedOptions> Parse(const std::vector<std::string>& arguments,
                                    const Environment& environment = {}) {
  return ParseOptions(arguments, environment);
}

TEST(OptionsTest, DefaultsAreEtcds) {
  absl::StatusOr<ParsedOptions> parsed = Parse({});
  ASSERT_OK(parsed);
  const ServerOptions& options = parsed->options;
  EXPECT_EQ(options.name, "default");
  EXPECT_EQ(options.data_dir, "default.etcd");
  EXPECT_THAT(UrlTexts(options.listen_client_urls), ElementsAre("http://localhost:2379"));
  EXPECT_THAT(UrlTexts(options.listen_peer_urls), ElementsAre("http://localhost:2380"));
  EXPECT_THAT(UrlTexts(options.advertise_client_urls), ElementsAre("http://localhost:2379"));
  EXPECT_THAT(options.listen_metrics_urls, IsEmpty());
  ASSERT_EQ(options.initial_cluster.size(), 1U);
  EXPECT_EQ(options.initial_cluster[0].name, "default");
  EXPECT_THAT(UrlTexts(options.initial_cluster[0].peer_urls), ElementsAre("http://localhost:2380"));
  EXPECT_EQ(options.heartbeat_interval, 100 * kNsPerMs);
  EXPECT_EQ(options.election_timeout, kNsPerSecond);
  EXPECT_EQ(options.request_timeout, 7 * kNsPerSecond);
  EXPECT_EQ(options.quota_bytes, uint64_t{2} << 30);
  EXPECT_EQ(options.max_request_bytes, 1572864U);
  EXPECT_EQ(options.max_txn_ops, 128U);
  EXPECT_GE(options.io_threads, 1U);
  EXPECT_TRUE(options.log.json);
  EXPECT_THAT(parsed->warnings, IsEmpty());
}

TEST(OptionsTest, OneDashOrTwoWithOrWithoutEqualsSign) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--name=n1"}, {"-name=n1"}, {"--name", "n1"}, {"-name", "n1"}}) {
    absl::StatusOr<ParsedOptions> parsed = Parse(arguments);
    ASSERT_OK(parsed);
    EXPECT_EQ(parsed->options.name, "n1");
  }
}

TEST(OptionsTest, AValueMayLookLikeAFlag) {
  absl::StatusOr<ParsedOptions> parsed = Parse({"--quota-backend-bytes", "-1"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.quota_bytes, std::nullopt);
}

TEST(OptionsTest, TheLastOfRepeatedFlagsCounts) {
  absl::StatusOr<ParsedOptions> parsed = Parse({"--name", "a", "--name", "b"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.name, "b");
}

TEST(OptionsTest, ASwitchDoesNotTakeTheNextArgument) {
  EXPECT_THAT(Parse({"--strict-reconfig-check", "false"}),
              StatusIs(kInvalid, HasSubstr("'false' is not a valid flag")));
  EXPECT_OK(Parse({"--strict-reconfig-check=false", "--name=x"}));
}

TEST(OptionsTest, UnknownFlagsAreErrorsThatSuggestTheNearest) {
  EXPECT_THAT(Parse({"--data-dri=/x"}),
              StatusIs(kInvalid, HasSubstr("--data-dri (did you mean --data-dir?)")));
  EXPECT_THAT(Parse({"--zzzzzzzzz"}), StatusIs(kInvalid, HasSubstr("unknown flag --zzzzzzzzz;")));
  EXPECT_THAT(Parse({"start"}), StatusIs(kInvalid, HasSubstr("'start' is not a valid flag")));
  EXPECT_THAT(Parse({"--"}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({""}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"--name"}), StatusIs(kInvalid, HasSubstr("needs an argument: --name")));
}

TEST(OptionsTest, AFlagWinsOverItsVariable) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--name=flag", "--log-level=warn"},
            {{"ETCD_NAME", "variable"}, {"ETCD_DATA_DIR", "/data"}, {"ETCD_LOG_LEVEL", ""}});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.name, "flag");
  EXPECT_EQ(parsed->options.data_dir, "/data");
  EXPECT_THAT(parsed->warnings, ElementsAre(HasSubstr("ETCD_NAME is shadowed")));
}

// By name alone: container images keep a password in ETCD_ROOT_PASSWORD.
TEST(OptionsTest, UnknownVariablesAreWarnedOf) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({}, {{"ETCD_ROOT_PASSWORD", "secret"}, {"HOME", "/root"}, {"ETCD_NAME", ""}});
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->warnings,
              ElementsAre("unrecognized environment variable ETCD_ROOT_PASSWORD"));
  EXPECT_EQ(parsed->options.name, "default");
}

TEST(OptionsTest, AVariableIsCheckedLikeItsFlag) {
  EXPECT_THAT(Parse({}, {{"ETCD_MAX_TXN_OPS", "many"}}),
              StatusIs(kInvalid, HasSubstr("ETCD_MAX_TXN_OPS: invalid number")));
  EXPECT_THAT(Parse({}, {{"ETCD_CERT_FILE", "/x"}}),
              StatusIs(kInvalid, HasSubstr("ETCD_CERT_FILE: refused")));
}

TEST(OptionsTest, ExperimentalSpellingsAreTaken) {
  absl::StatusOr<ParsedOptions> parsed = Parse(
      {"--experimental-warning-apply-duration=2s", "--experimental-snapshot-catchup-entries=77"},
      {{"ETCD_EXPERIMENTAL_WARNING_UNARY_REQUEST_DURATION", "9s"}});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.warning_apply_duration, 2 * kNsPerSecond);
  EXPECT_EQ(parsed->options.snapshot_catchup_entries, 77U);
  EXPECT_EQ(parsed->options.warning_unary_request_duration, 9 * kNsPerSecond);
}

// As etcd's own sample of a file has them.
TEST(OptionsTest, FlagsOfTheProxyThatIsOffAreTaken) {
  absl::StatusOr<ParsedOptions> parsed = Parse(
      {"--proxy=off", "--proxy-dial-timeout=1000", "--proxy-failure-wait=5000",
       "--proxy-read-timeout=0", "--proxy-refresh-interval=30000", "--proxy-write-timeout=5000"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->warnings.size(), 5U);
  EXPECT_THAT(Parse({"--proxy=on"}), StatusIs(kInvalid, HasSubstr("--proxy: refused")));
}

TEST(OptionsTest, FlagsOfMissingFeaturesAreTakenWithOneWarningEach) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--max-wals=1", "--enable-pprof", "--experimental-initial-corrupt-check=true",
             "--unsafe-no-fsync"});
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->warnings,
              ElementsAre(HasSubstr("--max-wals is accepted but has no effect"),
                          HasSubstr("--enable-pprof"), HasSubstr("--initial-corrupt-check"),
                          HasSubstr("--unsafe-no-fsync is accepted but has no effect: writes are "
                                    "always synced")));
  EXPECT_THAT(Parse({"--enable-pprof=maybe"}), StatusIs(kInvalid, HasSubstr("boolean")));
}

// Releases and their documents spell it differently.
TEST(OptionsTest, TheLocalAddressOfMembersIsTheSystemsChoice) {
  for (const char* flag : {"--set-member-local-addr", "--experimental-set-member-local-addr",
                           "--set-member-localaddr", "--experimental-set-member-localaddr"}) {
    absl::StatusOr<ParsedOptions> parsed = Parse({flag});
    ASSERT_OK(parsed);
    EXPECT_THAT(parsed->warnings,
                ElementsAre(HasSubstr("is accepted but has no effect: the system")));
  }
}

TEST(OptionsTest, LimitsOfClientsAreSet) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--connections-max=1", "--handshake-timeout=2s", "--write-stall-timeout=3s",
             "--answer-timeout=4s", "--answer-bytes-per-second=5000", "--header-bytes-max=6000",
             "--continuations-max=7", "--held-bytes-max=8000000", "--held-bytes-little=9000",
             "--resets-burst=10", "--resets-per-second=11", "--idle-frames-burst=12",
             "--idle-frames-per-second=13", "--stream-window-bytes=140000",
             "--connection-window-bytes=150000", "--metrics-connections-max=16"});
  ASSERT_OK(parsed);
  const Http2Limits& limits = parsed->options.client_limits;
  EXPECT_EQ(limits.connections_max, 1u);
  EXPECT_EQ(limits.handshake_timeout, 2 * kNsPerSecond);
  EXPECT_EQ(limits.write_stall_timeout, 3 * kNsPerSecond);
  EXPECT_EQ(limits.answer_timeout, 4 * kNsPerSecond);
  EXPECT_EQ(limits.answer_bytes_per_second, 5000u);
  EXPECT_EQ(limits.header_list_bytes_max, 6000u);
  EXPECT_EQ(limits.continuations_max, 7u);
  EXPECT_EQ(limits.held_bytes_max, 8000000);
  EXPECT_EQ(limits.held_bytes_little, 9000);
  EXPECT_EQ(limits.resets_burst, 10u);
  EXPECT_EQ(limits.resets_per_second, 11u);
  EXPECT_EQ(limits.idle_frames_burst, 12u);
  EXPECT_EQ(limits.idle_frames_per_second, 13u);
  EXPECT_EQ(limits.stream_window_bytes, 140000u);
  EXPECT_EQ(limits.connection_window_bytes, 150000u);
  EXPECT_EQ(parsed->options.metrics_connections_max, 16u);
  // No time at all would refuse everybody.
  EXPECT_THAT(Parse({"--handshake-timeout=0s"}), StatusIs(kInvalid, HasSubstr("above 0")));
}

// What --help says is what holds without the flag.
TEST(OptionsTest, DefaultsOfLimitsOfClientsAreThoseOfTheHelp) {
  std::vector<std::string> arguments;
  for (const char* flag : {"connections-max=20000",
                           "handshake-timeout=10s",
                           "write-stall-timeout=5m",
                           "answer-timeout=1m",
                           "answer-bytes-per-second=16384",
                           "header-bytes-max=65536",
                           "continuations-max=8",
                           "held-bytes-max=536870912",
                           "held-bytes-little=65536",
                           "resets-burst=1000",
                           "resets-per-second=200",
                           "idle-frames-burst=10000",
                           "idle-frames-per-second=1000",
                           "stream-window-bytes=262144",
                           "connection-window-bytes=4194304",
                           "watcher-key-bytes-max=268435456",
                           "watch-portion-bytes-max=4194304",
                           "watch-catch-up-bytes=524288",
                           "watch-catch-up-revisions=1000",
                           "watch-catch-up-rows=1024",
                           "watch-recent-bytes-max=4194304",
                           "write-answer-bytes-max=268435456",
                           "background-jobs-max=10000"}) {
    arguments.push_back(absl::StrCat("--", flag));
  }
  absl::StatusOr<ParsedOptions> given = Parse(arguments);
  absl::StatusOr<ParsedOptions> none = Parse({});
  absl::StatusOr<ParsedOptions> help = Parse({"--help"});
  ASSERT_OK(given);
  ASSERT_OK(none);
  ASSERT_OK(help);
  EXPECT_EQ(given->options.client_limits, none->options.client_limits);
  EXPECT_EQ(given->options.watcher_key_bytes_max, none->options.watcher_key_bytes_max);
  EXPECT_EQ(given->options.watch_portion_bytes_max, none->options.watch_portion_bytes_max);
  EXPECT_EQ(given->options.watch_catch_up_bytes, none->options.watch_catch_up_bytes);
  EXPECT_EQ(given->options.watch_catch_up_revisions, none->options.watch_catch_up_revisions);
  EXPECT_EQ(given->options.watch_catch_up_rows, none->options.watch_catch_up_rows);
  EXPECT_EQ(given->options.watch_recent_bytes_max, none->options.watch_recent_bytes_max);
  EXPECT_EQ(given->options.write_answer_bytes_max, none->options.write_answer_bytes_max);
  EXPECT_EQ(given->options.background_jobs_max, none->options.background_jobs_max);
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    EXPECT_THAT(*help->print, HasSubstr(argument.substr(0, equals)));
    EXPECT_THAT(*help->print, HasSubstr(argument.substr(equals + 1)));
  }
}

TEST(OptionsTest, WhatBoundsAllRequestsHasRoomForTheLargest) {
  EXPECT_THAT(Parse({"--max-request-bytes=67108865"}),
              StatusIs(kInvalid, HasSubstr("between 1024 and 67108864")));
  EXPECT_OK(Parse({"--max-request-bytes=67108864"}));
  EXPECT_THAT(Parse({"--max-request-bytes=2000000", "--pending-bytes-max=1048576"}),
              StatusIs(kInvalid, HasSubstr("--pending-bytes-max 1048576 is below")));
  EXPECT_THAT(Parse({"--held-bytes-max=1048576"}),
              StatusIs(kInvalid, HasSubstr("--held-bytes-max 1048576 is less than twice")));
}

TEST(OptionsTest, WhatWouldBeLessSafeWithoutIsRefused) {
  for (const char* flag : {"--cert-file=a",
                           "--key-file=a",
                           "--trusted-ca-file=a",
                           "--client-cert-auth",
                           "--client-crl-file=a",
                           "--client-cert-allowed-hostname=a",
                           "--auto-tls",
                           "--peer-cert-file=a",
                           "--peer-key-file=a",
                           "--peer-trusted-ca-file=a",
                           "--peer-client-cert-auth",
                           "--peer-auto-tls",
                           "--peer-crl-file=a",
                           "--peer-cert-allowed-cn=a",
                           "--peer-cert-allowed-hostname=a",
                           "--experimental-peer-skip-client-san-verification",
                           "--cipher-suites=a",
                           "--tls-min-version=TLS1.3",
                           "--self-signed-cert-validity=2",
                           "--auth-token=jwt,pub-key=a",
                           "--auth-token-ttl=9",
                           "--bcrypt-cost=12",
                           "--host-whitelist=a",
                           "--discovery=http://x",
                           "--discovery-srv=a",
                           "--discovery-token=a"}) {
    const std::string name = std::string(flag).substr(0, std::string(flag).find('='));
    EXPECT_THAT(Parse({flag}), StatusIs(kInvalid, HasSubstr("refused"))) << flag;
    EXPECT_THAT(Parse({flag}), StatusIs(kInvalid, HasSubstr(name + ":"))) << flag;
  }
  EXPECT_THAT(Parse({"--initial-cluster-state=old"}), StatusIs(kInvalid, HasSubstr("unknown")));
}

TEST(OptionsTest, ChangesOfMembers) {
  absl::StatusOr<ParsedOptions> parsed = Parse({});
  ASSERT_OK(parsed);
  EXPECT_FALSE(parsed->options.initial_cluster_existing);
  EXPECT_TRUE(parsed->options.strict_reconfig_check);
  EXPECT_EQ(parsed->options.max_learners, 1u);
  parsed = Parse(
      {"--initial-cluster-state=existing", "--strict-reconfig-check=false", "--max-learners=3"});
  ASSERT_OK(parsed);
  EXPECT_TRUE(parsed->options.initial_cluster_existing);
  EXPECT_FALSE(parsed->options.strict_reconfig_check);
  EXPECT_EQ(parsed->options.max_learners, 3u);
  EXPECT_TRUE(parsed->warnings.empty());
}

TEST(OptionsTest, RefusedFlagsThatAskForNothingAreTaken) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--tls-min-version=TLS1.2", "--discovery-dial-timeout=2s", "--client-cert-auth=false",
             "--peer-auto-tls=false", "--auth-token=simple", "--bcrypt-cost=10",
             "--cert-file=", "--initial-cluster-state=new"});
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->warnings, IsEmpty());
}

TEST(OptionsTest, WhatEtcdTakesIsTaken) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--snapshot-count=0", "--experimental-enable-v2v3", "/v2"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.snapshot_count, 100'000U);
}

TEST(OptionsTest, EncryptedUrlsAreRefused) {
  EXPECT_THAT(Parse({"--listen-client-urls=https://127.0.0.1:2379",
                     "--advertise-client-urls=http://127.0.0.1:2379"}),
              StatusIs(kInvalid, HasSubstr("--listen-client-urls: https://127.0.0.1:2379")));
  EXPECT_THAT(Parse({"--listen-client-http-urls=https://127.0.0.1:2379"}),
              StatusIs(kInvalid, HasSubstr("--listen-client-http-urls: refused")));
  EXPECT_THAT(Parse({"--advertise-client-urls=https://127.0.0.1:2379"}),
              StatusIs(kInvalid, HasSubstr("does not encrypt")));
  EXPECT_THAT(Parse({"--initial-cluster=default=https://localhost:2380"}),
              StatusIs(kInvalid, HasSubstr("does not encrypt")));
  EXPECT_THAT(Parse({"--listen-metrics-urls=https://127.0.0.1:9000"}),
              StatusIs(kInvalid, HasSubstr("does not encrypt")));
}

TEST(OptionsTest, ListeningNeedsAnAddress) {
  EXPECT_THAT(Parse({"--listen-peer-urls=http://example.com:2380"}),
              StatusIs(kInvalid, HasSubstr("expected IP in URL for binding")));
  EXPECT_OK(Parse({"--listen-peer-urls=http://0.0.0.0:2380,http://[::1]:2381"}));
  EXPECT_THAT(Parse({"--listen-metrics-urls=unix:///tmp/s"}), StatusIs(kInvalid));
}

TEST(OptionsTest, ListeningForClientsNeedsWhatToAdvertise) {
  EXPECT_THAT(Parse({"--listen-client-urls=http://127.0.0.1:1"}),
              StatusIs(kInvalid, HasSubstr("--advertise-client-urls is required when "
                                           "--listen-client-urls is set explicitly")));
}

TEST(OptionsTest, TheInitialClusterHoldsThisMemberAsAdvertised) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--name=b", "--initial-advertise-peer-urls=http://h2:2380",
             "--initial-cluster=b=http://h2:2380,a=http://h1:2380"});
  ASSERT_OK(parsed);
  ASSERT_EQ(parsed->options.initial_cluster.size(), 2U);
  EXPECT_EQ(parsed->options.initial_cluster[0].name, "a");

  EXPECT_THAT(Parse({"--name=c", "--initial-cluster=a=http://h1:2380"}),
              StatusIs(kInvalid, HasSubstr("couldn't find local name \"c\"")));
  EXPECT_THAT(Parse({"--name=a", "--initial-cluster=a=http://h1:2380"}),
              StatusIs(kInvalid, HasSubstr("--initial-cluster has a=http://h1:2380 but missing "
                                           "from --initial-advertise-peer-urls=")));
  EXPECT_THAT(Parse({"--name=a", "--initial-cluster=a=http://h1:2380",
                     "--initial-advertise-peer-urls=http://h1:2380,http://h2:2380"}),
              StatusIs(kInvalid, HasSubstr("--initial-advertise-peer-urls has http://h2:2380 but "
                                           "missing from --initial-cluster=")));
}

TEST(OptionsTest, TheInitialClusterIsWellFormed) {
  EXPECT_THAT(Parse({"--initial-cluster=http://h1:2380"}),
              StatusIs(kInvalid, HasSubstr("name=URL")));
  EXPECT_THAT(Parse({"--initial-cluster=default=h1"}), StatusIs(kInvalid, HasSubstr("scheme")));
  EXPECT_THAT(Parse({"--initial-cluster=default=http://localhost:2380,zz=http://localhost:2380"}),
              StatusIs(kInvalid, HasSubstr("is given to default and to zz")));
  EXPECT_THAT(Parse({"--name=a,b"}), StatusIs(kInvalid, HasSubstr("--name")));
}

TEST(OptionsTest, ElectionsAreSlowerThanHeartbeats) {
  EXPECT_THAT(
      Parse({"--heartbeat-interval=100", "--election-timeout=499"}),
      StatusIs(kInvalid, HasSubstr("--election-timeout[499ms] should be at least as 5 times as "
                                   "--heartbeat-interval[100ms]")));
  EXPECT_THAT(Parse({"--election-timeout=50001"}), StatusIs(kInvalid, HasSubstr("too long")));
  EXPECT_THAT(Parse({"--leader-priority-wait=999ms"}),
              StatusIs(kInvalid, HasSubstr("--leader-priority-wait must be at least "
                                           "--election-timeout[1000ms]")));
  EXPECT_THAT(Parse({"--heartbeat-interval=0"}), StatusIs(kInvalid, HasSubstr("must be >0")));
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--heartbeat-interval=10", "--election-timeout=2s"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.heartbeat_interval, 10 * kNsPerMs);
  EXPECT_EQ(parsed->options.election_timeout, 2 * kNsPerSecond);
  EXPECT_EQ(parsed->options.leader_priority_wait, 20 * kNsPerSecond);
  EXPECT_EQ(parsed->options.request_timeout, 9 * kNsPerSecond);
}

TEST(OptionsTest, TheQuotaIsEtcds) {
  EXPECT_EQ(Parse({"--quota-backend-bytes=0"})->options.quota_bytes, uint64_t{2} << 30);
  EXPECT_EQ(Parse({"--quota-backend-bytes=4096"})->options.quota_bytes, 4096U);
  // There is no ceiling at 8 GiB.
  absl::StatusOr<ParsedOptions> parsed = Parse({"--quota-backend-bytes=17179869184"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.quota_bytes, uint64_t{16} << 30);
  EXPECT_THAT(parsed->warnings, ::testing::IsEmpty());
  EXPECT_EQ(Parse({"--quota-backend-bytes=-1"})->options.quota_bytes, std::nullopt);
}

TEST(OptionsTest, TheReserveOfTheDisk) {
  EXPECT_EQ(Parse({})->options.disk_reserve_bytes, uint64_t{64} << 20);
  EXPECT_EQ(Parse({"--disk-reserve-bytes=0"})->options.disk_reserve_bytes, 0U);
  EXPECT_FALSE(Parse({"--disk-reserve-bytes=-1"}).ok());
}

TEST(OptionsTest, WhatIsCompactedByItselfIsSaidAsForEtcd) {
  absl::StatusOr<ParsedOptions> parsed = Parse({});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.auto_compaction_period, 0);
  EXPECT_EQ(parsed->options.auto_compaction_revisions, 0);
  const MonotonicNs hour = 3600 * kNsPerSecond;
  EXPECT_EQ(Parse({"--auto-compaction-retention=0"})->options.auto_compaction_period, 0);
  EXPECT_EQ(Parse({"--auto-compaction-retention=8"})->options.auto_compaction_period, 8 * hour);
  EXPECT_EQ(Parse({"--auto-compaction-retention=1h30m"})->options.auto_compaction_period,
            hour + hour / 2);
  parsed = Parse({"--auto-compaction-mode=revision", "--auto-compaction-retention=1000"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.auto_compaction_revisions, 1000);
  EXPECT_EQ(parsed->options.auto_compaction_period, 0);
  // The order of the two does not matter, nor does a number that were too many hours.
  parsed = Parse({"--auto-compaction-retention=3000000", "--auto-compaction-mode=revision"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.auto_compaction_revisions, 3000000);
  EXPECT_THAT(parsed->warnings, ::testing::IsEmpty());
}

TEST(OptionsTest, WhatCannotBeCompactedByIsRefused) {
  EXPECT_THAT(Parse({"--auto-compaction-mode=weekly"}),
              StatusIs(kInvalid, HasSubstr("unknown mode \"weekly\" (periodic or revision)")));
  EXPECT_THAT(Parse({"--auto-compaction-mode=revision", "--auto-compaction-retention=10m"}),
              StatusIs(kInvalid, HasSubstr("\"10m\": not a number of revisions")));
  for (const char* text : {"-1", "-1h", "soon", "1.5", "", "3000000", "9999999999999999999"}) {
    EXPECT_THAT(Parse({std::string("--auto-compaction-retention=") + text}),
                StatusIs(kInvalid, HasSubstr("neither a number of hours nor a time such as 30m")))
        << text;
  }
}

TEST(OptionsTest, LogFlagsAreRead) {
  absl::StatusOr<ParsedOptions> parsed =
      Parse({"--log-level=warn", "--log-format=console", "--log-outputs=default,stdout,/x/y.log"});
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->options.log.level, LogLevel::kWarn);
  EXPECT_FALSE(parsed->options.log.json);
  EXPECT_THAT(parsed->options.log.outputs, ElementsAre("stderr", "stdout", "/x/y.log"));
  EXPECT_THAT(Parse({"--log-level=loud"}), StatusIs(kInvalid, HasSubstr("unknown log level")));
  EXPECT_THAT(Parse({"--log-format=xml"}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"--log-outputs="}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"--metrics=none"}), StatusIs(kInvalid));
}

TEST(OptionsTest, HelpAndVersionArePrintedInPlaceOfAStart) {
  absl::StatusOr<ParsedOptions> help = Parse({"--help"});
  ASSERT_OK(help);
  ASSERT_TRUE(help->print.has_value());
  for (const char* part :
       {"Member:", "Cluster:", "Limits:", "--data-dir", "refused", "cert-file"}) {
    EXPECT_THAT(*help->print, HasSubstr(part));
  }
  absl::StatusOr<ParsedOptions> version = Parse({"--version"});
  ASSERT_OK(version);
  EXPECT_THAT(*version->print, HasSubstr("Git SHA: "));
}

TEST(OptionsTest, VariablesOfAProcessAreSplitAtTheFirstEqualsSign) {
  const char* const variables[] = {"A=1", "B=x=y", "C=", "odd", nullptr};
  const Environment environment = EnvironmentOf(variables);
  EXPECT_EQ(environment, (Environment{{"A", "1"}, {"B", "x=y"}, {"C", ""}}));
}

}  // namespace
}  // namespace gavel::server
