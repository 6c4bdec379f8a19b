// GAVEL_CHECK: stops the process when only a bug can be the cause. On in every build.
//
// Errors that the world may cause (disk, network, clients) are values, never checks. Debian's
// Abseil has no absl/log yet; these macros go when it does.
#pragma once

#include <sstream>
#include <string>

namespace gavel {

// Prints "file:line: check failed: what" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const std::string& what);

namespace check_internal {

// Collects what is streamed into a failed check, then stops the process.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition) : file_(file), line_(line) {
    text_ << condition;
  }
  [[noreturn]] ~Failure() { CheckFailed(file_, line_, text_.str()); }

  template <class T>
  Failure& operator<<(const T& value) {
    text_ << (first_ ? ": " : "") << value;
    first_ = false;
    return *this;
  }

 private:
  const char* file_;
  int line_;
  std::ostringstream text_;
  bool first_ = true;
};

struct Voidify {
  void operator&(const Failure&) {}
};

}  // namespace check_internal
}  // namespace gavel

#define GAVEL_CHECK(condition)                       \
  (condition) ? (void)0                              \
              : ::gavel::check_internal::Voidify() & \
                    ::gavel::check_internal::Failure(__FILE__, __LINE__, #condition)
