#include "server/rpc/line_call.h"

#include <utility>

namespace gavel::server {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

namespace {

// That the caller's key is the one created at `create`; 0: that there is none.
void OnlyIfCreatedAt(storage::Revision create, const std::string& key, TxnRequest* request) {
  Compare& compare = *request->add_compare();
  compare.set_target(Compare::CREATE);
  compare.set_key(key);
  compare.set_create_revision(create);
}

}  // namespace

void LineCall::Enter(std::string_view name, int64_t lease, std::optional<std::string> value) {
  place_.name = name;
  place_.value = std::move(value);
  WithLease(lease, [this](int64_t granted) {
    place_.lease = granted;
    place_.key = LineKey(place_.name, granted);
    PutKey();
  });
}

void LineCall::AddPut(TxnRequest* request) const {
  etcdserverpb::PutRequest& put = *request->add_success()->mutable_request_put();
  put.set_key(place_.key);
  put.set_value(place_.value.value_or(""));
  put.set_lease(place_.lease);
}

void LineCall::PutKey() {
  TxnRequest request;
  OnlyIfCreatedAt(0, place_.key, &request);
  AddPut(&request);
  AskForFirst(place_.name, request.add_success()->mutable_request_range());
  request.add_failure()->mutable_request_range()->set_key(place_.key);
  AskForFirst(place_.name, request.add_failure()->mutable_request_range());
  Write(
      request, [this](const TxnResponse& written) { OnPlace(written); },
      [this](const TxnResponse& written) {
        if (!written.succeeded()) return;
        place_.create = written.header().revision();
        DeleteKey();
      });
}

void LineCall::OnPlace(const TxnResponse& written) {
  ours_ = written.succeeded();
  const storage::Revision revision = written.header().revision();
  place_.entered = revision;
  const mvccpb::KeyValue& first = written.responses(1).response_range().kvs(0);
  if (ours_) {
    place_.create = revision;
  } else {
    const mvccpb::KeyValue& own = written.responses(0).response_range().kvs(0);
    place_.create = own.create_revision();
    if (place_.value && own.value() != *place_.value) return SayValue(first.create_revision());
  }
  if (first.create_revision() == place_.create) return BeFirst(revision);
  WaitInLine();
}

// The caller stands in the line already, with another value.
void LineCall::SayValue(storage::Revision first) {
  TxnRequest request;
  OnlyIfCreatedAt(place_.create, place_.key, &request);
  AddPut(&request);
  Write(request, [this, first](const TxnResponse& said) {
    if (!said.succeeded()) return Fail(Gone());
    // Whoever was the first when the key was there is so as long as it is.
    if (first == place_.create) return BeFirst(said.header().revision());
    WaitInLine();
  });
}

void LineCall::BeFirst(storage::Revision revision) {
  ours_ = false;  // The client's, from here on.
  OnFirst(place_, revision);
}

void LineCall::WaitInLine() {
  line_ = std::make_shared<KeyInLine>(gate(), executor(), place_.name, place_.key, place_.create);
  line_->Wait([weak = weak_from_this(), this](absl::StatusOr<KeyInLine::End> end) {
    const auto self = weak.lock();
    if (self != nullptr && !over()) OnLine(std::move(end));
  });
}

void LineCall::OnLine(absl::StatusOr<KeyInLine::End> end) {
  if (absl::IsResourceExhausted(end.status())) return Fail(TooManyWatchers());
  if (!end.ok()) return Fail(InternalError(end.status().ToString()));
  if (*end == KeyInLine::End::kGone) return Fail(Gone());
  Confirm();
}

// The lease may have ended without this member knowing it yet.
void LineCall::Confirm() {
  TxnRequest request;
  request.add_success()->mutable_request_range()->set_key(place_.key);
  Read(std::move(request), [this](const TxnResponse& seen) {
    const auto& own = seen.responses(0).response_range();
    if (own.kvs_size() == 0 || own.kvs(0).create_revision() != place_.create) return Fail(Gone());
    BeFirst(seen.header().revision());
  });
}

void LineCall::Abandon() {
  if (line_ != nullptr) line_->Stop();
  if (std::exchange(ours_, false)) DeleteKey();
}

void LineCall::DeleteKey() {
  TxnRequest request;
  OnlyIfCreatedAt(place_.create, place_.key, &request);
  request.add_success()->mutable_request_delete_range()->set_key(place_.key);
  // Without success the key ends with its lease.
  gate().Propose(CommandField::kTxn, request.SerializeAsString(), std::nullopt,
                 [](const ProposeResult&) {});
}

}  // namespace gavel::server
