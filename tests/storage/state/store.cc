#include "tests/storage/state/store.h"

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/engine/map_engine.h"
#include "storage/engine/rocks_engine.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/state/semantics.h"

namespace gavel::testing {

using storage::Family;

namespace {

constexpr storage::StateMachine::Wanted kMe = {raft::NodeId(1), raft::Incarnation(1)};

}  // namespace

storage::InitialState OneMember() {
  storage::InitialState initial;
  initial.configuration.members = {{raft::NodeId(1), {"http://127.0.0.1:2380"}}};
  initial.configuration.voters = {raft::NodeId(1)};
  initial.members = {{raft::NodeId(1), "one", {"http://127.0.0.1:2380"}, {}, false}};
  return initial;
}

raft::Entry CommandEntry(uint64_t index, internal::Command command) {
  if (command.semantics() == 0) command.set_semantics(storage::SemanticsVersion());
  if (command.member() == 0) {
    command.set_member(kMe.member.value());
    command.set_incarnation(kMe.incarnation.value());
  }
  command.set_sequence(index);
  return {raft::Index(index), raft::Term(1), raft::EntryKind::kCommand,
          std::make_shared<const std::string>(command.SerializeAsString())};
}

internal::Command Put(std::string_view key, std::string_view value) {
  internal::Command command;
  command.mutable_put()->set_key(std::string(key));
  command.mutable_put()->set_value(std::string(value));
  return command;
}

internal::Command Delete(std::string_view key, std::string_view range_end) {
  internal::Command command;
  command.mutable_delete_range()->set_key(std::string(key));
  command.mutable_delete_range()->set_range_end(std::string(range_end));
  return command;
}

internal::Command Compact(int64_t revision) {
  internal::Command command;
  command.mutable_compact()->set_revision(revision);
  return command;
}

etcdserverpb::RangeRequest RangeOf(std::string_view key, std::string_view range_end) {
  etcdserverpb::RangeRequest request;
  request.set_key(std::string(key));
  request.set_range_end(std::string(range_end));
  return request;
}

etcdserverpb::RangeRequest Everything() {
  const std::string_view zero("\0", 1);
  return RangeOf(zero, zero);
}

Store::Store(std::shared_ptr<storage::Engine> engine, storage::StateMachineOptions options)
    : engine_(engine != nullptr ? std::move(engine) : std::make_shared<storage::MapEngine>()),
      options_(options) {
  Reopen();
}

void Store::Reopen(std::shared_ptr<storage::Engine> engine) {
  machine_.reset();
  collector_.reset();
  if (engine != nullptr) engine_ = std::move(engine);
  auto machine = storage::StateMachine::Open(engine_, OneMember(), options_);
  GAVEL_CHECK(machine.ok()) << machine.status().ToString();
  machine_ = *std::move(machine);
  auto collector = storage::Collector::Open(engine_);
  GAVEL_CHECK(collector.ok()) << collector.status().ToString();
  collector_ = *std::move(collector);
}

storage::CommandOutcome Store::Do(internal::Command command) {
  return std::move(DoBatch({std::move(command)}).front());
}

std::vector<storage::CommandOutcome> Store::DoBatch(
    const std::vector<internal::Command>& commands) {
  std::vector<raft::Entry> entries;
  for (const internal::Command& command : commands) {
    entries.push_back(CommandEntry(machine_->applied().value() + 1 + entries.size(), command));
  }
  auto result = machine_->Apply(entries, kMe);
  GAVEL_CHECK(result.ok()) << result.status().ToString();
  GAVEL_CHECK(result->outcomes.size() == commands.size());
  return std::move(result->outcomes);
}

Store::RangeOutcome Store::Range(const etcdserverpb::RangeRequest& request,
                                 const storage::RangeBudget& budget) {
  storage::RangeCursor cursor(machine_->view(), request);
  while (true) {
    switch (cursor.Step(budget)) {
      case storage::RangeCursor::Progress::kMore:
        break;
      case storage::RangeCursor::Progress::kDone:
        return {storage::RequestError::kNone, cursor.TakeResponse()};
      case storage::RangeCursor::Progress::kRefused:
        return {cursor.error(), {}};
      default:
        GAVEL_CHECK(false) << cursor.status().ToString();
    }
  }
}

std::string Store::Value(std::string_view key, int64_t revision) {
  etcdserverpb::RangeRequest request = RangeOf(key);
  request.set_revision(revision);
  const RangeOutcome outcome = Range(request);
  if (outcome.error != storage::RequestError::kNone) {
    return absl::StrCat("(error ", static_cast<int>(outcome.error), ")");
  }
  return outcome.response.kvs_size() == 0 ? "(none)" : outcome.response.kvs(0).value();
}

Store::Hash Store::HashKv(int64_t revision) {
  storage::HashCursor cursor(machine_->view(), revision);
  while (!cursor.Step(7)) {
  }
  GAVEL_CHECK(cursor.status().ok()) << cursor.status().ToString();
  return {cursor.error(), cursor.hash(), cursor.compact_revision()};
}

void Store::AddLease(int64_t lease) {
  storage::WriteBatch batch;
  batch.Put(Family::kLeases, storage::LeaseKey(lease),
            storage::EncodeLeaseRow({60, 60000, raft::Index(1)}));
  GAVEL_CHECK(engine_->Write(batch).ok());
}

bool Store::CollectStep(int64_t changes_max) {
  const auto durable = machine_->ReadDurable();
  GAVEL_CHECK(durable.ok());
  auto batch = collector_->Plan(machine_->view()->compacted, durable->compacted, changes_max);
  GAVEL_CHECK(batch.ok()) << batch.status().ToString();
  if (batch->empty()) {
    GAVEL_CHECK(collector_->DropFiles().ok());
    return false;
  }
  GAVEL_CHECK(engine_->Write(*batch).ok());
  collector_->OnWritten();
  return true;
}

void Store::CollectAll(int64_t changes_max) {
  while (CollectStep(changes_max)) {
  }
}

std::shared_ptr<storage::Engine> OpenRocks(const TemporaryDirectory& directory) {
  storage::RocksOptions options;
  options.path = directory.path() + "/db";
  auto engine = storage::OpenRocksEngine(options);
  GAVEL_CHECK(engine.ok()) << engine.status().ToString();
  return *std::move(engine);
}

std::set<Model::Row> StoredVersions(const storage::Engine& engine) {
  std::set<Model::Row> rows;
  for (const auto& [key, value] : Dump(engine, Family::kVersions)) {
    const auto parts = storage::ParseVersionKey(key);
    GAVEL_CHECK(parts.has_value());
    std::string scratch;
    rows.emplace(storage::UserKey(parts->prefix, &scratch), parts->id.main, parts->id.sub);
  }
  return rows;
}

std::set<Model::Row> StoredChanges(const storage::Engine& engine) {
  std::set<Model::Row> rows;
  for (const auto& [key, value] : Dump(engine, Family::kChanges)) {
    const auto id = storage::ParseChangeKey(key);
    storage::ChangeRecord change;
    GAVEL_CHECK(id.has_value() && storage::ParseChangeRecord(value, &change));
    rows.emplace(change.user_key, id->main, id->sub);
  }
  return rows;
}

std::map<int64_t, Model::Lease> StoredLeases(const storage::Engine& engine) {
  std::map<int64_t, Model::Lease> leases;
  for (const auto& [key, value] : Dump(engine, Family::kLeases)) {
    const auto id = storage::ParseLeaseKey(key);
    storage::LeaseRow row;
    GAVEL_CHECK(id.has_value() && storage::DecodeLeaseRow(value, &row));
    leases[*id] = {row.ttl_seconds, row.deadline_ms, row.renewed.value()};
  }
  // In the order of the log.
  for (const auto& [key, value] : Dump(engine, Family::kLeaseRenewals)) {
    storage::RenewalRow row;
    GAVEL_CHECK(storage::DecodeRenewalRow(key, value, &row));
    for (const int64_t id : row.ids) {
      const auto lease = leases.find(id);
      if (lease == leases.end() || lease->second.renewed >= row.index.value()) continue;
      lease->second.renewed = row.index.value();
      lease->second.deadline_ms =
          std::max(lease->second.deadline_ms,
                   storage::LeaseDeadline(row.clock_ms, lease->second.ttl_seconds));
    }
  }
  return leases;
}

std::set<std::pair<int64_t, std::string>> StoredLeaseKeys(const storage::Engine& engine) {
  std::set<std::pair<int64_t, std::string>> keys;
  for (const auto& [key, value] : Dump(engine, Family::kLeaseKeys)) {
    const auto id = storage::ParseLeaseKey(key.substr(0, storage::LeaseKey(0).size()));
    GAVEL_CHECK(id.has_value() && value.empty());
    keys.emplace(*id, key.substr(storage::LeaseKey(0).size()));
  }
  return keys;
}

std::map<std::string, std::string> Dump(const storage::Engine& engine, Family family) {
  std::map<std::string, std::string> rows;
  auto iterator = engine.NewIterator(family);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    rows.emplace(iterator->key(), iterator->value());
  }
  GAVEL_CHECK(iterator->status().ok());
  return rows;
}

std::map<std::string, std::string> DumpReplicated(const storage::Engine& engine) {
  std::map<std::string, std::string> all;
  for (int family = 0; family < storage::kFamilyCount; ++family) {
    const std::string prefix = std::to_string(family) + ":";
    for (const auto& [key, value] : Dump(engine, static_cast<Family>(family))) {
      if (static_cast<Family>(family) == Family::kMeta && key == "collected") continue;
      all.emplace(prefix + key, value);
    }
  }
  return all;
}

}  // namespace gavel::testing
