#include "server/node/cluster_ids.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace gavel::server {
namespace {

uint64_t FirstBytesOfSha1(std::string_view bytes) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  uint64_t id = 0;
  for (size_t i = 0; i < sizeof(id); ++i) id = id << 8 | digest[i];
  return id;
}

}  // namespace

raft::NodeId MemberIdOf(std::vector<std::string> peer_urls, std::string_view token) {
  std::sort(peer_urls.begin(), peer_urls.end());
  std::string bytes;
  for (const std::string& url : peer_urls) bytes += url;
  bytes += token;
  return raft::NodeId(FirstBytesOfSha1(bytes));
}

uint64_t ClusterIdOf(std::vector<raft::NodeId> members) {
  std::sort(members.begin(), members.end());
  std::string bytes;
  for (const raft::NodeId member : members) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(member.value() >> shift));
    }
  }
  return FirstBytesOfSha1(bytes);
}

}  // namespace gavel::server
