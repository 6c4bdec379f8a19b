// The HTTP server on Boost.Beast, whose headers are seen by this file alone.
#include "server/http/http_server.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

constexpr std::chrono::seconds kLineInterval(60);

using Paths = std::map<std::string, HttpHandler, std::less<>>;

class Connection;

// What all connections share. Touched by the HTTP thread only, but for `context`.
struct Shared {
  Shared(Paths served_paths, const HttpLimits& http_limits, Logger& logger)
      : paths(std::move(served_paths)), limits(http_limits), log(logger) {}

  const Paths paths;
  const HttpLimits limits;
  Logger& log;
  // Shared with answers on their way, which may come when the server is gone.
  std::shared_ptr<asio::io_context> context = std::make_shared<asio::io_context>(1);
  std::set<Connection*> connections;
  bool stopping = false;  // Nothing new is begun.
};

std::chrono::nanoseconds Deadline(const Shared& shared) {
  return std::chrono::nanoseconds(shared.limits.deadline);
}

// One connection: reads a request, has it answered, writes the answer, and so on.
//
// Kept alive by whichever asynchronous operation is under way, as Asio would have it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Tcp::socket socket, Shared& shared)
      : stream_(std::move(socket)), waiting_(*shared.context), shared_(shared) {
    shared_.connections.insert(this);
  }
  ~Connection() { shared_.connections.erase(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Read() {
    if (shared_.stopping) return;
    parser_.emplace();
    parser_->header_limit(shared_.limits.header_bytes_max);
    parser_->body_limit(shared_.limits.body_bytes_max);
    stream_.expires_after(Deadline(shared_));
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](beast::error_code error, size_t) { self->OnRead(error); });
  }

  void Abort() {
    stream_.close();
    waiting_.cancel();
  }

 private:
  void OnRead(beast::error_code error) {
    if (!error) return Handle();
    keep_alive_ = false;
    head_ = false;
    if (error == http::error::body_limit) {
      return Write({.status = 413, .body = "request body too large\n"});
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Write({.status = 431, .body = "request header too large\n"});
    }
    // Everything else of this category is a message that is not HTTP.
    if (error.category() == http::make_error_code(http::error::bad_version).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return Write({.status = 400, .body = "malformed request\n"});
    }
    Close();
  }

  void Handle() {
    if (shared_.stopping) return;
    const auto& request = parser_->get();
    keep_alive_ = request.keep_alive();
    head_ = request.method() == http::verb::head;
    const std::string target(request.target().data(), request.target().size());
    const size_t question = target.find('?');
    HttpRequest asked{.path = target.substr(0, question), .query = ""};
    if (question != std::string::npos) asked.query = target.substr(question + 1);
    const auto handler = shared_.paths.find(asked.path);
    if (handler == shared_.paths.end()) {
      return Write({.status = 404, .body = "404 page not found\n"});
    }
    if (!head_ && request.method() != http::verb::get) {
      return Write({.status = 405, .body = "Method Not Allowed\n"});
    }
    Wait();
    // The answer may come from another thread, or when this connection or the server is gone.
    handler->second(asked, [weak = weak_from_this(), context = shared_.context,
                            number = ++request_number_](HttpResponse response) {
      asio::post(*context, [weak, number, response = std::move(response)]() mutable {
        if (const auto self = weak.lock()) self->OnAnswer(number, std::move(response));
      });
    });
  }

  // Keeps the connection until its answer comes, and not longer than the deadline.
  void Wait() {
    waiting_.expires_after(Deadline(shared_));
    waiting_.async_wait([self = shared_from_this()](beast::error_code error) {
      if (error) return;  // Canceled: the answer came.
      ++self->request_number_;
      self->Write({.status = 503, .body = "no answer in time\n"});
    });
  }

  void OnAnswer(uint64_t number, HttpResponse response) {
    if (number != request_number_ || answered_number_ == number) return;
    answered_number_ = number;
    waiting_.cancel();
    Write(std::move(response));
  }

  void Write(HttpResponse response) {
    // A timer that had already fired must not answer a second time.
    if (writing_ || shared_.stopping) return;
    writing_ = true;
    response_ = {};
    response_.result(static_cast<unsigned>(response.status));
    response_.version(11);
    response_.set(http::field::content_type, response.content_type);
    response_.set("X-Content-Type-Options", "nosniff");
    if (response.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive_);
    response_.content_length(response.body.size());
    if (!head_) response_.body() = std::move(response.body);
    stream_.expires_after(Deadline(shared_));
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, size_t) {
                        self->writing_ = false;
                        if (error || !self->keep_alive_) return self->Close();
                        self->Read();
                      });
  }

  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
  }

  beast::tcp_stream stream_;
  asio::steady_timer waiting_;
  Shared& shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool keep_alive_ = false;
  bool head_ = false;
  bool writing_ = false;
  uint64_t request_number_ = 0;   // Of the request being answered.
  uint64_t answered_number_ = 0;  // Of the last request that was answered.
};

