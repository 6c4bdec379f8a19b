// A call that may wait for other clients: one request, then answers whenever they are due.
//
// Lock and election calls are served as streams, because only a stream is told when its client
// has gone; on the wire a stream of one answer is a unary call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// All steps of a call run one at a time, on its executor; what a step waits for is handed to a
// continuation, which does not run once the call is over.
class RecipeCall : public StreamHandler, public std::enable_shared_from_this<RecipeCall> {
 public:
  void OnMessage(std::string message) final;
  void OnHalfClose() final;
  void OnWritable() final;
  void OnCancel() final;

 protected:
  RecipeCall(const ServiceSurroundings& surroundings, CallContext context,
             std::shared_ptr<StreamWriter> writer)
      : surroundings_(surroundings), context_(std::move(context)), writer_(std::move(writer)) {}

  // The request, as bytes.
  virtual void Begin(const std::string& request) = 0;
  // The client has gone, or an answer was refused: undo what only a waiting client needs.
  virtual void Abandon() {}
  virtual void Resume() {}  // The writer has room again.

  bool over() const { return over_; }
  Gate& gate() const { return *surroundings_.gate; }
  const std::shared_ptr<Executor>& executor() const { return context_.executor; }
  StreamWriter& writer() { return *writer_; }

  // What a write of the call was refused for. etcd's services are clients of its own, and pass on
  // the text of what these are told without the code.
  static RpcStatus WithoutCode(RpcStatus refusal);
  // Ends the call.
  void Fail(RpcStatus status);
  // Ends the call with a message, whose header gets all but its revision.
  template <class Response>
  void Answer(Response response) {
    Send(std::move(response));
    Fail(RpcStatus());
  }
  // Sends one message of several; true if there is room for more.
  template <class Response>
  bool Send(Response response) {
    FillHeader(gate(), gate().term(), response.mutable_header());
    return writer_->Write(Encode(response)) <= writer_->high_mark();
  }

  // Carries out a transaction that writes; one that fails ends the call. `late` runs in place of
  // `then` if the call was over by the time the transaction had been carried out.
  using Then = absl::AnyInvocable<void(etcdserverpb::TxnResponse)>;
  void Write(const etcdserverpb::TxnRequest& request, Then then, Then late = nullptr);
  // Carries out a transaction of ranges on the newest state of the cluster.
  void Read(etcdserverpb::TxnRequest request, Then then);
  // Hands on `lease`, or one of 60 s that is granted here if it is 0. Nobody renews that one, so
  // what hangs on it ends by itself.
  void WithLease(int64_t lease, absl::AnyInvocable<void(int64_t)> then);

 private:
  void OnWritten(ProposeResult result, Then then, Then late);

  const ServiceSurroundings surroundings_;
  const CallContext context_;
  const std::shared_ptr<StreamWriter> writer_;
  bool asked_ = false;
  bool over_ = false;
};

// Carries out a read-only transaction on `view` in the background, then runs `then` on
// `executor`. A compaction that overtakes it has it start over on the gate's newest view.
void ReadInBackground(Gate& gate, std::shared_ptr<Executor> executor,
                      std::shared_ptr<const storage::ReadView> view,
                      etcdserverpb::TxnRequest request,
                      absl::AnyInvocable<void(absl::StatusOr<etcdserverpb::TxnResponse>)> then);

}  // namespace gavel::server
