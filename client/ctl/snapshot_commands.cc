// snapshot save: a member's snapshot in a file, checked before it gets its name.
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr size_t kDigestBytes = 32;
// Of a snapshot without its digest: a multiple of this.
constexpr uint64_t kPageBytes = 512;

constexpr char kPartFirst[] =
    "A snapshot is written to FILE.part, which becomes FILE when it is whole.";

// A file that is written under another name first, and does not stay if it is not kept.
class PartFile {
 public:
  explicit PartFile(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(part_.c_str());
  }

  // A backup holds all that there is: for its owner only.
  MaybeFailure Open() {
    fd_ = open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0) return IoFailure("could not open " + part_, errno, kPartFirst);
    return std::nullopt;
  }

  MaybeFailure Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written >= 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
      } else if (errno != EINTR) {
        return IoFailure("could not write " + part_, errno);
      }
    }
    return std::nullopt;
  }

  // Durable under its own name when this returns.
  MaybeFailure Keep() {
    if (fsync(fd_) != 0) return IoFailure("could not write " + part_, errno);
    if (rename(part_.c_str(), path_.c_str()) != 0) {
      return IoFailure("could not rename " + part_ + " to " + path_, errno);
    }
    close(std::exchange(fd_, -1));
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "."
                               : slash == 0               ? "/"
                                                          : path_.substr(0, slash);
    const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = directory >= 0 && fsync(directory) == 0;
    const int error = errno;
    if (directory >= 0) close(directory);
    if (!synced) return IoFailure("could not make " + path_ + " durable", error);
    return std::nullopt;
  }

 private:
  const std::string path_;
  const std::string part_;
  int fd_ = -1;
};

// Compares the last 32 bytes of what it is given with the SHA-256 of those before.
class DigestCheck {
 public:
  DigestCheck() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    usable_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

  void Add(std::string_view bytes) {
    size_ += bytes.size();
    tail_ += bytes;
    if (tail_.size() <= kDigestBytes) return;
    const size_t settled = tail_.size() - kDigestBytes;
    usable_ = usable_ && EVP_DigestUpdate(context_.get(), tail_.data(), settled) == 1;
    tail_.erase(0, settled);
  }

  MaybeFailure Finish() {
    if (size_ % kPageBytes != kDigestBytes) {
      return Failure{ExitCode::kInterrupted,
                     "sha256 checksum not found [bytes: " + std::to_string(size_) + "]",
                     "The server sent a snapshot that is not whole. Nothing was kept."};
    }
    std::string digest(kDigestBytes, '\0');
    usable_ = usable_ &&
              EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                 nullptr) == 1;
    if (usable_ && digest == tail_) return std::nullopt;
    return Failure{ExitCode::kInterrupted, "the SHA-256 of the snapshot differs",
                   "It was damaged on the way. Nothing was kept; try again."};
  }

  uint64_t size() const { return size_; }

 private:
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool usable_ = false;
  uint64_t size_ = 0;
  std::string tail_;
};

// How far it is, on one line that is written over, for people.
class ProgressLine {
 public:
  explicit ProgressLine(Output& output) : output_(output) {}

  void Show(uint64_t got, uint64_t remaining) {
    const uint64_t percent = got * 100 / (got + remaining + 1);
    if (percent == shown_) return;
    shown_ = percent;
    output_.Transient(HumanBytes(got) + " of about " + HumanBytes(got + remaining) + ", " +
                      std::to_string(percent) + "%");
  }
  void End() {
    if (shown_ != kNever) output_.Transient("");
  }

 private:
  static constexpr uint64_t kNever = UINT64_MAX;

  Output& output_;
  uint64_t shown_ = kNever;
};

}  // namespace

MaybeFailure RunSnapshotSave(Session& session) {
  if (session.arguments().size() != 1) {
    return BadArguments("snapshot save expects one argument", "It is the name of the file.");
  }
  const std::string& path = session.arguments().front();
  const std::vector<std::string>& endpoints = session.settings().endpoints;
  if (endpoints.size() != 1) {
    return Failure{ExitCode::kInterrupted,
                   "snapshot must be requested to one selected node, not multiple [" +
                       Join(endpoints, " ") + "]",
                   "Name one with --endpoints."};
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  PartFile file(path);
  if (MaybeFailure failure = file.Open()) return failure;

  DigestCheck digest;
  ProgressLine progress(session.output());
  std::string version;
  SnapshotStream stream = (*client)->maintenance().Snapshot(AddressOf(endpoints.front()));
  while (!stream.done()) {
    Expected<SnapshotPiece> piece = session.Take(stream.Next());
    if (!piece.ok()) {
      progress.End();
      return piece.failure();
    }
    digest.Add(piece->bytes);
    if (MaybeFailure failure = file.Write(piece->bytes)) {
      progress.End();
      return failure;
    }
    if (!piece->version.empty()) version = std::move(piece->version);
    progress.Show(digest.size(), piece->remaining_bytes);
  }
  progress.End();
  if (MaybeFailure failure = digest.Finish()) return failure;
  if (MaybeFailure failure = file.Keep()) return failure;
  session.output().Line("Snapshot saved at " + path);
  if (!version.empty()) session.output().Line("Server version " + version);
  return std::nullopt;
}

}  // namespace gavel::client::ctl
