// The rows that the formats "simple" and "table" share.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/printer.h"

namespace gavel::client::ctl {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

Table MemberRows(const std::vector<Member>& members);
Table HealthRows(const std::vector<AtEndpoint<HealthResponse>>& list);
Table StatusRows(const std::vector<AtEndpoint<StatusResponse>>& list);
Table HashKvRows(const std::vector<AtEndpoint<HashKvResponse>>& list);
Table HistoryRows(const KeyHistory& history);

// The table in a frame: header in capitals and centred, cells to the right.
std::string Framed(const Table& table);

}  // namespace gavel::client::ctl
