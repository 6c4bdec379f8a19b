#include "tests/conformance/exchange.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/header.pb.h"
#include "proto/parse.h"
#include "tests/conformance/accepted.h"

namespace gavel::conformance {
namespace {

std::unique_ptr<google::protobuf::Message> Decode(std::unique_ptr<google::protobuf::Message> empty,
                                                  const std::string& body) {
  if (empty != nullptr && !ParseMessage(body, kCommandDepthMax, empty.get())) return nullptr;
  return empty;
}

// No code of gRPC: nobody was asked.
constexpr int kNotAsked = -1;

// Takes away the id of a cluster that is not `cluster`, which may be 0.
void CheckCluster(google::protobuf::Message& response, uint64_t cluster) {
  const auto* field = response.GetDescriptor()->FindFieldByName("header");
  if (cluster == 0 || field == nullptr || !response.GetReflection()->HasField(response, field)) {
    return;
  }
  auto* header = dynamic_cast<etcdserverpb::ResponseHeader*>(
      response.GetReflection()->MutableMessage(&response, field));
  if (header != nullptr && header->cluster_id() != cluster) header->clear_cluster_id();
}

Side NewSide(const Operation& operation, const Answer& answer, uint64_t cluster) {
  Side side{answer.code, answer.message, nullptr};
  if (answer.code != 0) return side;
  side.body = Decode(NewResponse(operation.method), answer.body);
  if (side.body != nullptr) CheckCluster(*side.body, cluster);
  if (side.body != nullptr) Normalise(*side.body);
  return side;
}

std::string BodyState(const Side& side) { return side.body == nullptr ? "unreadable" : "decoded"; }

}  // namespace

Exchange::Exchange(const Operation& sent, const Terms& known, const Answer& from_etcd,
                   const Answer& from_gavel)
    : operation(sent),
      terms(known),
      request(Decode(NewRequest(sent.method), sent.body)),
      etcd(NewSide(sent, from_etcd, 0)),
      gavel(NewSide(sent, from_gavel, known.gavel_cluster)) {
  if (sent.crashes_etcd) etcd = {kNotAsked, "", nullptr};
}

std::vector<Difference> AllDifferences(const Exchange& exchange) {
  std::vector<Difference> differences;
  const Side& etcd = exchange.etcd;
  const Side& gavel = exchange.gavel;
  if (etcd.code != gavel.code) {
    differences.push_back({"code", absl::StrCat(etcd.code), absl::StrCat(gavel.code)});
  }
  if (etcd.message != gavel.message) {
    differences.push_back({"message", absl::StrCat("\"", absl::CEscape(etcd.message), "\""),
                           absl::StrCat("\"", absl::CEscape(gavel.message), "\"")});
  }
  if (etcd.code != 0 || gavel.code != 0) return differences;
  if (etcd.body == nullptr || gavel.body == nullptr) {
    // Two bodies that nobody can read are no agreement.
    differences.push_back({"body", BodyState(etcd), BodyState(gavel)});
  } else {
    AddDifferences(*etcd.body, *gavel.body, "", &differences);
  }
  return differences;
}

std::vector<Difference> Compare(const Operation& operation, const Terms& terms, const Answer& etcd,
                                const Answer& gavel, Hits* hits) {
  Exchange exchange(operation, terms, etcd, gavel);
  std::vector<Difference> differences = AllDifferences(exchange);
  if (differences.empty()) return differences;
  const auto accepted = AcceptedDifferences();
  for (size_t i = 0; i < accepted.size(); ++i) {
    if (accepted[i].settle(exchange) && hits != nullptr) ++(*hits)[i];
  }
  return AllDifferences(exchange);
}

}  // namespace gavel::conformance
