// etcd's flags whose features do not exist here: taken without effect, or refused.
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/options_table.h"
#include "server/options_values.h"

namespace gavel::server {
namespace {

constexpr FlagKind kValue = FlagKind::kValue;
constexpr FlagKind kSwitch = FlagKind::kSwitch;

Flag WithoutEffect(std::string name, FlagKind kind, std::string why) {
  Flag flag;
  flag.name = name;
  flag.kind = kind;
  flag.set = [name, kind, why](std::string_view text, ValueSource, OptionsDraft& draft) {
    if (kind == FlagKind::kSwitch) {
      if (absl::StatusOr<bool> value = ParseGoBool(text); !value.ok()) return value.status();
    }
    if (AsksForEncryption(name, text)) {
      return absl::InvalidArgumentError("refused: this release does not encrypt connections");
    }
    draft.warnings.push_back(
        absl::StrCat("--", name, " is accepted but has no effect", why.empty() ? "" : ": ", why));
    return absl::OkStatus();
  };
  return flag;
}

// `harmless` is the value that asks for nothing; deployment tools often write it out.
Flag Refused(std::string name, FlagKind kind, std::string harmless, std::string why) {
  Flag flag;
  flag.name = name;
  flag.kind = kind;
  flag.refused = true;
  flag.set = [=](std::string_view text, ValueSource, OptionsDraft&) -> absl::Status {
    if (text.empty() || text == harmless) return absl::OkStatus();
    if (kind == FlagKind::kSwitch) {
      absl::StatusOr<bool> value = ParseGoBool(text);
      if (!value.ok() || !*value) return value.status();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("refused: ", why, "; leave it out to start without"));
  };
  return flag;
}

}  // namespace

std::vector<Flag> FlagsWithoutEffect() {
  const std::string history = "history is collected in small steps all the time";
  const std::string backend = "it belongs to another storage engine";
  const std::string always = "it is always on";
  const std::string always_synced = "writes are always synced before they are acknowledged";
  const std::string compared =
      "members compare their states all the time, see --corrupt-check-time";
  const std::string local_address = "the system picks the address that members are called from";
  const std::string proxy = "there is no proxy";
  const std::string segments = "old parts of the log are removed when no longer needed";
  std::vector<std::pair<std::string, std::string>> values = {
      {"backend-batch-interval", backend},
      {"backend-batch-limit", backend},
      {"backend-bbolt-freelist-type", backend},
      {"bootstrap-defrag-threshold-megabytes", backend},
      {"compact-hash-check-time", compared},
      {"compaction-batch-limit", history},
      {"compaction-sleep-interval", history},
      {"cors", "there is no JSON gateway"},
      {"distributed-tracing-address", ""},
      {"distributed-tracing-instance-id", ""},
      {"distributed-tracing-sampling-rate", ""},
      {"distributed-tracing-service-name", ""},
      {"downgrade-check-time", ""},
      {"enable-v2v3", "etcd's version 2 API is not served"},
      {"feature-gates", ""},
      {"listen-client-http-urls", "there is no JSON gateway; see --listen-metrics-urls"},
      {"log-package-levels", "see --log-level"},
      {"log-rotation-config-json", "rotate the file from outside"},
      {"logger", ""},
      {"max-snapshots", segments},
      {"max-wals", segments},
      {"proxy-dial-timeout", proxy},
      {"proxy-failure-wait", proxy},
      {"proxy-read-timeout", proxy},
      {"proxy-refresh-interval", proxy},
      {"proxy-write-timeout", proxy},
      {"raft-read-timeout", ""},
      {"raft-write-timeout", ""},
      {"v2-deprecation", ""},
      {"wait-cluster-ready-timeout", ""},
  };
  std::vector<std::pair<std::string, std::string>> switches = {
      {"compact-hash-check-enabled", compared},
      {"debug", "see --log-level"},
      {"enable-distributed-tracing", ""},
      {"enable-grpc-gateway", "there is no JSON gateway"},
      {"enable-lease-checkpoint", always},
      {"enable-lease-checkpoint-persist", always},
      {"enable-log-rotation", "rotate the file from outside"},
      {"enable-pprof", ""},
      {"enable-v2", "etcd's version 2 API is not served"},
      {"initial-corrupt-check", compared},
      {"initial-election-tick-advance", "a member that knows no leader asks early by itself"},
      {"memory-mlock", ""},
      {"pre-vote", always},
      {"set-member-local-addr", local_address},
      {"set-member-localaddr", local_address},
      {"socket-reuse-address", ""},
      {"socket-reuse-port", ""},
      {"stop-grpc-service-on-defrag", "defragmentation does not block"},
      {"txn-mode-write-with-shared-buffer", backend},
      {"unsafe-no-fsync", always_synced},
  };
  std::vector<Flag> flags;
  for (auto& [name, why] : values) flags.push_back(WithoutEffect(name, kValue, why));
  for (auto& [name, why] : switches) flags.push_back(WithoutEffect(name, kSwitch, why));
  return flags;
}

std::vector<Flag> RefusedFlags() {
  const std::string tls = "this release does not encrypt connections";
  const std::string auth = "this release does not authenticate clients";
  const std::string discovery =
      "this release finds its members by --initial-cluster alone, and would found another cluster";
  std::vector<Flag> flags;
  for (const std::string prefix : {"", "peer-"}) {
    for (const char* name : {"cert-file", "key-file", "client-cert-file", "client-key-file",
                             "trusted-ca-file", "ca-file"}) {
      flags.push_back(Refused(prefix + name, kValue, "", tls));
    }
    flags.push_back(Refused(prefix + "client-cert-auth", kSwitch, "", tls));
    flags.push_back(Refused(prefix + "auto-tls", kSwitch, "", tls));
  }
  for (const char* name :
       {"client-crl-file", "client-cert-allowed-hostname", "peer-crl-file", "peer-cert-allowed-cn",
        "peer-cert-allowed-hostname", "cipher-suites", "tls-max-version"}) {
    flags.push_back(Refused(name, kValue, "", tls));
  }
  flags.push_back(Refused("tls-min-version", kValue, "TLS1.2", tls));
  flags.push_back(Refused("self-signed-cert-validity", kValue, "1", tls));
  flags.push_back(Refused("peer-skip-client-san-verification", kSwitch, "", tls));
  flags.push_back(Refused("auth-token", kValue, "simple", auth));
  flags.push_back(Refused("auth-token-ttl", kValue, "300", auth));
  flags.push_back(Refused("bcrypt-cost", kValue, "10", auth));
  flags.push_back(Refused("host-whitelist", kValue, "*", "hosts are not checked"));
  for (const char* name :
       {"discovery", "discovery-endpoints", "discovery-token", "discovery-user",
        "discovery-password", "discovery-proxy", "discovery-srv", "discovery-srv-name",
        "discovery-cert", "discovery-key", "discovery-cacert"}) {
    flags.push_back(Refused(name, kValue, "", discovery));
  }
  flags.push_back(Refused("discovery-dial-timeout", kValue, "2s", discovery));
  flags.push_back(Refused("discovery-request-timeout", kValue, "5s", discovery));
  flags.push_back(Refused("discovery-keepalive-time", kValue, "2s", discovery));
  flags.push_back(Refused("discovery-keepalive-timeout", kValue, "6s", discovery));
  flags.push_back(Refused("discovery-fallback", kValue, "proxy", discovery));
  flags.push_back(Refused("discovery-insecure-transport", kSwitch, "", discovery));
  flags.push_back(Refused("discovery-insecure-skip-tls-verify", kSwitch, "", discovery));
  flags.push_back(Refused("proxy", kValue, "off", "there is no proxy"));
  return flags;
}

}  // namespace gavel::server
