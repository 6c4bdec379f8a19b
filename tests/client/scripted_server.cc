#include "tests/client/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "raft/check.h"

namespace gavel::client::testing {
namespace {

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Listens on a free port.
int Listen(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  GAVEL_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) << "bind";
  GAVEL_CHECK(listen(fd, 16) == 0) << "listen";
  socklen_t size = sizeof address;
  GAVEL_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) << "port";
  *port = ntohs(address.sin_port);
  return fd;
}

// Reads one message, answers it, and ends.
class Reactor : public grpc::ServerGenericBidiReactor {
 public:
  Reactor(ScriptedServer* server, grpc::GenericCallbackServerContext* context)
      : server_(server), context_(context) {
    StartRead(&buffer_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return FinishOnce(grpc::Status(grpc::StatusCode::INTERNAL, "no request"));
    Request request;
    request.method = context_->method();
    request.method = request.method.substr(request.method.rfind('/') + 1);
    request.body = ToString(buffer_);
    for (const auto& [key, value] : context_->client_metadata()) {
      request.metadata.emplace(std::string(key.data(), key.size()),
                               std::string(value.data(), value.size()));
    }
    const Answer answer = server_->Handle(std::move(request));
    if (answer.never) return;
    status_ = grpc::Status(answer.code, answer.text);
    if (answer.code != grpc::StatusCode::OK) return FinishOnce(status_);
    const grpc::Slice slice(answer.body);
    buffer_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&buffer_);
  }

  void OnWriteDone(bool) override { FinishOnce(status_); }
  void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
  void OnDone() override { const std::unique_ptr<Reactor> self(this); }

 private:
  void FinishOnce(const grpc::Status& status) {
    if (!finished_.exchange(true)) Finish(status);
  }

  ScriptedServer* const server_;
  grpc::GenericCallbackServerContext* const context_;
  grpc::ByteBuffer buffer_;
  grpc::Status status_;
  std::atomic<bool> finished_{false};
};

}  // namespace

class ScriptedServer::Service : public grpc::CallbackGenericService {
 public:
  explicit Service(ScriptedServer* server) : server_(server) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return std::make_unique<Reactor>(server_, context).release();
  }

 private:
  ScriptedServer* const server_;
};

Answer Answer::Error(grpc::StatusCode code, std::string text) {
  Answer answer;
  answer.code = code;
  answer.text = std::move(text);
  return answer;
}

ScriptedServer::ScriptedServer(Handler handler, int port)
    : handler_(std::move(handler)), service_(std::make_unique<Service>(this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  GAVEL_CHECK(server_ != nullptr) << "the scripted server does not start";
}

ScriptedServer::~ScriptedServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

std::vector<Request> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

Answer ScriptedServer::Handle(Request request) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  return handler_(request);
}

int UnusedPort() {
  int port = 0;
  close(Listen(&port));
  return port;
}

SilentPort::SilentPort() : fd_(Listen(&port_)) {}
SilentPort::~SilentPort() { close(fd_); }

CuttingProxy::CuttingProxy(int to_port) : listener_(Listen(&port_)), to_port_(to_port) {
  thread_ = std::thread([this] { Run(); });
}

CuttingProxy::~CuttingProxy() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

void CuttingProxy::Run() {
  while (!stop_) {
    pollfd wait{.fd = listener_, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 20) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    Carry(client);
    close(client);
  }
}

void CuttingProxy::Carry(int client) {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(to_port_);
  bool open = connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  std::vector<char> bytes(4096);
  while (open && !stop_) {
    pollfd wait[2] = {{.fd = client, .events = POLLIN, .revents = 0},
                      {.fd = server, .events = POLLIN, .revents = 0}};
    if (poll(wait, 2, 20) <= 0) continue;
    for (const bool from_server : {false, true}) {
      if (wait[from_server].revents == 0) continue;
      ssize_t count = recv(wait[from_server].fd, bytes.data(), bytes.size(), 0);
      open = open && count > 0;
      if (count <= 0) continue;
      if (from_server) {
        const int64_t left = bytes_left_.fetch_sub(count) - count;
        if (left < 0) {
          count = std::max<ssize_t>(count + left, 0);
          cut_ = true;
          bytes_left_ = INT64_MAX;
          open = false;
        }
      }
      if (count > 0 && send(wait[!from_server].fd, bytes.data(), count, MSG_NOSIGNAL) < 0) {
        open = false;
      }
      if (cut_ && !open) break;
    }
  }
  close(server);
}

}  // namespace gavel::client::testing
