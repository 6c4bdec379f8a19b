// One observer of an election: streams of Observe, one after the other, each at another member.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/leaders.h"

namespace gavel::chaos {

class Observer {
 public:
  Observer(std::vector<std::string> targets, size_t first);
  // Stops.
  ~Observer();

  // Begins anew where a stream has ended. To be called now and then, by one thread.
  void GoOn();
  // Ends the stream. Returns what each has told.
  std::vector<std::vector<ToldLeader>> Stop();

 private:
  class Stream;

  void EndStream();

  const std::vector<std::string> targets_;
  size_t next_;
  std::unique_ptr<Stream> stream_;
  std::vector<std::vector<ToldLeader>> told_;
};

}  // namespace gavel::chaos
