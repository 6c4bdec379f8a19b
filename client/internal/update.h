// Read, compute, put if nobody was faster: the loop behind Increment and Append.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "client/kv.h"

namespace gavel::client::internal {

// Makes the new value of the old one (empty if there is none), or says why it cannot.
using Compute = std::function<Result<std::string>(std::string_view)>;
// The transaction that put, and what it put.
using Updated = std::function<void(Result<TxnResponse>, const std::string&)>;

// Starts the loop; `done` runs once. `stop` ends it early, as options.stop does.
// Requires: options.timeout, which is for all steps together, is set.
void RunUpdate(const Kv& kv, std::string key, CallOptions options, std::stop_source stop,
               Compute compute, Updated done);

// A decimal number with an optional sign and nothing else.
std::optional<int64_t> ParseNumber(std::string_view text);
// The sum as text. An empty value counts as 0.
Result<std::string> AddToNumber(std::string_view value, int64_t delta);

template <class T>
Pending<T> Update(const Kv& kv, std::string_view key, CallOptions options, Compute compute,
                  std::function<T(const TxnResponse&, const std::string&)> convert) {
  auto state = std::make_shared<PendingState<T>>();
  std::stop_source stop;
  RunUpdate(kv, std::string(key), std::move(options), stop, std::move(compute),
            [state, convert](Result<TxnResponse> response, const std::string& value) {
              if (!response.ok()) return state->Complete(response.status());
              state->Complete(convert(*response, value));
            });
  return Pending<T>(state, [stop]() mutable { stop.request_stop(); });
}

}  // namespace gavel::client::internal
