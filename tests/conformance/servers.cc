#include "tests/conformance/servers.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "raft/check.h"
#include "tests/conformance/chunks.h"
#include "tests/conformance/member_processes.h"

namespace gavel::conformance {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

std::shared_ptr<grpc::Channel> NewChannel(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Members that are being started should be found at once.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// Waits for the one thing that is under way on `queue`; whether it went well.
bool Wait(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  GAVEL_CHECK(queue.Next(&tag, &ok)) << "nobody shuts this queue down";
  return ok;
}

// One call under way, the only one on its queue. It must be taken before it ends.
class Call {
 public:
  explicit Call(grpc::CompletionQueue& queue, std::chrono::milliseconds timeout,
                bool wait_for_ready)
      : queue_(queue) {
    // A member that has ended should be noticed at once, one that is starting waited for.
    context_.set_wait_for_ready(wait_for_ready);
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
  }
  virtual ~Call() = default;

  // Waits for the answer.
  virtual Answer Take() = 0;

 protected:
  grpc::CompletionQueue& queue_;
  grpc::ClientContext context_;
  grpc::Status status_;
};

class UnaryCall final : public Call {
 public:
  UnaryCall(grpc::GenericStub& stub, const Operation& operation, grpc::CompletionQueue& queue,
            std::chrono::milliseconds timeout, bool wait_for_ready)
      : Call(queue, timeout, wait_for_ready) {
    reader_ = stub.PrepareUnaryCall(&context_, operation.method, BufferOf(operation.body), &queue);
    reader_->StartCall();
    reader_->Finish(&response_, &status_, this);
  }

  Answer Take() override {
    Wait(queue_);
    Answer answer{status_.error_code(), status_.error_message(), ""};
    if (status_.ok()) answer.body = BytesOf(response_);
    return answer;
  }

 private:
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
  grpc::ByteBuffer response_;
};

// One request, and chunks until the end.
class StreamCall final : public Call {
 public:
  StreamCall(grpc::GenericStub& stub, const Operation& operation, grpc::CompletionQueue& queue,
             std::chrono::milliseconds timeout)
      : Call(queue, timeout, false), request_(BufferOf(operation.body)) {
    stream_ = stub.PrepareCall(&context_, operation.method, &queue);
    stream_->StartCall(this);
  }

  Answer Take() override {
    std::vector<std::string> chunks;
    if (Wait(queue_)) {
      stream_->WriteLast(request_, grpc::WriteOptions(), this);
      Wait(queue_);  // A call that has been refused already tells so at its end.
      grpc::ByteBuffer chunk;
      for (stream_->Read(&chunk, this); Wait(queue_); stream_->Read(&chunk, this)) {
        chunks.push_back(BytesOf(chunk));
      }
    }
    stream_->Finish(&status_, this);
    Wait(queue_);
    return MergeChunks(chunks, status_.error_code(), status_.error_message());
  }

 private:
  const grpc::ByteBuffer request_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

std::string NewFolder(const std::string& directory, const char* name) {
  const std::string folder = absl::StrCat(directory, "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace

class Servers::Side {
 public:
  Side(const std::string& program, const std::string& folder, int members)
      : members_(program, folder, members) {
    for (const std::string& target : members_.targets()) {
      stubs_.push_back(std::make_unique<grpc::GenericStub>(NewChannel(target)));
    }
  }

  std::unique_ptr<Call> Start(const Operation& operation, size_t turn,
                              std::chrono::milliseconds timeout = kPatience,
                              bool wait_for_ready = false) {
    if (operation.method == kStreamMethod) {
      return std::make_unique<StreamCall>(Stub(turn), operation, queue_, timeout);
    }
    return std::make_unique<UnaryCall>(Stub(turn), operation, queue_, timeout, wait_for_ready);
  }

  grpc::GenericStub& Stub(size_t turn) { return *stubs_[turn % stubs_.size()]; }

  bool WaitReady() {
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    for (size_t member = 0; member < stubs_.size(); ++member) {
      while (!IsReady(member)) {
        if (std::chrono::steady_clock::now() > give_up || !Ended().empty()) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    return true;
  }

  std::string Ended() { return members_.Ended(); }

 private:
  Answer Ask(size_t member, const char* method, const google::protobuf::Message& request) {
    const Operation operation{method, request.SerializeAsString()};
    const auto call = Start(operation, member, std::chrono::seconds(1), true);
    return call->Take();
  }

  // Whether a member answers a linearizable read and knows where every member is reached, which
  // Gavel's tell one another just after they have begun to serve.
  bool IsReady(size_t member) {
    etcdserverpb::RangeRequest range;
    range.set_key("ready");
    if (Ask(member, "/etcdserverpb.KV/Range", range).code != 0) return false;
    etcdserverpb::MemberListResponse list;
    const Answer answer =
        Ask(member, "/etcdserverpb.Cluster/MemberList", etcdserverpb::MemberListRequest());
    if (answer.code != 0 || !list.ParseFromString(answer.body)) return false;
    return std::all_of(list.members().begin(), list.members().end(),
                       [](const auto& each) { return each.clienturls_size() > 0; });
  }

  MemberProcesses members_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
};

Servers::Servers(const ServerPrograms& programs, const std::string& directory, int members)
    : etcd_(std::make_unique<Side>(programs.etcd, NewFolder(directory, "etcd"), members)),
      gavel_(std::make_unique<Side>(programs.gaveld, NewFolder(directory, "gavel"), members)),
      both_are_etcd_(programs.etcd == programs.gaveld) {}

Servers::~Servers() = default;

bool Servers::WaitReady() { return etcd_->WaitReady() && gavel_->WaitReady(); }

Answers Servers::Send(const Operation& to_etcd, const Operation& to_gavel, size_t turn) {
  const auto gavel_call = gavel_->Start(to_gavel, turn);
  Answers answers;
  if (!to_etcd.crashes_etcd) {
    Operation whole = to_etcd;
    if (whole.method == kStreamMethod) whole.method = kWholeMethod;
    answers.etcd = etcd_->Start(whole, turn)->Take();
  }
  answers.gavel = gavel_call->Take();
  return answers;
}

std::unique_ptr<ClientStream> Servers::Open(Who who, const std::string& method, size_t turn,
                                            Arrivals& arrivals) {
  Side& side = who == Who::kEtcd ? *etcd_ : *gavel_;
  return std::make_unique<ClientStream>(side.Stub(turn), method, arrivals);
}

std::string Servers::Ended() { return etcd_->Ended() + gavel_->Ended(); }

}  // namespace gavel::conformance
