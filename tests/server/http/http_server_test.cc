// The HTTP server against clients that behave and clients that do not, over loopback.
#include "server/http/http_server.h"

#include <future>
#include <random>
#include <thread>

#include "tests/server/http/raw_connection.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(const HttpLimits& limits = {}) {
    std::vector<std::pair<std::string, HttpHandler>> paths;
    paths.emplace_back("/hello", [](const HttpRequest& request, const HttpAnswer& answer) {
      answer({.body = "hello " + request.query});
    });
    paths.emplace_back("/never", [this](const HttpRequest&, const HttpAnswer& answer) {
      kept_answers_.push_back(answer);
    });
    paths.emplace_back("/later", [this](const HttpRequest&, const HttpAnswer& answer) {
      threads_.emplace_back([answer] { answer({.body = "from another thread"}); });
    });
    paths.emplace_back("/twice", [](const HttpRequest&, const HttpAnswer& answer) {
      answer({.body = "first"});
      answer({.body = "second"});
    });
    absl::StatusOr<std::vector<Url>> urls = ParseUrls("http://127.0.0.1:0");
    absl::StatusOr<std::unique_ptr<HttpServer>> server =
        HttpServer::Start(*urls, std::move(paths), limits, *log_, metrics_);
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  uint16_t port() const { return server_->ports().at(0); }
  void TearDown() override {
    server_.reset();
    for (std::thread& thread : threads_) thread.join();
    for (const HttpAnswer& answer : kept_answers_) answer({.body = "too late"});
  }

  std::unique_ptr<Logger> log_ = NullLogger();
  Metrics metrics_;
  std::vector<HttpAnswer> kept_answers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, APathIsAnswered) {
  Start();
  const std::string answer = Get(port(), "/hello?a=b");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nhello a=b"));
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  Start();
  const std::string answer =
      Exchange(port(), "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("hello")));
}

TEST_F(HttpServerTest, UnknownPathsAndMethodsAreRefused) {
  Start();
  EXPECT_THAT(Get(port(), "/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get(port(), "/hello/x"), StartsWith("HTTP/1.1 404"));
  const std::string answer = Exchange(port(),
                                      "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                                      "Connection: close\r\n\r\n{}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(HttpServerTest, AConnectionServesManyRequests) {
  Start();
  RawConnection connection(port());
  for (int i = 0; i < 100; ++i) {
    connection.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(connection.Read(1), HasSubstr("hello "));
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  const std::string answers =
      Exchange(port(),
               "GET /hello?1 HTTP/1.1\r\nHost: x\r\n\r\nGET /later HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /hello?3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const size_t first = answers.find("hello 1");
  const size_t second = answers.find("from another thread");
  const size_t third = answers.find("hello 3");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos) << answers;
}

TEST_F(HttpServerTest, ASecondAnswerToARequestIsDropped) {
  Start();
  const std::string answer = Get(port(), "/twice");
  EXPECT_THAT(answer, HasSubstr("first"));
  EXPECT_THAT(answer, Not(HasSubstr("second")));
}

TEST_F(HttpServerTest, OversizeRequestsAreRefused) {
  Start({.header_bytes_max = 1024, .body_bytes_max = 1024});
  EXPECT_THAT(Exchange(port(), "GET /hello HTTP/1.1\r\nHost: x\r\nBig: " +
                                   std::string(100'000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Exchange(port(), "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefused) {
  Start();
  EXPECT_THAT(Exchange(port(), "hello\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange(port(), std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", 10)),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange(port(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange(port(), "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get(port(), "/hello"), StartsWith("HTTP/1.1 200"));
}

// A valid request with bytes changed at random, thousands of times: whatever the answer, the
// server goes on.
TEST_F(HttpServerTest, MutatedRequestsDoNoHarm) {
  Start({.deadline = kNsPerSecond / 20});
  std::mt19937 random(7);
  const std::string request =
      "GET /hello?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
      "Transfer-Encoding: identity\r\nConnection: close\r\n\r\nabc";
  for (int i = 0; i < 1000; ++i) {
    std::string mutated = request;
    for (uint32_t changes = random() % 8; changes > 0; --changes) {
      mutated[random() % mutated.size()] = static_cast<char>(random());
    }
    mutated.resize(mutated.size() - random() % 10);
    RawConnection(port()).Send(mutated);
  }
  EXPECT_THAT(Get(port(), "/hello"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ASlowClientIsCutOff) {
  Start({.deadline = kNsPerSecond / 5});
  RawConnection connection(port());
  connection.Send("GET /hello HT");
  EXPECT_EQ(connection.ReadToEnd(), "");
}

TEST_F(HttpServerTest, AnAnswerThatDoesNotComeIsReplacedByAnError) {
  Start({.deadline = kNsPerSecond / 5});
  EXPECT_THAT(Get(port(), "/never"), StartsWith("HTTP/1.1 503"));
  ASSERT_EQ(kept_answers_.size(), 1U);
  kept_answers_[0]({.body = "late"});
  EXPECT_THAT(Get(port(), "/hello"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ConnectionsOverTheLimitAreClosedAtOnce) {
  Start({.connections_max = 2});
  RawConnection first(port());
  RawConnection second(port());
  first.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.Read(1), HasSubstr("200 OK"));
  second.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(second.Read(1), HasSubstr("200 OK"));
  EXPECT_EQ(RawConnection(port()).ReadToEnd(), "");
  EXPECT_EQ(RawConnection(port()).ReadToEnd(), "");
  EXPECT_THAT(metrics_.Text(), HasSubstr("gavel_metrics_connections_refused_total 2\n"));
}

TEST_F(HttpServerTest, StoppingDoesNotWaitForClients) {
  Start({.deadline = 60 * kNsPerSecond});
  RawConnection idle(port());
  RawConnection half(port());
  half.Send("GET /hello HT");
  RawConnection waiting(port());
  waiting.Send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(Get(port(), "/hello"), StartsWith("HTTP/1.1 200"));
  const MonotonicNs start = SystemClock().Now();
  server_.reset();
  EXPECT_LT(SystemClock().Now() - start, 5 * kNsPerSecond);
  EXPECT_EQ(idle.ReadToEnd(), "");
}

TEST_F(HttpServerTest, APortInUseIsNamed) {
  Start();
  const std::string text = "http://127.0.0.1:" + std::to_string(port());
  EXPECT_THAT(
      HttpServer::Start(*ParseUrls(text), {}, {}, *log_, metrics_),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr(text + ": Address already in use")));
}

}  // namespace
}  // namespace gavel::server
