// The member table: what the configuration says of members, and what they say of themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/internal/command.pb.h"
#include "raft/configuration.h"
#include "storage/engine/engine.h"
#include "storage/state/state_machine.h"

namespace gavel::storage {

// Sorted by id.
using MemberTable = std::vector<MemberRecord>;

absl::StatusOr<MemberTable> ReadMembers(const Engine& engine, const ReadOptions& options = {});

// The row of one member.
std::string MemberKey(raft::NodeId id);
std::string EncodeMember(const MemberRecord& member);
// False if key or bytes are damaged.
bool DecodeMember(std::string_view key, std::string_view in, MemberRecord* member);

// Makes the stored rows `after`, given that they are `before`.
void WriteMembers(const MemberTable& before, const MemberTable& after, WriteBatch& batch);

// The table under a configuration: its members with their URLs and roles; what members say of
// themselves stays that of `table`.
MemberTable WithConfiguration(const MemberTable& table, const raft::Configuration& configuration);

// Takes over what a member says of itself; true if that changed something. A member that is no
// longer in the table is ignored.
bool RecordPublished(const internal::PublishMember& publish, MemberTable& table);
// The same for its priority.
void RecordPriority(const internal::SetLeaderPriority& set, MemberTable& table);

}  // namespace gavel::storage
