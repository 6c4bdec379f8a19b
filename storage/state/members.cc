#include "storage/state/members.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

void AppendList(const std::vector<std::string>& list, std::string* out) {
  AppendVarint(list.size(), out);
  for (const std::string& text : list) AppendBytes(text, out);
}

bool TakeList(std::string_view* in, std::vector<std::string>* list) {
  uint64_t size = 0;
  if (!TakeVarint(in, &size)) return false;
  for (uint64_t i = 0; i < size; ++i) {
    std::string_view text;
    if (!TakeBytes(in, &text)) return false;
    list->emplace_back(text);
  }
  return true;
}

const MemberRecord* Find(const MemberTable& table, raft::NodeId id) {
  const auto it = std::find_if(table.begin(), table.end(),
                               [id](const MemberRecord& member) { return member.id == id; });
  return it == table.end() ? nullptr : &*it;
}

bool Holds(const std::vector<raft::NodeId>& ids, raft::NodeId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

std::string MemberKey(raft::NodeId id) {
  std::string key;
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(id.value() >> shift));
  }
  return key;
}

std::string EncodeMember(const MemberRecord& member) {
  std::string bytes;
  AppendBytes(member.name, &bytes);
  AppendVarint(member.learner ? 1 : 0, &bytes);
  AppendList(member.peer_urls, &bytes);
  AppendList(member.client_urls, &bytes);
  if (member.leader_priority != 0) AppendVarint(member.leader_priority, &bytes);
  return bytes;
}

bool DecodeMember(std::string_view key, std::string_view in, MemberRecord* member) {
  if (key.size() != 8) return false;
  uint64_t id = 0;
  for (const char byte : key) id = id << 8 | static_cast<unsigned char>(byte);
  member->id = raft::NodeId(id);
  std::string_view name;
  uint64_t learner = 0;
  uint64_t priority = 0;
  if (!TakeBytes(&in, &name) || !TakeVarint(&in, &learner) || learner > 1 ||
      !TakeList(&in, &member->peer_urls) || !TakeList(&in, &member->client_urls)) {
    return false;
  }
  // One that is 0 is left out.
  if (!in.empty() && (!TakeVarint(&in, &priority) || priority == 0 || priority > UINT32_MAX)) {
    return false;
  }
  member->name = name;
  member->learner = learner == 1;
  member->leader_priority = static_cast<uint32_t>(priority);
  return in.empty();
}

absl::StatusOr<MemberTable> ReadMembers(const Engine& engine, const ReadOptions& options) {
  MemberTable table;
  std::unique_ptr<Iterator> iterator = engine.NewIterator(Family::kMembers, options);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    MemberRecord& member = table.emplace_back();
    if (!DecodeMember(iterator->key(), iterator->value(), &member)) {
      return absl::DataLossError("members: damaged row");
    }
  }
  if (!iterator->status().ok()) return iterator->status();
  return table;
}

void WriteMembers(const MemberTable& before, const MemberTable& after, WriteBatch& batch) {
  for (const MemberRecord& member : before) {
    if (Find(after, member.id) == nullptr) batch.Delete(Family::kMembers, MemberKey(member.id));
  }
  for (const MemberRecord& member : after) {
    const MemberRecord* old = Find(before, member.id);
    if (old != nullptr && *old == member) continue;
    batch.Put(Family::kMembers, MemberKey(member.id), EncodeMember(member));
  }
}

MemberTable WithConfiguration(const MemberTable& table, const raft::Configuration& configuration) {
  MemberTable next;
  for (const raft::MemberAddress& address : configuration.members) {
    const MemberRecord* known = Find(table, address.id);
    MemberRecord& member = next.emplace_back(known != nullptr ? *known : MemberRecord());
    member.id = address.id;
    member.peer_urls = address.peer_urls;
    member.learner = !Holds(configuration.voters, address.id) &&
                     !Holds(configuration.outgoing_voters, address.id);
  }
  std::sort(next.begin(), next.end(),
            [](const MemberRecord& a, const MemberRecord& b) { return a.id < b.id; });
  return next;
}

bool RecordPublished(const internal::PublishMember& publish, MemberTable& table) {
  for (MemberRecord& member : table) {
    if (member.id.value() != publish.id()) continue;
    const MemberRecord before = member;
    member.name = publish.name();
    member.client_urls.assign(publish.client_urls().begin(), publish.client_urls().end());
    return member != before;
  }
  return false;
}

void RecordPriority(const internal::SetLeaderPriority& set, MemberTable& table) {
  for (MemberRecord& member : table) {
    if (member.id.value() == set.id()) member.leader_priority = set.priority();
  }
}

}  // namespace gavel::storage
