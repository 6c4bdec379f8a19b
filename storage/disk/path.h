// Joining and splitting the plain '/' paths that Disk takes.
#pragma once

#include <string>
#include <string_view>

namespace gavel::storage {

// Returns "directory/name". Requires: neither is empty.
inline std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (path.back() != '/') path += '/';
  path += name;
  return path;
}

// Returns the directory that holds `path`: "." for a bare name, "/" for an entry of the root.
inline std::string ParentPath(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

}  // namespace gavel::storage
