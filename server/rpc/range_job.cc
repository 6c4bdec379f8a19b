#include "server/rpc/range_job.h"

#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {

using etcdserverpb::RangeRequest;
using storage::RangeCursor;

RangeJob::RangeJob(const ServiceSurroundings& surroundings,
                   std::shared_ptr<const storage::ReadView> view, RangeRequest request,
                   Completion done)
    : surroundings_(surroundings),
      request_(std::move(request)),
      cursor_(std::move(view), request_),
      hold_(surroundings_.read_bytes->NewHold()),
      done_(std::move(done)) {}

void RangeJob::Start(RangeJob job) {
  if (job.Step()) return;
  if (TooManyJobs(job.surroundings_)) {
    return Fail(std::move(job.done_), ToStatus(Error::kTooManyRequests));
  }
  Gate* gate = job.surroundings_.gate;
  gate->RunInBackground([job = std::move(job)]() mutable { return !job.Step(); });
}

bool RangeJob::Step() {
  switch (cursor_.Step(storage::RangeBudget())) {
    case RangeCursor::Progress::kMore:
      if (hold_.Resize(cursor_.held_bytes())) return false;
      Fail(std::move(done_), TooManyReadBytes());
      return true;
    case RangeCursor::Progress::kOvertaken:
      // A newer view is as good an answer: it too was published after the read began.
      cursor_ = RangeCursor(surroundings_.gate->view(), request_);
      return false;
    case RangeCursor::Progress::kRefused:
      Fail(std::move(done_), ToStatus(cursor_.error()));
      return true;
    case RangeCursor::Progress::kFailed:
      Fail(std::move(done_), InternalError(cursor_.status().ToString()));
      return true;
    case RangeCursor::Progress::kDone:
      break;
  }
  etcdserverpb::RangeResponse response = cursor_.TakeResponse();
  FillHeader(*surroundings_.gate, surroundings_.gate->term(), response.mutable_header());
  AnswerRead(surroundings_, std::move(done_), response, std::move(hold_));
  return true;
}

}  // namespace gavel::server
