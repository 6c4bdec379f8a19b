#include "raft/read_rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gavel::raft {

void ReadRounds::Start(Index commit) {
  current_ = current_.Next();
  started_.push_back(Started{current_, commit, std::move(waiting_)});
  waiting_.clear();
}

std::vector<ConfirmedRead> ReadRounds::TakeConfirmed(const std::function<bool(Round)>& confirmed) {
  const auto newest = std::find_if(started_.rbegin(), started_.rend(),
                                   [&](const Started& round) { return confirmed(round.round); });
  std::vector<ConfirmedRead> reads;
  for (auto it = started_.begin(); it != newest.base(); ++it) {
    for (const Reader& reader : it->readers) reads.push_back(ConfirmedRead{reader, it->index});
  }
  started_.erase(started_.begin(), newest.base());
  return reads;
}

std::vector<Reader> ReadRounds::TakeAll() {
  std::vector<Reader> readers;
  for (Started& round : started_) {
    readers.insert(readers.end(), round.readers.begin(), round.readers.end());
  }
  readers.insert(readers.end(), waiting_.begin(), waiting_.end());
  started_.clear();
  waiting_.clear();
  return readers;
}

}  // namespace gavel::raft
