#include "client/internal/update.h"

#include <charconv>

#include "client/internal/deadline.h"
#include "client/internal/errors.h"

namespace gavel::client::internal {
namespace {

constexpr int kTriesMax = 64;

// Of a step that writes nothing: whatever came of it, the key is as it was.
Status NothingWritten(const Status& status) {
  if (status.error_class() != ErrorClass::kUnknown) return status;
  Status dropped(status.code(), ErrorClass::kDropped, status.reason(), status.message());
  dropped.set_endpoint(status.endpoint());
  return dropped;
}

class UpdateLoop : public std::enable_shared_from_this<UpdateLoop> {
 public:
  UpdateLoop(const Kv& kv, std::string key, CallOptions options, std::stop_source stop,
             Compute compute, Updated done)
      : kv_(kv),
        key_(std::move(key)),
        options_(std::move(options)),
        stop_(std::move(stop)),
        compute_(std::move(compute)),
        done_(std::move(done)) {
    if (options_.stop.stop_possible()) {
      relay_.emplace(options_.stop, [stop = stop_]() mutable { stop.request_stop(); });
    }
    options_.stop = stop_.get_token();
    timeout_ = options_.timeout;
    deadline_ = Now() + ToUs(timeout_);
  }

  void Run() {
    kv_.GetAsync(key_, options_).Then([self = shared_from_this()](const Result<GetResponse>& got) {
      if (!got.ok()) return self->done_(NothingWritten(got.status()), {});
      self->TryPut(got->kv);
    });
  }

 private:
  void TryPut(const std::optional<KeyValue>& current) {
    Result<std::string> value = compute_(current ? std::string_view(current->value) : "");
    if (!value.ok()) return done_(value.status(), {});
    if (tries_++ == kTriesMax) {
      return done_(Status(Code::kAborted, ErrorClass::kDropped, Reason::kContention,
                          "others kept changing the key; try again"),
                   {});
    }
    options_.timeout = std::chrono::microseconds(deadline_ - Now());
    if (options_.timeout.count() <= 0) return done_(DeadlineOver(timeout_, /*sent=*/false), {});
    value_ = *std::move(value);
    Txn txn;
    txn.If(Compare::ModRevision(key_).Equal(current ? current->mod_revision : 0))
        .Then(PutRequest{.key = key_, .value = value_, .ignore_lease = current.has_value()})
        .Else(RangeRequest{.range = key_});
    kv_.CommitAsync(std::move(txn), options_)
        .Then([self = shared_from_this()](const Result<TxnResponse>& response) {
          if (!response.ok() || response->succeeded) {
            return self->done_(response, self->value_);
          }
          const RangeResponse* range =
              response->responses.empty() ? nullptr : response->responses[0].range();
          // The guard did not hold.
          if (range == nullptr) return self->done_(NothingWritten(BadResponse()), {});
          self->TryPut(range->kvs.empty() ? std::nullopt : std::optional(range->kvs[0]));
        });
  }

  const Kv kv_;
  const std::string key_;
  CallOptions options_;
  std::stop_source stop_;
  std::optional<std::stop_callback<std::function<void()>>> relay_;
  const Compute compute_;
  const Updated done_;
  std::chrono::nanoseconds timeout_{0};
  MonotonicUs deadline_ = 0;
  int tries_ = 0;
  std::string value_;
};

}  // namespace

void RunUpdate(const Kv& kv, std::string key, CallOptions options, std::stop_source stop,
               Compute compute, Updated done) {
  std::make_shared<UpdateLoop>(kv, std::move(key), std::move(options), std::move(stop),
                               std::move(compute), std::move(done))
      ->Run();
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<std::string> AddToNumber(std::string_view value, int64_t delta) {
  const std::optional<int64_t> number = value.empty() ? 0 : ParseNumber(value);
  if (!number) {
    return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kNotANumber,
                  "the value is no decimal number of 64 bits");
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(*number, delta, &sum)) {
    return Status(Code::kOutOfRange, ErrorClass::kRejected, Reason::kOverflow,
                  "the sum does not fit into 64 bits");
  }
  return std::to_string(sum);
}

}  // namespace gavel::client::internal
