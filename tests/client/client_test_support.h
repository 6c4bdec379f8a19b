// What the tests of the client library share.
#pragma once

#include <atomic>
#include <chrono>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "client/client.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "tests/client/scripted_server.h"

namespace gavel::client {

// For GoogleTest's messages.
inline void PrintTo(ErrorClass error_class, std::ostream* out) { *out << ToString(error_class); }
inline void PrintTo(Code code, std::ostream* out) { *out << ToString(code); }
inline void PrintTo(Reason reason, std::ostream* out) { *out << "reason " << int{uint8_t(reason)}; }
inline void PrintTo(const Status& status, std::ostream* out) { *out << status.ToString(); }

namespace testing {

using std::chrono::milliseconds;

// Times that a busy machine keeps: what must be waited for is short, what must not run out long.
inline ClientOptions Options(std::vector<std::string> endpoints) {
  return {.endpoints = std::move(endpoints),
          .timeout = milliseconds(60'000),
          .dial_timeout = milliseconds(60'000),
          .silence_timeout = milliseconds(60'000)};
}

inline Client MakeClient(ClientOptions options) {
  Result<Client> client = Client::Create(std::move(options));
  EXPECT_TRUE(client.ok()) << client.status().ToString();
  return *std::move(client);
}

inline Client MakeClient(std::vector<std::string> endpoints) {
  return MakeClient(Options(std::move(endpoints)));
}

// Answers puts and ranges with an empty OK.
inline Answer AnswerOk(const Request& request) {
  if (request.method == "Put") return Answer::Ok(etcdserverpb::PutResponse());
  if (request.method == "Txn") return Answer::Ok(etcdserverpb::TxnResponse());
  return Answer::Ok(etcdserverpb::RangeResponse());
}

// Fails the first `failures` requests, then answers.
inline ScriptedServer::Handler FailFirst(int failures, Answer failure) {
  auto left = std::make_shared<std::atomic<int>>(failures);
  return [left, failure](const Request& request) {
    return left->fetch_sub(1) > 0 ? failure : AnswerOk(request);
  };
}

}  // namespace testing
}  // namespace gavel::client
