// One stop token made of two.
#pragma once

#include <stop_token>

namespace gavel::client::recipes {

// Its token's stop is requested as soon as that of either is, for as long as this lives.
class EitherStops {
 public:
  EitherStops(const std::stop_token& one, const std::stop_token& other)
      : on_one_(one, Stop{&source_}), on_other_(other, Stop{&source_}) {}

  std::stop_token token() const { return source_.get_token(); }

 private:
  struct Stop {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };

  std::stop_source source_;
  std::stop_callback<Stop> on_one_;
  std::stop_callback<Stop> on_other_;
};

}  // namespace gavel::client::recipes
