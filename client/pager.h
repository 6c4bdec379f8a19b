// Reads a range of any size page by page, all at one revision.
//
//   RangePager pages = client.kv().Pages(RangeRequest{.range = KeyRange::Prefix("config/")});
//   while (!pages.done()) {
//     Result<std::vector<KeyValue>> page = pages.Next();
//     if (!page.ok()) ...
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/options.h"
#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
struct PagerState;
}  // namespace internal

struct PageOptions {
  int64_t rows = 1000;  // Of one page, at most; at least 1.
};

// Rows come in key order, each once. The revision is the request's or, if that is 0, the one of
// the first page; later pages read the same, so all of them together are one state of the range.
//
// An error moves nothing: Next() asks for the same page again. Reason::kCompacted means that the
// revision was given up in between; what was delivered stays true for revision(), and the rest can
// only be read by a new pager, from next_key() on, at a newer revision.
//
// Not thread-safe, and one page at a time.
class RangePager {
 public:
  RangePager(std::shared_ptr<internal::Core> core, RangeRequest request, PageOptions page,
             CallOptions options);
  RangePager(RangePager&&) noexcept;
  RangePager& operator=(RangePager&&) noexcept;
  ~RangePager();

  // The next page. Empty only if nothing is left. The request's limit bounds all pages together.
  // A request that is sorted otherwise than by ascending key, or that asks for the count only, is
  // refused with Reason::kInvalidOptions.
  Result<std::vector<KeyValue>> Next();
  // The pager must stay until the page is there.
  Pending<std::vector<KeyValue>> NextAsync();

  // True after the last page.
  bool done() const;
  // 0 before the first page.
  int64_t revision() const;
  // Keys in the whole range at revision(), whatever limit and filters; 0 before the first page.
  int64_t count() const;
  // The key that the next page begins at.
  std::string next_key() const;

 private:
  std::shared_ptr<internal::PagerState> state_;
};

}  // namespace gavel::client
