// Flags, variables, the configuration file, URLs and the values of flags: whatever is given, there
// is an answer, and what was understood can be written down and understood again.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <vector>

#include "raft/check.h"
#include "server/http/query.h"
#include "server/options.h"
#include "server/options_values.h"
#include "server/url.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

enum Kind { kArguments, kVariables, kFile, kUrls, kValues, kQuery, kKinds };

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

void CheckParsed(const absl::StatusOr<server::ParsedOptions>& parsed) {
  if (!parsed.ok()) {
    GAVEL_CHECK(!parsed.status().message().empty()) << "an error without a word";
    return;
  }
  if (parsed->print) return;
  const server::ServerOptions& options = parsed->options;
  GAVEL_CHECK(!options.data_dir.empty() && options.io_threads > 0 && options.request_timeout > 0);
  GAVEL_CHECK(options.heartbeat_interval > 0);
  GAVEL_CHECK(options.election_timeout > options.heartbeat_interval);
  GAVEL_CHECK(!options.listen_client_urls.empty() && !options.listen_peer_urls.empty());
  bool named = false;
  for (const server::InitialMember& member : options.initial_cluster) {
    named = named || member.name == options.name;
    GAVEL_CHECK(!member.peer_urls.empty());
  }
  GAVEL_CHECK(named) << "a cluster without this member";
}

void ParseFile(std::string_view text) {
  // A path that needs no disk.
  const int fd = memfd_create("config", MFD_CLOEXEC);
  GAVEL_CHECK(fd >= 0);
  GAVEL_CHECK(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  CheckParsed(server::ParseOptions({"--config-file=/proc/self/fd/" + std::to_string(fd)}, {}));
  close(fd);
}

void ParseVariables(std::string_view text) {
  server::Environment environment;
  for (const std::string& line : Lines(text)) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    environment[line.substr(0, equals)] = line.substr(equals + 1);
  }
  CheckParsed(server::ParseOptions({}, environment));
}

void ParseUrls(std::string_view text) {
  const absl::StatusOr<server::Url> url = server::ParseUrl(text);
  if (url.ok()) {
    const absl::StatusOr<server::Url> again = server::ParseUrl(url->Text());
    GAVEL_CHECK(again.ok() && *again == *url) << url->Text();
    GAVEL_CHECK(!url->GrpcAddress().empty());
  }
  const absl::StatusOr<std::vector<server::Url>> urls = server::ParseUrls(text);
  if (!urls.ok()) return;
  GAVEL_CHECK(!urls->empty());
  std::string joined;
  for (const std::string& one : server::UrlTexts(*urls))
    joined += (joined.empty() ? "" : ",") + one;
  const absl::StatusOr<std::vector<server::Url>> again = server::ParseUrls(joined);
  GAVEL_CHECK(again.ok() && *again == *urls) << joined;
}

void ParseValues(std::string_view text) {
  const auto duration = server::ParseGoDuration(text);
  if (duration.ok()) GAVEL_CHECK(*duration >= 0);
  server::ParseGoBool(text).IgnoreError();
  const auto number = server::ParseInteger(text, -5, 70000);
  if (number.ok()) GAVEL_CHECK(*number >= -5 && *number <= 70000);
  const auto any = server::ParseInteger(text, INT64_MIN, INT64_MAX);
  if (number.ok()) GAVEL_CHECK(any.ok() && *any == *number);
  if (any.ok()) {
    const auto again = server::ParseInteger(std::to_string(*any), INT64_MIN, INT64_MAX);
    GAVEL_CHECK(again.ok() && *again == *any) << *any;
  }
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (static_cast<uint8_t>(input[0]) % kKinds) {
    case kArguments: {
      const std::vector<std::string> arguments = Lines(text);
      // Nothing outside of an input decides what it does.
      for (const std::string& argument : arguments) {
        if (argument.find("config-file") != std::string::npos) return;
      }
      return CheckParsed(server::ParseOptions(arguments, {}));
    }
    case kVariables:
      if (text.find("CONFIG_FILE") != std::string_view::npos) return;
      return ParseVariables(text);
    case kFile:
      return ParseFile(text);
    case kUrls:
      return ParseUrls(text);
    case kValues:
      return ParseValues(text);
    default: {
      const size_t split = text.find('\n');
      const std::string_view key = text.substr(0, split);
      const std::string_view query =
          split == std::string_view::npos ? std::string_view() : text.substr(split + 1);
      for (const std::string& value : server::QueryValues(query, key)) {
        GAVEL_CHECK(value.size() <= query.size());
      }
    }
  }
}

std::vector<std::string> Seeds() {
  const auto seed = [](Kind kind, const std::string& text) {
    return std::string(1, static_cast<char>(kind)) + text;
  };
  return {
      seed(kArguments, ""),
      seed(kArguments,
           "--name=m0\n--data-dir\n/d\n--listen-client-urls=http://127.0.0.1:2379\n"
           "--advertise-client-urls=http://127.0.0.1:2379"),
      seed(kArguments,
           "--name=a\n--initial-cluster=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380\n"
           "--initial-advertise-peer-urls=http://10.0.0.1:2380\n--log-level=debug\n"
           "--initial-cluster-token=t"),
      seed(kArguments,
           "--heartbeat-interval=50\n--election-timeout=500\n--quota-backend-bytes=-1\n"
           "--max-txn-ops=0x80\n--enable-pprof\n--experimental-compact-hash-check-enabled"),
      seed(kArguments, "--help"),
      seed(kArguments, "--version"),
      seed(kArguments, "--nam=x"),
      seed(kVariables,
           "ETCD_NAME=m0\nETCD_DATA_DIR=/d\nETCD_LISTEN_PEER_URLS=http://[::1]:2380\n"
           "ETCD_QUOTA_BACKEND_BYTES=8589934592\nETCD_LOG_LEVEL=warn"),
      seed(kFile,
           "name: m0\ndata-dir: /d\nlisten-client-urls: http://127.0.0.1:2379\n"
           "advertise-client-urls: http://127.0.0.1:2379\nheartbeat-interval: 100\n"),
      seed(kFile,
           "{\"name\": \"m0\", \"max-request-bytes\": 1048576, \"initial-cluster\": "
           "\"m0=http://127.0.0.1:2380\"}"),
      seed(kFile, "a: &x [1, *x]\nb: {c: [[[]]]}\n? d\n: |\n  text\n--- \n"),
      seed(kFile,
           "log-outputs: [default]\nclient-transport-security:\n  cert-file: x\n"
           "grpc-keepalive-min-time: 5000000000\n"),
      seed(kUrls, "http://127.0.0.1:2379"),
      seed(kUrls, "https://[fe80::1%25eth0]:443,http://host.example:80"),
      seed(kUrls, "unix:///run/gavel.sock,unixs://localhost:1"),
      seed(kUrls, "http://[::]:2380/"),
      seed(kValues, "1h2m3.5s"),
      seed(kValues, "100us"),
      seed(kValues, "9223372036.854775807s"),
      seed(kValues, "true"),
      seed(kValues, "0x10"),
      seed(kValues, "-9223372036854775808"),
      seed(kQuery, "serializable\nserializable=true&exclude=NOSPACE&a=%2f+%zz&exclude=CORRUPT"),
  };
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
