#include "tests/raft/scenario.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "raft/check.h"
#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

uint64_t ToNumber(const std::string& text) {
  uint64_t number = 0;
  GAVEL_CHECK(absl::SimpleAtoi(text, &number)) << "not a number:" << text;
  return number;
}

// One command line: a name, words, and key=value pairs.
struct Line {
  std::string name;
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  explicit Line(const std::string& text) {
    std::istringstream in(text);
    in >> name;
    for (std::string word; in >> word;) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos) {
        words.push_back(word);
      } else {
        options[word.substr(0, equals)] = word.substr(equals + 1);
      }
    }
  }

  bool Has(const std::string& key) const { return options.contains(key); }
  uint64_t Number(size_t position, uint64_t otherwise) const {
    return position < words.size() ? ToNumber(words[position]) : otherwise;
  }
  uint64_t Number(size_t position) const {
    GAVEL_CHECK(position < words.size()) << name << "wants more arguments";
    return ToNumber(words[position]);
  }
  uint64_t Option(const std::string& key, uint64_t otherwise) const {
    const auto at = options.find(key);
    return at == options.end() ? otherwise : ToNumber(at->second);
  }
  std::vector<uint64_t> List(const std::string& key) const {
    std::vector<uint64_t> numbers;
    const auto at = options.find(key);
    if (at == options.end()) return numbers;
    for (const std::string& word : std::vector<std::string>(absl::StrSplit(at->second, ','))) {
      numbers.push_back(ToNumber(word));
    }
    return numbers;
  }
};

// The words that name a kind of message in a transcript: "append-ok", "vote?", "vote yes".
std::string Kind(const Message& message) {
  const std::string text = Text(message);
  const size_t begin = text.find(' ', text.find(' ') + 1);
  const size_t first =
      text.find(" t") == std::string::npos ? begin : text.find(' ', text.find(" t") + 1);
  const size_t end = text.find(' ', first + 1);
  return text.substr(first + 1, end == std::string::npos ? end : end - first - 1);
}

class Scenario {
 public:
  Scenario() {
    using Self = Scenario;
    commands_ = {
        {"cluster", &Self::MakeCluster},
        {"elect", &Self::Elect},
        {"campaign", &Self::Campaign},
        {"tick", &Self::Tick},
        {"run", &Self::Run},
        {"deliver", &Self::Deliver},
        {"drop", &Self::Drop},
        {"duplicate", &Self::Duplicate},
        {"cut", &Self::Cut},
        {"isolate", &Self::Isolate},
        {"heal", &Self::Heal},
        {"hold", &Self::Hold},
        {"release", &Self::Release},
        {"persist", &Self::Persist},
        {"apply", &Self::Apply},
        {"propose", &Self::Propose},
        {"read", &Self::Read},
        {"change", &Self::Change},
        {"transfer", &Self::Transfer},
        {"crash", &Self::Crash},
        {"restart", &Self::Restart},
        {"lost", &Self::Lost},
        {"connected", &Self::Connected},
        {"unreachable", &Self::Unreachable},
        {"compact", &Self::Compact},
        {"messages", &Self::Messages},
        {"status", &Self::ShowStatus},
        {"log", &Self::ShowLog},
        {"progress", &Self::Progress},
        {"network", &Self::Network},
        {"inject", &Self::Inject},
    };
  }

  std::string Execute(const std::string& command) {
    out_.clear();
    const Line line(command);
    const auto at = commands_.find(line.name);
    GAVEL_CHECK(at != commands_.end()) << "no such command:" << command;
    GAVEL_CHECK(cluster_ || line.name == "cluster") << "the first command must be cluster";
    (this->*at->second)(line);
    if (cluster_) {
      const auto& violations = cluster_->invariants().violations();
      for (; reported_ < violations.size(); ++reported_) Say("VIOLATION " + violations[reported_]);
    }
    return out_;
  }

 private:
  void Say(const std::string& text) { absl::StrAppend(&out_, text, "\n"); }

  void MakeCluster(const Line& line) {
    Cluster::Settings settings;
    settings.election_ticks = static_cast<uint32_t>(line.Option("election", 10));
    settings.heartbeat_ticks = static_cast<uint32_t>(line.Option("heartbeat", 2));
    settings.seed = line.Option("seed", 1);
    settings.adjust = [line](Options& options) {
      options.append_bytes_max = line.Option("append-bytes", 1 << 20);
      options.inflight_messages_max = line.Option("inflight", 256);
      options.recent_entries_max = line.Option("recent", 10000);
      options.committed_bytes_max = line.Option("committed-bytes", 1 << 20);
      options.uncommitted_bytes_max = line.Option("uncommitted-bytes", 1 << 20);
    };
    cluster_ =
        std::make_unique<Cluster>(Voters(line.List("voters"), line.List("learners")), settings);
    for (uint64_t spare : line.List("spares")) cluster_->Add(Id(spare));
    cluster_->set_trace([this](const std::string& text) { Say("  " + text); });
  }

