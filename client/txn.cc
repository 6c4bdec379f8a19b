#include "client/txn.h"

#include <algorithm>
#include <utility>

namespace gavel::client {

Compare::NumberSubject Compare::Version(KeyRange range) {
  return NumberSubject(CompareTarget::kVersion, std::move(range));
}
Compare::NumberSubject Compare::CreateRevision(KeyRange range) {
  return NumberSubject(CompareTarget::kCreate, std::move(range));
}
Compare::NumberSubject Compare::ModRevision(KeyRange range) {
  return NumberSubject(CompareTarget::kMod, std::move(range));
}
Compare::NumberSubject Compare::Lease(KeyRange range) {
  return NumberSubject(CompareTarget::kLease, std::move(range));
}
Compare::ValueSubject Compare::Value(KeyRange range) { return ValueSubject(std::move(range)); }

Compare Compare::Exists(std::string_view key) { return Version(key).Greater(0); }
Compare Compare::Missing(std::string_view key) { return CreateRevision(key).Equal(0); }

Compare Compare::NumberSubject::Make(CompareResult how, int64_t to) const {
  return Compare{.target = target_, .result = how, .range = range_, .number = to};
}

Compare Compare::ValueSubject::Make(CompareResult how, std::string_view to) const {
  return Compare{
      .target = CompareTarget::kValue, .result = how, .range = range_, .value = std::string(to)};
}

Txn& Txn::If(Compare compare) {
  compares.push_back(std::move(compare));
  return *this;
}
Txn& Txn::Then(Op op) {
  success.push_back(std::move(op));
  return *this;
}
Txn& Txn::Else(Op op) {
  failure.push_back(std::move(op));
  return *this;
}

bool Txn::read_only() const {
  const auto reads = [](const Op& op) {
    if (const Txn* txn = std::get_if<Txn>(&op.request)) return txn->read_only();
    return std::holds_alternative<RangeRequest>(op.request);
  };
  return std::all_of(success.begin(), success.end(), reads) &&
         std::all_of(failure.begin(), failure.end(), reads);
}

}  // namespace gavel::client
