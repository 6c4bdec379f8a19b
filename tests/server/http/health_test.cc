// The bodies and codes of /health, /version and /metrics.
#include "server/http/health.h"

#include <nlohmann/json.hpp>

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::testing::HasSubstr;

class HealthTest : public ::testing::Test {
 protected:
  HealthTest()
      : paths_(ObservationPaths(
            metrics_, {.state = [this] { return state_; },
                       .read =
                           [this](bool serializable, std::function<void(std::string)> done) {
                             read_serializable_ = serializable;
                             done(read_error_);
                           }})) {}

  HttpResponse Ask(const std::string& path, const std::string& query = "") {
    for (const auto& [name, handler] : paths_) {
      if (name != path) continue;
      HttpResponse response;
      handler({.path = path, .query = query}, [&](HttpResponse answer) { response = answer; });
      return response;
    }
    ADD_FAILURE() << "no path " << path;
    return {};
  }

  Metrics metrics_;
  HealthProbe::State state_{.has_leader = true, .alarms = {}, .disk_error = ""};
  std::string read_error_;
  bool read_serializable_ = false;
  std::vector<std::pair<std::string, HttpHandler>> paths_;
};

TEST_F(HealthTest, AHealthyMemberSaysSoInTextualTruth) {
  const HttpResponse response = Ask("/health");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"health":"true","reason":""})");
  EXPECT_THAT(response.content_type, HasSubstr("text/plain"));
  EXPECT_FALSE(read_serializable_);
}

TEST_F(HealthTest, WithoutALeaderOnlyASerializableQuestionIsHealthy) {
  state_.has_leader = false;
  EXPECT_EQ(Ask("/health").status, 503);
  EXPECT_EQ(Ask("/health").body, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
  EXPECT_EQ(Ask("/health", "serializable=true").status, 200);
  EXPECT_TRUE(read_serializable_);
  EXPECT_EQ(Ask("/health", "serializable=1").status, 503);
}

// Whatever is asked of it, a member without a disk serves nobody.
TEST_F(HealthTest, ADiskThatFailsIsUnhealthy) {
  state_.disk_error = "input/output error";
  EXPECT_EQ(Ask("/health").status, 503);
  EXPECT_EQ(Ask("/health", "serializable=true").body,
            "{\"health\":\"false\",\"reason\":\"DISK ERROR:input/output error\"}\n");
}

TEST_F(HealthTest, AnAlarmIsUnhealthyUnlessExcluded) {
  state_.alarms = {"NOSPACE"};
  EXPECT_EQ(Ask("/health").body, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
  EXPECT_EQ(Ask("/health", "exclude=NOSPACE").status, 200);
  EXPECT_EQ(Ask("/health", "exclude=CORRUPT").status, 503);
  state_.alarms = {"NOSPACE", "CORRUPT"};
  EXPECT_EQ(Ask("/health", "exclude=NOSPACE").status, 503);
  EXPECT_EQ(Ask("/health", "exclude=NOSPACE&exclude=CORRUPT").status, 200);
}

TEST_F(HealthTest, AFailedReadIsUnhealthy) {
  read_error_ = "etcdserver: request timed out";
  const HttpResponse response = Ask("/health");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(nlohmann::json::parse(response.body)["reason"],
            "RANGE ERROR:etcdserver: request timed out");
}

TEST_F(HealthTest, ChecksAreCounted) {
  Ask("/health");
  state_.has_leader = false;
  Ask("/health");
  const std::string text = Ask("/metrics").body;
  EXPECT_THAT(text, HasSubstr("etcd_server_health_success 1\n"));
  EXPECT_THAT(text, HasSubstr("etcd_server_health_failures 1\n"));
}

// Patroni turns every part between dots into a number.
TEST_F(HealthTest, VersionsAreNumbersAndDots) {
  const HttpResponse response = Ask("/version");
  EXPECT_EQ(response.content_type, "application/json");
  const nlohmann::json body = nlohmann::json::parse(response.body);
  for (const char* key : {"etcdserver", "etcdcluster", "storage"}) {
    EXPECT_EQ(body[key].get<std::string>().find_first_not_of("0123456789."), std::string::npos);
  }
  EXPECT_TRUE(body.contains("gavel"));
}

}  // namespace
}  // namespace gavel::server