  void Elect(const Line& line) { cluster_->Elect(line.Number(0)); }
  void Campaign(const Line& line) { cluster_->Campaign(line.Number(0)); }
  void Tick(const Line& line) {
    if (line.words[0] == "all") {
      cluster_->TickAll(static_cast<int>(line.Number(1, 1)));
    } else {
      cluster_->Tick(line.Number(0), static_cast<int>(line.Number(1, 1)));
    }
  }
  void Run(const Line& line) { cluster_->Run(static_cast<int>(line.Number(0))); }

  Cluster::Filter FilterOf(const Line& line) {
    return [line](const Message& message) {
      if (line.Has("from") && message.from != Id(line.Option("from", 0))) return false;
      if (line.Has("to") && message.to != Id(line.Option("to", 0))) return false;
      if (line.Has("term") && message.term != Term(line.Option("term", 0))) return false;
      return !line.Has("kind") || Kind(message) == line.options.at("kind");
    };
  }
  void Deliver(const Line& line) {
    cluster_->Deliver(FilterOf(line), static_cast<int>(line.Option("limit", 100000)));
  }
  void Drop(const Line& line) { cluster_->Drop(FilterOf(line)); }
  void Duplicate(const Line& line) {
    const auto filter = FilterOf(line);
    const auto before = cluster_->network();
    for (const Message& message : before) {
      if (filter(message)) cluster_->network().push_back(message);
    }
  }
  void Cut(const Line& line) {
    cluster_->Cut(line.Number(0), line.Number(1));
    if (line.words.size() < 3) cluster_->Cut(line.Number(1), line.Number(0));
  }
  void Isolate(const Line& line) { cluster_->Isolate(line.Number(0)); }
  void Heal(const Line& line) {
    if (line.words.empty()) {
      cluster_->Heal();
    } else {
      cluster_->HealBoth(line.Number(0), line.Number(1));
    }
  }

  void Hold(const Line& line) { SetHold(line, true); }
  void Release(const Line& line) { SetHold(line, false); }
  void SetHold(const Line& line, bool held) {
    Member& member = cluster_->member(line.Number(1));
    if (line.words[0] == "disk") {
      member.holds_disk = held;
      if (!held && member.alive()) cluster_->Persist(line.Number(1));
    } else if (line.words[0] == "apply") {
      member.holds_apply = held;
      if (!held) cluster_->Apply(line.Number(1));
    } else {
      member.holds_older = held;
      if (!held) cluster_->AnswerOlder(line.Number(1));
    }
  }
  void Persist(const Line& line) { cluster_->Persist(line.Number(0), line.Number(1, SIZE_MAX)); }
  void Apply(const Line& line) { cluster_->Apply(line.Number(0), line.Number(1, SIZE_MAX)); }

  void Propose(const Line& line) {
    for (size_t i = 1; i < line.words.size(); ++i) cluster_->Propose(line.Number(0), line.words[i]);
  }
  void Read(const Line& line) { cluster_->Read(line.Number(0), line.Number(1)); }
  void Change(const Line& line) {
    if (!cluster_->Change(line.Number(0), Voters(line.List("voters"), line.List("learners")))) {
      Say("  refused");
    }
  }
  void Transfer(const Line& line) { cluster_->Transfer(line.Number(0), line.Number(1)); }
  void Crash(const Line& line) {
    cluster_->Crash(line.Number(0), line.words.size() > 1 && line.words[1] == "forget");
  }
  void Restart(const Line& line) { cluster_->Restart(line.Number(0)); }
  void Lost(const Line& line) { cluster_->LoseConnection(line.Number(0), line.Number(1)); }
  void Connected(const Line& line) { cluster_->Connect(line.Number(0), line.Number(1)); }
  void Unreachable(const Line& line) { cluster_->Unreachable(line.Number(0), line.Number(1)); }
  void Compact(const Line& line) { cluster_->Compact(line.Number(0), Index(line.Number(1))); }
  void Messages(const Line& line) { cluster_->set_trace_messages(line.words[0] == "on"); }

