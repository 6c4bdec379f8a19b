// What the examples share: a client of the endpoints that were named, and how to fail.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"

namespace gavel::client::examples {

// So long a lock outlives its holder's death at most.
inline constexpr std::chrono::seconds kTtl{3};

// Prints why, and ends the program.
[[noreturn]] inline void Fail(const Status& status) {
  std::fprintf(stderr, "Error: %s\n", status.ToString().c_str());
  std::exit(1);
}

inline void Check(const Status& status) {
  if (!status.ok()) Fail(status);
}

template <class T>
T Check(Result<T> result) {
  if (!result.ok()) Fail(result.status());
  return *std::move(result);
}

// Of "host:port,host:port".
inline Client Connect(const std::string& endpoints) {
  ClientOptions options;
  options.endpoints.clear();
  for (size_t begin = 0; begin <= endpoints.size();) {
    const size_t comma = std::min(endpoints.find(',', begin), endpoints.size());
    options.endpoints.push_back(endpoints.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return Check(Client::Create(std::move(options)));
}

// Prints a line at once, also into a pipe.
inline void Say(const std::string& line) { std::cout << line << std::endl; }

// Waits until whoever started the program closes its input: at a terminal, Ctrl-D.
inline void WaitForEndOfInput() {
  while (std::getc(stdin) != EOF) {
  }
}

// The arguments, or the end of the program with how to call it.
inline std::vector<std::string> Arguments(int argc, char** argv, int least, const char* usage) {
  if (argc <= least) {
    std::fprintf(stderr, "usage: %s %s\n", argv[0], usage);
    std::exit(2);
  }
  return {argv + 1, argv + argc};
}

}  // namespace gavel::client::examples
