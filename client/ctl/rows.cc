#include "client/ctl/rows.h"

#include <algorithm>
#include <cstddef>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

std::string YesNo(bool value) { return value ? "true" : "false"; }

std::string PercentNotInUse(const StatusResponse& status) {
  // A server that reports no size at all divides nothing.
  if (status.db_size <= 0) return "0%";
  return std::to_string(100 - status.db_size_in_use * 100 / status.db_size) + "%";
}

uint64_t Size(int64_t bytes) { return bytes < 0 ? 0 : static_cast<uint64_t>(bytes); }

}  // namespace

Table MemberRows(const std::vector<Member>& members) {
  Table table{{"ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"}, {}};
  for (const Member& member : members) {
    table.rows.push_back({Hex(member.id), member.name.empty() ? "unstarted" : "started",
                          member.name, Join(member.peer_urls, ","), Join(member.client_urls, ","),
                          YesNo(member.learner)});
  }
  return table;
}

Table HealthRows(const std::vector<AtEndpoint<HealthResponse>>& list) {
  Table table{{"endpoint", "health", "took", "error"}, {}};
  for (const auto& [endpoint, health] : list) {
    table.rows.push_back(
        {endpoint, YesNo(health.healthy), FormatDuration(health.took), health.error});
  }
  return table;
}

Table StatusRows(const std::vector<AtEndpoint<StatusResponse>>& list) {
  Table table{
      {"endpoint", "ID", "version", "storage version", "db size", "in use", "percentage not in use",
       "quota", "is leader", "is learner", "raft term", "raft index", "raft applied index",
       "errors", "downgrade target version", "downgrade enabled"},
      {}};
  for (const auto& [endpoint, status] : list) {
    table.rows.push_back({endpoint, Hex(status.header.member_id), status.version,
                          status.storage_version, HumanBytes(Size(status.db_size)),
                          HumanBytes(Size(status.db_size_in_use)), PercentNotInUse(status),
                          HumanBytes(Size(status.db_size_quota)),
                          YesNo(status.leader == status.header.member_id), YesNo(status.is_learner),
                          std::to_string(status.raft_term), std::to_string(status.raft_index),
                          std::to_string(status.raft_applied_index), Join(status.errors, ", "),
                          status.downgrade_target_version, YesNo(status.downgrade_enabled)});
  }
  return table;
}

Table HashKvRows(const std::vector<AtEndpoint<HashKvResponse>>& list) {
  Table table{{"endpoint", "hash", "hash_revision"}, {}};
  for (const auto& [endpoint, response] : list) {
    table.rows.push_back(
        {endpoint, std::to_string(response.hash), std::to_string(response.hash_revision)});
  }
  return table;
}

Table HistoryRows(const KeyHistory& history) {
  Table table{{"revision", "version", "value"}, {}};
  for (const HistoryEntry& entry : history.entries) {
    if (entry.kv) {
      table.rows.push_back({std::to_string(entry.revision), std::to_string(entry.kv->version),
                            Quote(entry.kv->value)});
    } else {
      table.rows.push_back({std::to_string(entry.revision), "", "deleted"});
    }
  }
  return table;
}

std::string Framed(const Table& table) {
  std::vector<std::string> header;
  std::vector<size_t> widths;
  for (const std::string& title : table.header) {
    header.push_back(ToUpper(title));
    std::replace(header.back().begin(), header.back().end(), '_', ' ');
    widths.push_back(CountCharacters(title));
  }
  for (const std::vector<std::string>& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], CountCharacters(row[i]));
    }
  }
  std::string rule = "+";
  for (const size_t width : widths) rule += std::string(width + 2, '-') + "+";
  rule += '\n';
  std::string out = rule + "|";
  for (size_t i = 0; i < header.size(); ++i) {
    const size_t gap = widths[i] - CountCharacters(header[i]);
    out += std::string(1 + gap / 2, ' ') + header[i] + std::string(1 + gap - gap / 2, ' ') + "|";
  }
  out += '\n' + rule;
  for (const std::vector<std::string>& row : table.rows) {
    out += '|';
    for (size_t i = 0; i < row.size(); ++i) {
      out += std::string(1 + widths[i] - CountCharacters(row[i]), ' ') + row[i] + " |";
    }
    out += '\n';
  }
  return table.rows.empty() ? out : out + rule;
}

}  // namespace gavel::client::ctl
