#include "client/ctl/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
Session::Session(Settings settings, const CommandLine& line, Output* output)
    : settings_(std::move(settings)),
      line_(line),
      output_(*output),
      printer_(MakePrinter(settings_.format.value_or(Format::kSimple), settings_.hex, output)) {}

Expected<const Client*> Session::client() {
  if (!client_) {
    Result<Client> created = Client::Create(settings_.client);
    if (!created.ok()) return FromStatus(created.status());
    client_.emplace(std::move(created).value());
  }
  return &*client_;
}

bool Session::Connected() const {
  for (const EndpointState& endpoint : client_->endpoints()) {
    if (endpoint.connected) return true;
  }
  return false;
}

Failure Session::NoServer() const {
  // A call that is not given long tells of each endpoint why.
  const Result<MemberListResponse> asked = client_->cluster().MemberList(
      /*linearizable=*/false, {.timeout = std::chrono::milliseconds(200)});
  if (asked.status().reason() == Reason::kNoEndpoint) return FromStatus(asked.status());
  return FromStatus(Status(Code::kUnavailable, ErrorClass::kDropped, Reason::kNoEndpoint,
                           "no endpoint can be reached: " + Join(settings_.endpoints, ", ") +
                               "; check that the servers run and that these are their client "
                               "URLs"));
}

void Session::Note(const Status& status) {
  if (settings_.debug) output_.Complain("debug: " + status.ToString());
}

std::string AddressOf(const std::string& endpoint) {
  constexpr std::string_view kScheme = "http://";
  return endpoint.substr(0, kScheme.size()) == kScheme ? endpoint.substr(kScheme.size()) : endpoint;
}

Expected<std::vector<std::string>> EndpointsToAsk(Session& session) {
  if (!session.flags().Switch("cluster")) return session.settings().endpoints;
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<MemberListResponse> members =
      session.Take((*client)->cluster().MemberList(/*linearizable=*/false));
  if (!members.ok()) {
    Failure failure = members.failure();
    failure.message =
        "failed to fetch endpoints from the cluster's member list: " + failure.message;
    return failure;
  }
  std::vector<std::string> endpoints;
  for (const Member& member : members->members) {
    endpoints.insert(endpoints.end(), member.client_urls.begin(), member.client_urls.end());
  }
  if (endpoints.empty()) {
    return Failure{ExitCode::kError, "no member advertises a client URL",
                   "Name the endpoints with --endpoints."};
  }
  return endpoints;
}

MaybeFailure WriteFile(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return IoFailure("cannot create " + path, errno);
  int error = 0;
  while (!content.empty() && error == 0) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written >= 0) {
      content.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && fsync(fd) != 0) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return std::nullopt;
  unlink(temporary.c_str());
  return IoFailure("cannot write " + path, error);
}

}  // namespace gavel::client::ctl
