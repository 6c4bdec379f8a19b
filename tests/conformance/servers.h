// A fresh etcd and a fresh Gavel on loopback, which are sent the same requests in step.
//
// Ends only processes that it started, by pid.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/client_stream.h"
#include "tests/conformance/operation.h"

namespace gavel::conformance {

struct Answers {
  Answer etcd;
  Answer gavel;
};

enum class Who { kEtcd, kGavel };

struct ServerPrograms {
  std::string etcd;
  std::string gaveld;
};

class Servers {
 public:
  // Starts `members` of each, with data and logs in new folders in `directory`.
  Servers(const ServerPrograms& programs, const std::string& directory, int members);
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  // Waits until every member answers a linearizable read. False after a minute, or if one ended.
  bool WaitReady();

  // Sends one operation, as each side is to have it, to member `turn` (modulo the size) of both at
  // once and waits for both. What crashes etcd is only sent to Gavel; what only Gavel has as a
  // stream, etcd is asked whole.
  Answers Send(const Operation& to_etcd, const Operation& to_gavel, size_t turn);

  // Opens a stream to that member of one side.
  std::unique_ptr<ClientStream> Open(Who who, const std::string& method, size_t turn,
                                     Arrivals& arrivals);

  // Whether the harness compares etcd with itself.
  bool both_are_etcd() const { return both_are_etcd_; }

  // Names the members that have ended by themselves, and their logs; empty if none has.
  std::string Ended();

 private:
  class Side;

  std::unique_ptr<Side> etcd_;
  std::unique_ptr<Side> gavel_;
  bool both_are_etcd_;
};

}  // namespace gavel::conformance
