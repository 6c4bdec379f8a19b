#include "server/rpc/service.h"

#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

// "/package.Service/Method" in two; malformed if there is no slash between them.
struct MethodName {
  std::string_view service;
  std::string_view method;
  bool malformed = false;
};

MethodName Split(std::string_view name) {
  if (!name.empty() && name.front() == '/') name.remove_prefix(1);
  const size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {{}, name, true};
  return {name.substr(0, slash), name.substr(slash + 1), false};
}

}  // namespace

std::optional<std::string_view> CallContext::Find(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return std::nullopt;
}

size_t StreamWriter::WriteBlock(MessageBlock block) {
  size_t queued = 0;
  for (Encoded& message : block.TakeMessages()) queued = Write(std::move(message));
  return queued;
}

void Router::AddUnary(std::string name, UnaryMethod method) {
  services_.emplace(Split(name).service);
  unary_.insert_or_assign(std::move(name), std::move(method));
}

void Router::AddStream(std::string name, StreamMethod method, StreamShape shape) {
  services_.emplace(Split(name).service);
  streams_.insert_or_assign(std::move(name), Stream{std::move(method), shape});
}

void Router::AddService(std::string name) { services_.insert(std::move(name)); }

const UnaryMethod* Router::FindUnary(std::string_view name) const {
  const auto it = unary_.find(name);
  return it == unary_.end() ? nullptr : &it->second;
}

const StreamMethod* Router::FindStream(std::string_view name) const {
  const auto it = streams_.find(name);
  return it == streams_.end() ? nullptr : &it->second.method;
}

RpcStatus Router::Unknown(std::string_view name) const {
  const auto [service, method, malformed] = Split(name);
  if (malformed) return MalformedMethodName(name);
  return services_.contains(service) ? UnknownMethod(service, method) : UnknownService(service);
}

}  // namespace gavel::server
