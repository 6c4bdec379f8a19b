#include "client/pager.h"

#include <algorithm>
#include <utility>

#include "client/internal/submit.h"

namespace gavel::client {
namespace internal {

struct PagerState {
  std::shared_ptr<Core> core;
  RangeRequest request;  // For the next page: first key, revision and limit move on.
  int64_t rows = 0;
  int64_t left = 0;  // Of the request's limit; used if `limited`.
  bool limited = false;
  CallOptions options;
  bool done = false;
  int64_t count = 0;
  bool begun = false;
};

namespace {

using Rows = std::vector<KeyValue>;

Result<Rows> TakePage(PagerState* state, RangeResponse page) {
  if (!state->begun) {
    state->begun = true;
    state->count = page.count;
    if (state->request.revision <= 0) state->request.revision = page.header.revision;
  }
  if (state->limited) state->left -= static_cast<int64_t>(page.kvs.size());
  state->done = !page.more || page.kvs.empty() || (state->limited && state->left <= 0);
  if (!page.kvs.empty()) {
    // The first key after the last one.
    state->request.range.key = page.kvs.back().key + std::string(1, '\0');
  }
  return std::move(page.kvs);
}

Status CheckPageable(const PagerState& state) {
  if (state.request.count_only) {
    return InvalidOptions("pages: count_only asks for no rows; use Range");
  }
  if (state.request.sort_target != SortTarget::kKey ||
      state.request.sort_order == SortOrder::kDescend) {
    return InvalidOptions("pages: rows come by ascending key; use Range to sort otherwise");
  }
  if (state.rows < 1) return InvalidOptions("pages: a page has at least one row");
  return Status();
}

}  // namespace
}  // namespace internal

RangePager::RangePager(std::shared_ptr<internal::Core> core, RangeRequest request, PageOptions page,
                       CallOptions options)
    : state_(std::make_shared<internal::PagerState>()) {
  state_->core = std::move(core);
  state_->rows = page.rows;
  state_->limited = request.limit > 0;
  state_->left = request.limit;
  state_->request = std::move(request);
  state_->options = std::move(options);
}

RangePager::RangePager(RangePager&&) noexcept = default;
RangePager& RangePager::operator=(RangePager&&) noexcept = default;
RangePager::~RangePager() = default;

Pending<std::vector<KeyValue>> RangePager::NextAsync() {
  using internal::Rows;
  internal::PagerState& state = *state_;
  if (Status status = internal::CheckPageable(state); !status.ok()) {
    return internal::Ended<Rows>(std::move(status));
  }
  if (state.done) return internal::Ended<Rows>(Rows());
  // One key needs no second page, and has no end to begin it before.
  state.request.limit = state.limited ? std::min(state.rows, state.left) : state.rows;
  return internal::Submit<Rows, etcdserverpb::RangeResponse>(
      state.core, "/etcdserverpb.KV/Range", internal::ToProto(state.request), internal::kRead,
      state.options, [kept = state_](etcdserverpb::RangeResponse* response) {
        return internal::TakePage(kept.get(), internal::FromProto(response));
      });
}

Result<std::vector<KeyValue>> RangePager::Next() {
  return internal::Block([&] { return NextAsync(); });
}

bool RangePager::done() const { return state_->done; }
int64_t RangePager::revision() const { return state_->request.revision; }
int64_t RangePager::count() const { return state_->count; }
std::string RangePager::next_key() const { return state_->request.range.key; }

}  // namespace gavel::client
