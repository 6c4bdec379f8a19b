// One watch stream of a sequence: a stream to each server, what both received, and what of it has
// been compared.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/conformance/lease_names.h"
#include "tests/conformance/servers.h"
#include "tests/conformance/watch_exchange.h"
#include "tests/conformance/watch_receiver.h"

namespace gavel::conformance {

struct NamesOfBoth {
  LeaseNames etcd;
  LeaseNames gavel;
};

class WatchPair {
 public:
  struct Half {
    explicit Half(bool drops) : receiver(drops) {}

    std::unique_ptr<ClientStream> stream;
    WatchReceiver receiver;
    WatchContext context;  // When the segment began.
    std::optional<Answer> ended;
  };

  // Opens both streams. `arrivals` must outlive the pair.
  WatchPair(Servers& servers, size_t turn, Arrivals& arrivals);

  // What one watch still owes; true if it is not open.
  bool AtRest(int64_t id, const WatchHistory& history) {
    return etcd_.receiver.AtRest(id, history) && gavel_.receiver.AtRest(id, history);
  }

  // Takes what has come, with names for leases. Adds what came from etcd to `history`, unless that
  // is null.
  void Drain(const NamesOfBoth& names, WatchHistory* history);

  // Sends a message that is no create request.
  void Send(const std::string& body);
  // Sends a create request, which is `body`.
  void Ask(const etcdserverpb::WatchCreateRequest& request, const std::string& body,
           int64_t revision, const WatchHistory& history);
  // Sends a progress request, which is `body`. Returns whether Gavel will answer.
  bool AskProgress(const std::string& body, int64_t revision, bool hasty);
  // Asks for a watch that both must refuse: with the answer, all that was sent before is answered.
  void SendFence();
  void HalfClose();
  bool half_closed() const { return half_closed_; }

  Half& etcd() { return etcd_; }
  Half& gavel() { return gavel_; }
  bool ended() const { return etcd_.ended.has_value() || gavel_.ended.has_value(); }
  Haste& haste() { return haste_; }

  // Whether a watch has been asked for that begins in the past: even when it has received all its
  // events, its server may not have noticed.
  bool may_be_behind() const { return may_be_behind_; }
  void set_may_be_behind(bool may_be_behind) { may_be_behind_ = may_be_behind; }

  bool AtRest(const WatchHistory& history);
  std::string Unrest(const WatchHistory& history);

  // What differs in what was received since the last call. Each time Gavel's is also compared with
  // one change made to it, which must show: `blind` tells of one that did not.
  struct Verdict {
    std::vector<Difference> differences;
    std::string changed;  // What the change was; empty if there was nothing to change.
    bool blind = false;
  };
  // With `*planted`, the change is made before the comparison; if one could be made, it is set to
  // false.
  Verdict Settle(int64_t newest, const WatchHistory& history, uint64_t choice, bool* planted,
                 Hits* hits);

 private:
  static void Drain(const LeaseNames& names, WatchHistory* history, Half* half);

  Half etcd_;
  Half gavel_;
  Haste haste_;
  int64_t progress_revision_ = 0;
  bool both_are_etcd_;
  bool half_closed_ = false;
  bool may_be_behind_ = false;
};

}  // namespace gavel::conformance
