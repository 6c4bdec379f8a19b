#include "client/ctl/metrics_page.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr uint64_t kPageBytesMax = 16 << 20;

struct Url {
  std::string host;
  std::string port;
  std::string path;
};

std::optional<Url> ReadUrl(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  const size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string path(slash == std::string_view::npos ? "" : text.substr(slash));
  return Url{std::string(host), std::string(address.substr(colon + 1)),
             path.empty() || path == "/" ? "/metrics" : path};
}

// One GET, step by step; each step begins the next one.
class Get {
 public:
  Get(const Url& url, std::chrono::milliseconds time)
      : resolver_(context_), stream_(context_), time_(time) {
    request_.method(http::verb::get);
    request_.target(url.path);
    request_.version(11);
    request_.set(http::field::host, url.host + ":" + url.port);
    request_.set(http::field::connection, "close");
    parser_.body_limit(kPageBytesMax);
    resolver_.async_resolve(url.host, url.port, [this](beast::error_code error, auto found) {
      if (Failed(error)) return;
      stream_.async_connect(found, [this](beast::error_code failed, const auto&) {
        if (!Failed(failed)) Write();
      });
    });
  }

  // The page, or why there is none.
  Expected<std::string> Run() {
    context_.run_for(time_);
    if (!done_) return Failure{ExitCode::kError, "no answer in time", {}};
    if (error_) return Failure{ExitCode::kError, error_.message(), {}};
    if (parser_.get().result() != http::status::ok) {
      return Failure{
          ExitCode::kError, "HTTP status " + std::to_string(parser_.get().result_int()), {}};
    }
    return std::move(parser_.get().body());
  }

 private:
  void Write() {
    http::async_write(stream_, request_, [this](beast::error_code error, size_t) {
      if (Failed(error)) return;
      http::async_read(stream_, buffer_, parser_, [this](beast::error_code failed, size_t) {
        error_ = failed;
        done_ = true;
      });
    });
  }

  bool Failed(beast::error_code error) {
    if (!error) return false;
    error_ = error;
    done_ = true;
    return true;
  }

  asio::io_context context_;
  tcp::resolver resolver_;
  beast::tcp_stream stream_;
  const std::chrono::milliseconds time_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
  bool done_ = false;
};

}  // namespace

std::optional<double> FindMetric(std::string_view page, std::string_view name) {
  for (const std::string& line : Split(page, '\n')) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    const std::string_view text = Trim(std::string_view(line).substr(name.size()));
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // A time may stand behind the value.
    const bool ends = end == text.data() + text.size() || *end == ' ';
    if (error == std::errc() && ends) return value;
  }
  return std::nullopt;
}

Expected<double> ReadMetric(const std::string& url, std::string_view name,
                            std::chrono::milliseconds time) {
  const std::optional<Url> read = ReadUrl(url);
  if (!read) return BadArguments(Quote(url) + " is no URL such as http://host:port");
  const Expected<std::string> page = Get(*read, time).Run();
  const std::string where = "http://" + read->host + ":" + read->port + read->path;
  if (!page.ok()) return Failure{ExitCode::kError, where + ": " + page.failure().message, {}};
  const std::optional<double> value = FindMetric(*page, name);
  if (!value || *value <= 0) {
    return Failure{ExitCode::kError, where + " does not tell " + std::string(name), {}};
  }
  return *value;
}

}  // namespace gavel::client::ctl
