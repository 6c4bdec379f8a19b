#include "server/http/health.h"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "server/http/query.h"
#include "server/version.h"

namespace gavel::server {
namespace {

using Json = nlohmann::ordered_json;

std::string Dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Answers /health in the order that etcd looks in: alarms, the leader, a read. Disks, which etcd
// does not ask, come after the alarms.
class Health {
 public:
  Health(Metrics& metrics, HealthProbe probe)
      : probe_(std::move(probe)),
        successes_(metrics.AddCounter("etcd_server_health_success",
                                      "The total number of successful health checks")),
        failures_(metrics.AddCounter("etcd_server_health_failures",
                                     "The total number of failed health checks")) {}

  void Answer(const HttpRequest& request, const HttpAnswer& answer) const {
    const std::vector<std::string> excluded = QueryValues(request.query, "exclude");
    const std::vector<std::string> wishes = QueryValues(request.query, "serializable");
    const bool serializable = !wishes.empty() && wishes.front() == "true";
    const HealthProbe::State state = probe_.state();
    for (const std::string& alarm : state.alarms) {
      if (std::find(excluded.begin(), excluded.end(), alarm) == excluded.end()) {
        return answer(Verdict("ALARM " + alarm));
      }
    }
    if (!state.disk_error.empty()) return answer(Verdict("DISK ERROR:" + state.disk_error));
    if (!serializable && !state.has_leader) return answer(Verdict("RAFT NO LEADER"));
    probe_.read(serializable, [this, answer](const std::string& error) {
      answer(Verdict(error.empty() ? "" : "RANGE ERROR:" + error));
    });
  }

 private:
  HttpResponse Verdict(const std::string& reason) const {
    const bool healthy = reason.empty();
    (healthy ? successes_ : failures_).Increment();
    const Json body = {{"health", healthy ? "true" : "false"}, {"reason", reason}};
    return {.status = healthy ? 200 : 503,
            .body = Dumped(body) + (healthy ? "" : "\n")};  // As Go ends its error answers.
  }

  const HealthProbe probe_;
  Counter& successes_;
  Counter& failures_;
};

HttpResponse Version() {
  const Json body = {{"etcdserver", kEtcdServerVersion},
                     {"etcdcluster", kEtcdClusterVersion},
                     {"storage", kEtcdClusterVersion},
                     {"gavel", GavelVersion()}};
  return {.content_type = "application/json", .body = Dumped(body)};
}

}  // namespace

std::vector<std::pair<std::string, HttpHandler>> ObservationPaths(Metrics& metrics,
                                                                  HealthProbe probe) {
  const auto health = std::make_shared<const Health>(metrics, std::move(probe));
  std::vector<std::pair<std::string, HttpHandler>> paths;
  paths.emplace_back("/metrics", [&metrics](const HttpRequest&, const HttpAnswer& answer) {
    answer({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.Text()});
  });
  // Held by the answer too, since a read may end after the server.
  paths.emplace_back("/health", [health](const HttpRequest& request, const HttpAnswer& answer) {
    health->Answer(request,
                   [health, answer](HttpResponse response) { answer(std::move(response)); });
  });
  paths.emplace_back("/version",
                     [](const HttpRequest&, const HttpAnswer& answer) { answer(Version()); });
  return paths;
}

}  // namespace gavel::server
