#include "server/rpc/grpc_front.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/rpc/grpc_loop.h"

namespace gavel::server {
namespace {

// Tokens of signed kinds can be several kilobytes.
constexpr int kMetadataBytesMax = 64 << 10;

int Milliseconds(MonotonicNs duration) {
  return static_cast<int>(std::clamp<int64_t>(duration / kNsPerMs, 1, INT_MAX));
}

void Configure(grpc::ServerBuilder& builder, const FrontOptions& options) {
  // Two servers on one port would each get some of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Size is judged by the calls, which answer with the contract's text.
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder.AddChannelArgument(
      GRPC_ARG_MAX_CONCURRENT_STREAMS,
      static_cast<int>(std::min<uint32_t>(options.max_concurrent_streams, INT_MAX)));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(options.keepalive_min_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(options.keepalive_timeout));
}

// gRPC writes lines of its own to stderr, which say nothing that is not reported otherwise.
// Whoever wants them sets gRPC's own variable.
void SilenceGrpc() {
  if (std::getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
}

// Why nobody can listen on `address`, as far as a second try tells.
std::string WhyNot(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.starts_with("unix:")) return "cannot listen there";
  std::string host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (code != 0) return gai_strerror(code);
  std::string why = "cannot listen there";
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket >= 0) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(socket, found->ai_addr, found->ai_addrlen) != 0) why = std::strerror(errno);
    ::close(socket);
  }
  freeaddrinfo(found);
  return why;
}

}  // namespace

class GrpcFront::Impl {
 public:
  Impl(const FrontOptions& options, std::shared_ptr<const Router> router, Clock& clock,
       Logger& logger, Metrics& metrics)
      : shared_(std::make_shared<GrpcShared>(options, std::move(router), clock, logger, metrics)) {}

  ~Impl() {
    if (serving_) Shutdown(0);
  }

  absl::Status Start() {
    SilenceGrpc();
    const FrontOptions& options = shared_->options;
    grpc::ServerBuilder builder;
    Configure(builder, options);
    ports_.assign(options.addresses.size(), 0);
    for (size_t i = 0; i < options.addresses.size(); ++i) {
      builder.AddListeningPort(options.addresses[i], grpc::InsecureServerCredentials(), &ports_[i]);
    }
    builder.RegisterAsyncGenericService(&shared_->service);
    for (uint32_t i = 0; i < std::max<uint32_t>(options.io_threads, 1); ++i) {
      loops_.push_back(std::make_shared<GrpcLoop>(shared_, builder.AddCompletionQueue()));
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      for (const auto& loop : loops_) loop->Stop();
      const auto failed = std::find(ports_.begin(), ports_.end(), 0);
      const std::string address =
          failed == ports_.end() ? "(no address)" : options.addresses[failed - ports_.begin()];
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address, ": ", WhyNot(address)));
    }
    for (const auto& loop : loops_) loop->Start();
    serving_ = true;
    return absl::OkStatus();
  }

  void Shutdown(MonotonicNs grace) {
    if (!std::exchange(serving_, false)) return;
    for (const auto& loop : loops_) loop->Drain();
    server_->Shutdown(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(grace, GPR_TIMESPAN)));
    for (const auto& loop : loops_) loop->Stop();
    server_.reset();
    // A handler that still holds an answer keeps the memory of its loop, and nothing else.
    loops_.clear();
  }

  const std::vector<int>& ports() const { return ports_; }

 private:
  std::shared_ptr<GrpcShared> shared_;
  std::vector<std::shared_ptr<GrpcLoop>> loops_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<int> ports_;
  bool serving_ = false;
};

absl::StatusOr<std::unique_ptr<GrpcFront>> GrpcFront::Start(const FrontOptions& options,
                                                            std::shared_ptr<const Router> router,
                                                            Clock& clock, Logger& logger,
                                                            Metrics& metrics) {
  auto impl = std::make_unique<Impl>(options, std::move(router), clock, logger, metrics);
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  return std::unique_ptr<GrpcFront>(new GrpcFront(std::move(impl)));
}

GrpcFront::GrpcFront(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcFront::~GrpcFront() = default;

void GrpcFront::Shutdown(MonotonicNs grace) { impl_->Shutdown(grace); }

const std::vector<int>& GrpcFront::ports() const { return impl_->ports(); }

}  // namespace gavel::server
