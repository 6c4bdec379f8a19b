#include "tests/sim/planted_bugs.h"

namespace gavel::sim {
namespace {

constexpr PlantedBug kBugs[] = {
    {1, "the vote is not written with the term"},
    {2, "a vote is promised before it is durable"},
    {3, "votes are asked for before term and log are durable"},
    {4, "a leader counts its own entries before they are durable"},
    {5, "an append is confirmed before it is durable"},
    {6, "votes are given to candidates with shorter logs"},
    {7, "a member votes twice in a term"},
    {8, "an answer to a pre-vote counts as a vote"},
    {9, "every append cuts off what follows"},
    {10, "a leader commits through entries of earlier terms"},
    {11, "an append is taken although the entry before it has another term"},
    {12, "heartbeats name the commit index to members that have not stored so much"},
    {13, "a leader counts what it has sent as stored"},
    {14, "a forwarded proposal is taken twice"},
    {15, "reads are granted without confirmation of leadership"},
    {16, "reads are granted before an entry of the own term is committed"},
    {17, "the directory is not synced when a segment gets its name"},
    {18, "hard states without entries are not synced"},
    {19, "a failed sync of the log is ignored"},
    {20, "entries are applied before they are durable here"},
    {21, "a conflicting suffix is replaced without a record of its truncation"},
    {22, "a segment gets its name before its start is durable"},
    {23, "data and applied index are written in two batches"},
    {24, "history collection deletes versions at the compacted revision"},
    {25, "deleting several keys writes one of them again"},
    {26, "a read is served before its index is applied"},
    {27, "the comparisons of a transaction see the revision before the newest"},
    {28, "promises overtake the disk when their batch has nothing to write"},
    {29, "the log is cut although a member still needs it"},
    {30, "a proposal forwarded in an earlier term is taken", true},
    {31, "proposals are taken whatever waits already", true},
    {32, "the log is cut up to what is applied instead of what is durable"},
    {33, "files of old history are dropped before the state is durable"},
    {34, "the life of a member is not counted up at its start"},
    {35, "frames of an earlier life are taken"},
    {36, "the checksum of frames is not compared"},
    {37, "frames for other members are taken"},
    {38, "a follower commits beyond the entries it has just compared", false,
     "beyond-what-is-compared"},
    {39, "a follower confirms beyond the entries it has just compared", false,
     "beyond-what-is-compared"},
    {40, "a grant to an earlier life of the candidate is believed", false,
     "votes-for-an-earlier-life"},
    {41, "a write under way is counted for what took its entries' place"},
    {42, "a proposal is called dropped although its first copy was appended", false,
     "forwarded-twice"},
    {43, "a proposal that is in some log is called dropped at its deadline"},
    {44, "a stream that a compaction overtakes starts over in the middle"},
};

}  // namespace

std::span<const PlantedBug> PlantedBugs() { return kBugs; }

}  // namespace gavel::sim
