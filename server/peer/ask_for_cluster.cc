// Asking over gRPC, before a member has a transport of its own.
#include <grpc/support/time.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/strings/str_cat.h"

#include "server/peer/cluster_view.h"
#include "server/peer/frame_stream.h"

namespace gavel::server {

absl::StatusOr<ClusterView> AskForCluster(const std::string& address,
                                          std::chrono::milliseconds timeout) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  grpc::GenericStub stub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                    gpr_time_from_millis(timeout.count(), GPR_TIMESPAN)));
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, std::string(kPeerClusterMethod), grpc::ByteBuffer(), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (!status.ok())
    return absl::UnavailableError(absl::StrCat(address, ": ", status.error_message()));
  grpc::Slice bytes;
  if (!answer.TrySingleSlice(&bytes).ok() && !answer.DumpToSingleSlice(&bytes).ok()) {
    return absl::UnavailableError(absl::StrCat(address, ": an empty answer"));
  }
  return DecodeClusterView({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
}

}  // namespace gavel::server