class BeastHttpServer final : public HttpServer {
 public:
  BeastHttpServer(Paths paths, const HttpLimits& limits, Logger& log, Metrics& metrics)
      : shared_(std::move(paths), limits, log),
        refused_(metrics.AddCounter("gavel_metrics_connections_refused_total",
                                    "Connections for metrics beyond --metrics-connections-max.")),
        told_(*shared_.context) {}

  // Everything under way is aborted, the thread runs out of work, and with the last operation
  // goes the last connection.
  ~BeastHttpServer() override {
    asio::post(*shared_.context, [this] {
      shared_.stopping = true;
      for (const auto& listener : listeners_) listener->Abort();
      told_.cancel();
      for (Connection* connection : shared_.connections) connection->Abort();
    });
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const Url& url) {
    beast::error_code error;
    Tcp::resolver resolver(*shared_.context);
    const auto addresses = resolver.resolve(url.host, url.port, error);
    if (error) return Failed("resolve", url, error);
    Tcp::endpoint endpoint = addresses.begin()->endpoint();
    for (const auto& address : addresses) {
      if (address.endpoint().protocol() == Tcp::v4()) endpoint = address.endpoint();
    }
    auto listener = std::make_unique<Listener>(*shared_.context);
    Tcp::acceptor& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Failed("listen on", url, error);
    ports_.push_back(acceptor.local_endpoint().port());
    listeners_.push_back(std::move(listener));
    return absl::OkStatus();
  }

  void Run() {
    for (const auto& listener : listeners_) Accept(*listener);
    thread_ = std::thread([this] { shared_.context->run(); });
  }

  std::vector<uint16_t> ports() const override { return ports_; }

 private:
  struct Listener {
    explicit Listener(asio::io_context& context) : acceptor(context), retry(context) {}
    void Abort() {
      beast::error_code ignored;
      acceptor.close(ignored);
      retry.cancel();
    }
    Tcp::acceptor acceptor;
    asio::steady_timer retry;
  };

  static absl::Status Failed(const char* what, const Url& url, const beast::error_code& error) {
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, " ", url.Text(), ": ", error.message()));
  }

  void Accept(Listener& listener) {
    if (shared_.stopping) return;
    listener.acceptor.async_accept([this, &listener](beast::error_code error, Tcp::socket socket) {
      if (shared_.stopping) return;
      if (error) {
        shared_.log.Warn("cannot accept a connection for metrics", {{"error", error.message()}});
        return Retry(listener);
      }
      // Over the limit the socket is closed as it leaves this scope.
      if (shared_.connections.size() < shared_.limits.connections_max) {
        std::make_shared<Connection>(std::move(socket), shared_)->Read();
      } else {
        TellRefused();
      }
      Accept(listener);
    });
  }

  void TellRefused() {
    refused_.Increment();
    if (std::exchange(is_told_, true)) return;
    shared_.log.Warn(
        "too many connections for metrics; those that come are closed",
        {{"limit", "--metrics-connections-max"}, {"connections", shared_.connections.size()}});
    told_.expires_after(kLineInterval);
    told_.async_wait([this](beast::error_code error) {
      if (!error) is_told_ = false;
    });
  }

  // Out of file descriptors, most likely: at once would be a busy loop.
  void Retry(Listener& listener) {
    listener.retry.expires_after(std::chrono::seconds(1));
    listener.retry.async_wait([this, &listener](beast::error_code error) {
      if (!error) Accept(listener);
    });
  }

  Shared shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<uint16_t> ports_;
  Counter& refused_;
  bool is_told_ = false;     // Not told again,
  asio::steady_timer told_;  // until this has run out.
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::vector<Url>& urls, std::vector<std::pair<std::string, HttpHandler>> paths,
    const HttpLimits& limits, Logger& log, Metrics& metrics) {
  Paths by_path;
  for (auto& [path, handler] : paths) by_path.emplace(path, std::move(handler));
  auto server = std::make_unique<BeastHttpServer>(std::move(by_path), limits, log, metrics);
  for (const Url& url : urls) {
    if (absl::Status status = server->Listen(url); !status.ok()) return status;
  }
  server->Run();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace gavel::server
