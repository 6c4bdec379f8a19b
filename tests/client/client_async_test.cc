// Callbacks, futures, cancellation, threads, and the end of a client.
#include <atomic>
#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/client/client_test_support.h"

namespace gavel::client {
namespace {

using testing::Answer;
using testing::AnswerOk;
using testing::MakeClient;
using testing::milliseconds;
using testing::Request;
using testing::ScriptedServer;
using testing::SilentPort;

Answer NeverAnswer(const Request&) {
  Answer answer;
  answer.never = true;
  return answer;
}

TEST(ClientAsyncTest, ACallEndsByCallbackByFutureAndByWaiting) {
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({server.target()});
  std::promise<bool> called;
  client.kv().PutAsync("k", "v").Then(
      [&](const Result<PutResponse>& put) { called.set_value(put.ok()); });
  EXPECT_TRUE(called.get_future().get());

  std::future<Result<GetResponse>> future = client.kv().GetAsync("k").ToFuture();
  EXPECT_TRUE(future.get().ok());

  const Pending<GetResponse> pending = client.kv().GetAsync("k");
  EXPECT_TRUE(pending.WaitFor(milliseconds(60'000)));
  EXPECT_TRUE(pending.ready());
  EXPECT_TRUE(pending.Get().ok());
  EXPECT_TRUE(pending.Get().ok());  // Again the same.
  bool at_once = false;
  pending.Then([&](const Result<GetResponse>& got) { at_once = got.ok(); });
  EXPECT_TRUE(at_once);
}

// A call that is let go of is carried out all the same.
TEST(ClientAsyncTest, ALostHandleDoesNotEndTheCall) {
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({server.target()});
  static_cast<void>(client.kv().PutAsync("a", "v"));
  while (server.count() == 0) std::this_thread::yield();
}

// Calls that are made of several end together.
TEST(ClientAsyncTest, AHealthCheckIsCancelledAsAWhole) {
  ScriptedServer server(NeverAnswer);
  const Client client = MakeClient({server.target()});
  const Pending<HealthResponse> check = client.maintenance().HealthAsync(server.target());
  while (server.count() == 0) std::this_thread::yield();
  check.Cancel();
  EXPECT_FALSE(check.Get()->healthy);
  EXPECT_EQ(check.Get()->error, "the call was cancelled");
  std::stop_source stop;
  const Pending<HealthResponse> stopped =
      client.maintenance().HealthAsync(server.target(), {.stop = stop.get_token()});
  while (server.count() == 1) std::this_thread::yield();
  stop.request_stop();
  EXPECT_EQ(stopped.Get()->error, "the call was cancelled");
  EXPECT_EQ(server.count(), 2u);
}

TEST(ClientAsyncTest, ACancelledCallSaysWhatIsKnown) {
  ScriptedServer server(NeverAnswer);
  SilentPort silent;
  const Client client = MakeClient({server.target()});
  const Client waiting = MakeClient({silent.target()});
  // Sent: unknown.
  const Pending<PutResponse> sent = client.kv().PutAsync("k", "v");
  while (server.count() == 0) std::this_thread::yield();
  EXPECT_FALSE(sent.ready());
  EXPECT_FALSE(sent.WaitFor(milliseconds(1)));
  sent.Cancel();
  EXPECT_EQ(sent.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(sent.Get().status().error_class(), ErrorClass::kUnknown);
  sent.Cancel();  // Nothing is left to cancel.
  // Not sent: dropped.
  const Pending<PutResponse> unsent = waiting.kv().PutAsync("k", "v");
  unsent.Cancel();
  EXPECT_EQ(unsent.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(unsent.Get().status().error_class(), ErrorClass::kDropped);
}

TEST(ClientAsyncTest, AStopTokenCancels) {
  ScriptedServer server(NeverAnswer);
  const Client client = MakeClient({server.target()});
  std::stop_source stop;
  const Pending<GetResponse> got = client.kv().GetAsync("k", {.stop = stop.get_token()});
  const Pending<IncrementResponse> sum =
      client.kv().IncrementAsync("n", 1, {.stop = stop.get_token()});
  while (server.count() < 2) std::this_thread::yield();
  stop.request_stop();
  EXPECT_EQ(got.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(sum.Get().status().reason(), Reason::kCancelled);
  // Stopped before it began: nothing is sent.
  const Result<PutResponse> put = client.kv().Put("k", "v", {.stop = stop.get_token()});
  EXPECT_EQ(put.status().reason(), Reason::kCancelled);
  EXPECT_EQ(put.status().error_class(), ErrorClass::kDropped);
  EXPECT_EQ(server.count(), 2u);
}

TEST(ClientAsyncTest, AnUpdateCanBeCancelledByItsHandle) {
  ScriptedServer server(NeverAnswer);
  const Client client = MakeClient({server.target()});
  const Pending<AppendResponse> append = client.kv().AppendAsync("k", "x");
  while (server.count() == 0) std::this_thread::yield();
  append.Cancel();
  EXPECT_EQ(append.Get().status().reason(), Reason::kCancelled);
}

// The end of a client ends every call, whatever it waits for, and runs its callback first.
TEST(ClientAsyncTest, TheEndOfAClientEndsItsCalls) {
  ScriptedServer server(NeverAnswer);
  SilentPort silent;
  std::atomic<int> cancelled = 0;
  const auto count = [&](const Result<PutResponse>& put) {
    if (put.status().reason() == Reason::kCancelled) ++cancelled;
  };
  std::optional<Kv> left;
  {
    const Client client = MakeClient({server.target()});
    left = client.kv();
    for (int i = 0; i < 10; ++i) client.kv().PutAsync("k", "v").Then(count);
    for (int i = 0; i < 10; ++i) {
      client.kv().PutAsync("k", "v", {.endpoint = silent.target()}).Then(count);
    }
    while (server.count() < 10) std::this_thread::yield();
  }
  EXPECT_EQ(cancelled, 20);
  EXPECT_EQ(left->Put("k", "v").status().reason(), Reason::kCancelled);
  EXPECT_EQ(left->Put("k", "v").status().message(), "the client was closed");
}

TEST(ClientAsyncTest, AClientCanEndInItsOwnCallback) {
  ScriptedServer server(AnswerOk);
  std::promise<void> ended;
  auto client = std::make_shared<Client>(MakeClient({server.target()}));
  const Kv kv = client->kv();
  kv.PutAsync("k", "v").Then([&, client = std::move(client)](const Result<PutResponse>&) mutable {
    client.reset();
    ended.set_value();
  });
  ended.get_future().get();
  EXPECT_EQ(kv.Put("k", "v").status().reason(), Reason::kCancelled);
}

// Waiting on the thread that everything runs on is refused instead of hanging.
TEST(ClientAsyncTest, ABlockingCallInACallbackIsRefused) {
  // A call that had ended before its callback was given would run it right here.
  std::promise<void> given;
  ScriptedServer server([wait = given.get_future().share()](const Request& request) {
    wait.wait();
    return AnswerOk(request);
  });
  const Client client = MakeClient({server.target()});
  std::promise<Status> blocking, waiting;
  client.kv().GetAsync("a").Then([&](const Result<GetResponse>&) {
    blocking.set_value(client.kv().Put("b", "v").status());
    waiting.set_value(client.kv().GetAsync("c").Get().status());
  });
  given.set_value();
  const Status refused = blocking.get_future().get();
  EXPECT_EQ(refused.reason(), Reason::kWouldDeadlock);
  EXPECT_EQ(refused.error_class(), ErrorClass::kRejected);
  EXPECT_EQ(waiting.get_future().get().reason(), Reason::kWouldDeadlock);
  // The put was never begun; the get goes on.
  while (server.count() < 2) std::this_thread::yield();
  for (const Request& request : server.requests()) EXPECT_EQ(request.method, "Range");
}

TEST(ClientAsyncTest, ManyThreadsUseOneClient) {
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({server.target()});
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        if (client.kv().Put("k", "v").ok()) ++done;
        client.kv().GetAsync("k").Then([&](const Result<GetResponse>& got) {
          if (got.ok()) ++done;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (done < 400) std::this_thread::yield();
  EXPECT_EQ(server.count(), 400u);
}

}  // namespace
}  // namespace gavel::client
