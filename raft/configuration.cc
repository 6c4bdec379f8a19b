// Membership queries, and the bytes of a configuration entry.
#include "raft/configuration.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"

#include "raft/check.h"

namespace gavel::raft {
namespace {

constexpr uint8_t kFormatVersion = 1;

bool Contains(const std::vector<NodeId>& ids, NodeId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

bool SortedWithoutRepeats(const std::vector<NodeId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i].is_none() || (i > 0 && ids[i - 1] >= ids[i])) return false;
  }
  return true;
}

void PutFixed(std::string* out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

void PutIds(std::string* out, const std::vector<NodeId>& ids) {
  PutFixed(out, ids.size(), 4);
  for (NodeId id : ids) PutFixed(out, id.value(), 8);
}

// Reads little-endian numbers and strings; every read fails once one has failed.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

  uint64_t Fixed(size_t size) {
    if (!Have(size)) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[i])) << (8 * i);
    }
    bytes_.remove_prefix(size);
    return value;
  }

  std::string String() {
    const size_t size = Fixed(4);
    if (!Have(size)) return {};
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }

  std::vector<NodeId> Ids() {
    const uint64_t count = Fixed(4);
    std::vector<NodeId> ids;
    // The bytes are looked at before room is made, so that a damaged count allocates nothing.
    for (uint64_t i = 0; i < count && ok_; ++i) ids.emplace_back(Fixed(8));
    return ids;
  }

 private:
  bool Have(size_t size) {
    ok_ = ok_ && bytes_.size() >= size;
    return ok_;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace

bool Configuration::IsVoter(NodeId id) const {
  return Contains(voters, id) || Contains(outgoing_voters, id);
}

bool Configuration::IsLearner(NodeId id) const { return Find(id) != nullptr && !IsVoter(id); }

const MemberAddress* Configuration::Find(NodeId id) const {
  const auto at = std::lower_bound(
      members.begin(), members.end(), id,
      [](const MemberAddress& member, NodeId wanted) { return member.id < wanted; });
  return at != members.end() && at->id == id ? &*at : nullptr;
}

absl::Status CheckConfiguration(const Configuration& configuration) {
  std::vector<NodeId> ids;
  for (const MemberAddress& member : configuration.members) ids.push_back(member.id);
  if (!SortedWithoutRepeats(ids) || !SortedWithoutRepeats(configuration.voters) ||
      !SortedWithoutRepeats(configuration.outgoing_voters) ||
      !SortedWithoutRepeats(configuration.leaving)) {
    return absl::InvalidArgumentError("configuration: ids are not sorted, repeat or are zero");
  }
  for (const auto* voters : {&configuration.voters, &configuration.outgoing_voters}) {
    for (NodeId id : *voters) {
      if (!Contains(ids, id)) {
        return absl::InvalidArgumentError(
            absl::StrCat("configuration: voter ", id.value(), " is no member"));
      }
    }
  }
  if (!configuration.leaving.empty() && !configuration.joint()) {
    return absl::InvalidArgumentError("configuration: members are leaving, but it is not joint");
  }
  for (NodeId id : configuration.leaving) {
    if (!Contains(ids, id) || Contains(configuration.voters, id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("configuration: ", id.value(), " is leaving but stays, or is no member"));
    }
  }
  return absl::OkStatus();
}

std::string EncodeConfiguration(const Configuration& configuration) {
  std::string out;
  PutFixed(&out, kFormatVersion, 1);
  PutFixed(&out, configuration.members.size(), 4);
  for (const MemberAddress& member : configuration.members) {
    PutFixed(&out, member.id.value(), 8);
    PutFixed(&out, member.peer_urls.size(), 4);
    for (const std::string& url : member.peer_urls) {
      PutFixed(&out, url.size(), 4);
      out += url;
    }
  }
  PutIds(&out, configuration.voters);
  PutIds(&out, configuration.outgoing_voters);
  PutIds(&out, configuration.leaving);
  return out;
}

absl::StatusOr<Configuration> DecodeConfiguration(std::string_view bytes) {
  Reader reader(bytes);
  const uint64_t version = reader.Fixed(1);
  if (reader.ok() && version != kFormatVersion) {
    return absl::InvalidArgumentError(absl::StrCat("configuration: format version ", version,
                                                   " is not the known version ", kFormatVersion));
  }
  Configuration configuration;
  const uint64_t members = reader.Fixed(4);
  for (uint64_t i = 0; i < members && reader.ok(); ++i) {
    MemberAddress member;
    member.id = NodeId(reader.Fixed(8));
    const uint64_t urls = reader.Fixed(4);
    for (uint64_t j = 0; j < urls && reader.ok(); ++j) member.peer_urls.push_back(reader.String());
    configuration.members.push_back(std::move(member));
  }
  configuration.voters = reader.Ids();
  configuration.outgoing_voters = reader.Ids();
  configuration.leaving = reader.Ids();
  if (!reader.ok()) return absl::InvalidArgumentError("configuration: cut short");
  if (!reader.at_end()) return absl::InvalidArgumentError("configuration: bytes after the end");
  if (absl::Status status = CheckConfiguration(configuration); !status.ok()) return status;
  return configuration;
}

}  // namespace gavel::raft