  std::vector<uint64_t> Chosen(const Line& line) {
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < line.words.size(); ++i) ids.push_back(line.Number(i));
    if (!ids.empty()) return ids;
    for (const auto& [id, member] : cluster_->members()) ids.push_back(id.value());
    return ids;
  }
  void ShowStatus(const Line& line) {
    for (uint64_t id : Chosen(line)) {
      if (!cluster_->member(id).alive()) {
        Say(absl::StrCat(id, " crashed"));
        continue;
      }
      const Status status = cluster_->core(id).status();
      Say(absl::StrCat(id, " ", Text(status.role), " term=", status.term.value(),
                       " leader=", status.leader ? absl::StrCat(status.leader->value()) : "-",
                       " voted=", status.voted_for ? absl::StrCat(status.voted_for->value()) : "-",
                       " commit=", status.commit.value(), " applied=", status.applied.value(),
                       " persisted=", status.persisted.value(), " last=", status.last.value()));
    }
  }
  void ShowLog(const Line& line) {
    for (uint64_t id : Chosen(line)) Say(absl::StrCat(id, ": ", cluster_->LogText(id)));
  }
  void Progress(const Line& line) {
    static const char* const kStates[] = {"probe", "replicate", "snapshot"};
    for (const PeerProgress& peer : cluster_->core(line.Number(0)).status().peers) {
      Say(absl::StrCat(peer.id.value(), " ", kStates[static_cast<int>(peer.state)],
                       " match=", peer.match.value(), " next=", peer.next.value(),
                       " inflight=", peer.inflight_messages));
    }
  }
  void Network(const Line& line) {
    const auto filter = FilterOf(line);
    for (const Message& message : cluster_->network()) {
      if (filter(message)) Say("  " + Text(message));
    }
  }

  // Puts a message on the network that no member has sent.
  void Inject(const Line& line) {
    Message message{Id(line.Option("from", 0)), Id(line.Option("to", 0)),
                    Term(line.Option("term", 0)), TimeoutNow{}};
    const Incarnation incarnation(line.Option("incarnation", 1));
    const EntryId last{Index(line.Option("index", 0)), Term(line.Option("index-term", 0))};
    const std::string& kind = line.words.at(0);
    if (kind == "vote-yes") {
      message.body = VoteReply{false, message.term, true, incarnation};
    } else if (kind == "vote?") {
      message.body = VoteRequest{false, message.term, last, false, incarnation};
    } else if (kind == "pre-vote?") {
      message.body = VoteRequest{true, message.term.Next(), last, false, incarnation};
    } else if (kind == "pre-vote-no") {
      message.body = VoteReply{true, message.term.Next(), false, incarnation};
    } else if (kind == "append") {
      AppendRequest request{last, {}, Index(line.Option("commit", 0)), Index()};
      const Term term(line.Option("entry-term", message.term.value()));
      for (size_t i = 1; i < line.words.size(); ++i) {
        request.entries.push_back(Entry{Index(last.index.value() + i), term, EntryKind::kCommand,
                                        std::make_shared<const std::string>(line.words[i])});
      }
      message.body = std::move(request);
    } else if (kind == "heartbeat") {
      message.body = Heartbeat{Round(0), Index(line.Option("commit", 0)), Index()};
    } else if (kind == "append-ok") {
      message.body = AppendReply{true, last.index, Index(), EntryId{}};
    } else if (kind == "snapshot") {
      message.body = InstallSnapshot{
          SnapshotMeta{last.index, last.term, Voters(line.List("voters"), line.List("learners"))}};
    } else {
      GAVEL_CHECK(kind == "timeout-now") << "no such message:" << kind;
    }
    cluster_->network().push_back(message);
  }

  std::map<std::string, void (Scenario::*)(const Line&)> commands_;
  std::unique_ptr<Cluster> cluster_;
  std::string out_;
  size_t reported_ = 0;
};

}  // namespace

std::string RunScenario(const std::string& text) {
  Scenario scenario;
  std::string result;
  std::string transcript;
  bool in_transcript = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    if (in_transcript) {
      if (!line.empty()) continue;  // What came out the last time.
      in_transcript = false;
      absl::StrAppend(&result, "\n");
    } else if (line == "----") {
      in_transcript = true;
      absl::StrAppend(&result, "----\n", transcript);
      transcript.clear();
    } else {
      absl::StrAppend(&result, line, "\n");
      if (!line.empty() && line[0] != '#') absl::StrAppend(&transcript, scenario.Execute(line));
    }
  }
  GAVEL_CHECK(transcript.empty()) << "commands without a transcript at the end";
  while (result.size() > 1 && result.substr(result.size() - 2) == "\n\n") result.pop_back();
  return result;
}

}  // namespace gavel::raft
