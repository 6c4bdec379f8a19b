// One thread that runs queued work in order, started by the first piece of work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace gavel::storage {

class BackgroundWorker {
 public:
  BackgroundWorker() = default;
  ~BackgroundWorker() { Stop(); }
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  // Returns false, and drops the work, after Stop.
  bool Run(std::function<void()> work);
  // Waits for the work that is under way and drops the rest.
  void Stop();

 private:
  void Loop();

  std::mutex mutex_;  // Guards all below but the thread, which Stop alone joins.
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool started_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace gavel::storage
