#include "client/ctl/txn_text.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct GoodCompare {
  std::string line;
  CompareTarget target;
  CompareResult result;
  std::string key;
  int64_t number;
  std::string value;
};

class CompareTest : public testing::TestWithParam<GoodCompare> {};

TEST_P(CompareTest, IsReadAsEtcdctlReadsIt) {
  const Line<Compare> read = ParseCompare(GetParam().line);
  ASSERT_TRUE(std::holds_alternative<Compare>(read)) << std::get<LineError>(read).message;
  const Compare& compare = std::get<Compare>(read);
  EXPECT_EQ(compare.target, GetParam().target);
  EXPECT_EQ(compare.result, GetParam().result);
  EXPECT_EQ(compare.range, KeyRange(GetParam().key));
  EXPECT_EQ(compare.number, GetParam().number);
  EXPECT_EQ(compare.value, GetParam().value);
}

INSTANTIATE_TEST_SUITE_P(
    Grammar, CompareTest,
    testing::Values(
        GoodCompare{R"(mod("k") = "7")", CompareTarget::kMod, CompareResult::kEqual, "k", 7, ""},
        GoodCompare{R"(m("k") > "0")", CompareTarget::kMod, CompareResult::kGreater, "k", 0, ""},
        GoodCompare{R"(ver("k") < "3")", CompareTarget::kVersion, CompareResult::kLess, "k", 3, ""},
        GoodCompare{R"(version("k") != "3")", CompareTarget::kVersion, CompareResult::kNotEqual,
                    "k", 3, ""},
        GoodCompare{R"(c("k") = "-1")", CompareTarget::kCreate, CompareResult::kEqual, "k", -1, ""},
        GoodCompare{R"(create("k") = "1")", CompareTarget::kCreate, CompareResult::kEqual, "k", 1,
                    ""},
        GoodCompare{R"(val("k") = "1")", CompareTarget::kValue, CompareResult::kEqual, "k", 0, "1"},
        GoodCompare{R"(value("a b\n") = "x \"y\"")", CompareTarget::kValue, CompareResult::kEqual,
                    "a b\n", 0, "x \"y\""},
        GoodCompare{R"(lease("k") = "7f")", CompareTarget::kLease, CompareResult::kEqual, "k", 127,
                    ""},
        GoodCompare{R"(   mod( "k")   =   "7"   )", CompareTarget::kMod, CompareResult::kEqual, "k",
                    7, ""},
        GoodCompare{R"(mod("k")="7")", CompareTarget::kMod, CompareResult::kEqual, "k", 7, ""},
        GoodCompare{"value(`raw\\n`) = `x`", CompareTarget::kValue, CompareResult::kEqual, "raw\\n",
                    0, "x"},
        GoodCompare{R"(value("a)(") = "")", CompareTarget::kValue, CompareResult::kEqual, "a)(", 0,
                    ""},
        GoodCompare{R"(value("\xff\u00fc") = "\000")", CompareTarget::kValue, CompareResult::kEqual,
                    "\xff\xc3\xbc", 0, std::string(1, '\0')}));

struct BadLine {
  std::string line;
  size_t column;
  std::string message;
};

// What is tried after the error that `text` has; all errors of a transaction have something.
std::string HintOf(const std::string& text) {
  const Expected<Txn> txn = ParseTxn(text, "t");
  return txn.ok() ? "no error" : txn.failure().hint;
}

class BadCompareTest : public testing::TestWithParam<BadLine> {};

TEST_P(BadCompareTest, IsRefusedWithItsColumn) {
  const Line<Compare> read = ParseCompare(GetParam().line);
  ASSERT_TRUE(std::holds_alternative<LineError>(read)) << GetParam().line;
  EXPECT_EQ(std::get<LineError>(read).column, GetParam().column) << GetParam().line;
  EXPECT_THAT(std::get<LineError>(read).message, HasSubstr(GetParam().message));
  EXPECT_NE(std::get<LineError>(read).hint, "") << GetParam().line;
  EXPECT_EQ(HintOf(GetParam().line + "\n\n\n\n"), std::get<LineError>(read).hint);
}

INSTANTIATE_TEST_SUITE_P(
    Grammar, BadCompareTest,
    testing::Values(BadLine{R"(modd("k") = "7")", 1, "unknown target \"modd\""},
                    BadLine{R"(  x)", 3, "unknown target \"x\""},
                    BadLine{R"(mod "k" = "7")", 4, "expected ( after mod"},
                    BadLine{R"(mod(k) = "7")", 5, "the key in double quotes"},
                    BadLine{R"(mod("k) = "7")", 12, "or is a quote missing?"},
                    BadLine{R"(mod("k)", 5, "a closing \" is missing before the end of the line"},
                    BadLine{R"(mod("k") = "7)", 12, "a closing \" is missing"},
                    BadLine{R"(mod("k") = "7\")", 12, "a closing \" is missing"},
                    BadLine{"mod(`k) = \"7\"", 5, "a closing ` is missing"},
                    BadLine{R"(val("k") = "\x4")", 13, "no escape begins with \"\\\\x\""},
                    BadLine{R"(mod("k" = "7")", 8, "expected )"},
                    BadLine{R"(mod("k") == "7")", 10, "unknown comparison \"==\""},
                    BadLine{R"(mod("k") ~ "7")", 10, "unknown comparison \"~\""},
                    BadLine{R"(mod("k"))", 9, "unknown comparison"},
                    BadLine{R"(mod("k") = 7)", 12, "numbers are quoted too"},
                    BadLine{R"(mod("k") =)", 11, "expected a value"},
                    BadLine{R"(mod("k") = "seven")", 12, "is no number"},
                    BadLine{R"(mod("k") = "9223372036854775808")", 12, "is no number"},
                    BadLine{R"(lease("k") = "xyz")", 14, "no hexadecimal number"},
                    BadLine{R"(mod("k") = "7" "8")", 16, "unexpected text"},
                    BadLine{"value(\"\xc3\xbc\") ? \"7\"", 12, "unknown comparison"}));

template <class T>
T Request(const std::string& line) {
  const Line<Op> read = ParseRequest(line);
  if (const LineError* error = std::get_if<LineError>(&read)) {
    ADD_FAILURE() << line << ": " << error->message;
    return {};
  }
  const T* request = std::get_if<T>(&std::get<Op>(read).request);
  if (request == nullptr) ADD_FAILURE() << line << ": another request";
  return request == nullptr ? T() : *request;
}

TEST(TxnRequestTest, WordsAreBareOrQuoted) {
  EXPECT_EQ(Request<PutRequest>("put a 1").value, "1");
  EXPECT_EQ(Request<PutRequest>(R"(put "a b" "x\ny")").key, "a b");
  EXPECT_EQ(Request<PutRequest>(R"(put "a b" "x\ny")").value, "x\ny");
  EXPECT_EQ(Request<PutRequest>(R"(put k '{"json": "x\n"}')").value, R"({"json": "x\n"})");
  EXPECT_EQ(Request<PutRequest>(R"(put k"x" v'y)").key, R"(k"x")");
  EXPECT_EQ(Request<PutRequest>("put k ''").value, "");
  EXPECT_EQ(Request<PutRequest>("\tput   k\tv  \r").value, "v");
}

TEST(TxnRequestTest, FlagsAreThoseOfTheCommands) {
  EXPECT_EQ(Request<PutRequest>("put --lease=7f k v").lease, 127);
  EXPECT_TRUE(Request<PutRequest>("put k v --prev-kv").prev_kv);
  EXPECT_TRUE(Request<PutRequest>("put k --ignore-value").ignore_value);
  EXPECT_EQ(Request<PutRequest>("put -- --prefix -x").key, "--prefix");
  EXPECT_EQ(Request<RangeRequest>("get k --prefix").range, KeyRange::Prefix("k"));
  EXPECT_EQ(Request<RangeRequest>("get a c --limit 2 --order DESCEND").limit, 2);
  EXPECT_EQ(Request<RangeRequest>("get a c").range, KeyRange("a", "c"));
  EXPECT_EQ(Request<RangeRequest>("get '' --from-key").range, KeyRange::All());
  EXPECT_EQ(Request<DeleteRequest>("del k --prefix").range, KeyRange::Prefix("k"));
  EXPECT_TRUE(Request<DeleteRequest>("del k --prev-kv").prev_kv);
  EXPECT_EQ(Request<RangeRequest>("g k").range, KeyRange("k"));
}

class BadRequestTest : public testing::TestWithParam<BadLine> {};

TEST_P(BadRequestTest, IsRefusedWithItsColumn) {
  const Line<Op> read = ParseRequest(GetParam().line);
  ASSERT_TRUE(std::holds_alternative<LineError>(read)) << GetParam().line;
  EXPECT_EQ(std::get<LineError>(read).column, GetParam().column) << GetParam().line;
  EXPECT_THAT(std::get<LineError>(read).message, HasSubstr(GetParam().message));
  EXPECT_NE(std::get<LineError>(read).hint, "") << GetParam().line;
  EXPECT_EQ(HintOf("\n" + GetParam().line + "\n\n\n"), std::get<LineError>(read).hint);
}

INSTANTIATE_TEST_SUITE_P(
    Grammar, BadRequestTest,
    testing::Values(BadLine{"putt k v", 1, "unknown request \"putt\""},
                    BadLine{"  foo a b", 3, "unknown request \"foo\""},
                    BadLine{"put k", 1, "put needs a key and a value"},
                    BadLine{"put", 1, "put command needs"}, BadLine{"put k v w", 1, "not 3"},
                    BadLine{"get", 1, "get command needs"},
                    BadLine{R"(put k "v)", 7, "a closing \" is missing"},
                    BadLine{"put k 'v", 7, "a closing ' is missing"},
                    BadLine{R"(put k "\q")", 8, "no escape begins with \"\\\\q\""},
                    BadLine{"put k v --bogus", 9, "unknown flag: --bogus"},
                    BadLine{"get k --limit=x", 7, "\"--limit\""},
                    BadLine{"get a b --prefix", 1, "too many arguments"},
                    BadLine{"get k --order=up", 1, "bad sort order"},
                    BadLine{"put k v --lease=zz", 1, "bad lease ID"},
                    BadLine{"put \xc3\xbc \"x", 7, "does not end"},
                    BadLine{"del k --help", 7, "no place"}));

TEST(TxnTextTest, ThreeListsMakeATransaction) {
  const Expected<Txn> txn =
      ParseTxn("mod(\"a\") = \"1\"\nmod(\"b\") = \"2\"\n\nput a 1\nget b\n\n del b\n\n", "t");
  ASSERT_TRUE(txn.ok()) << txn.failure().message;
  EXPECT_EQ(txn->compares.size(), 2u);
  EXPECT_EQ(txn->success.size(), 2u);
  EXPECT_EQ(txn->failure.size(), 1u);
  const Expected<Txn> empty = ParseTxn("\n\n\n", "t");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->compares.empty());
  EXPECT_TRUE(ParseTxn("\r\n  \r\n\t\n\n\n", "t").ok());
}

TEST(TxnTextTest, ErrorsNameFileLineAndColumn) {
  const Expected<Txn> txn = ParseTxn("\nput a 1\nput b\n\n\n", "file.txn");
  ASSERT_FALSE(txn.ok());
  EXPECT_EQ(txn.failure().code, ExitCode::kInvalidInput);
  EXPECT_THAT(txn.failure().message, HasSubstr("file.txn: line 3, column 1: "));
}

TEST(TxnTextTest, HintsSayWhatIsWantedThere) {
  EXPECT_THAT(HintOf("modd(\"k\") = \"1\"\n\n\n\n"), StartsWith("A compare is such as mod("));
  EXPECT_THAT(HintOf("lease(\"k\") = \"x\"\n\n\n\n"), HasSubstr("'gavelctl lease list'"));
  EXPECT_THAT(HintOf("mod(\"k\") = \"1\" \"2\"\n\n\n\n"), HasSubstr("a line of its own"));
  EXPECT_THAT(HintOf("\nfoo\n\n\n"), StartsWith("A request is put <key> <value>, get"));
  EXPECT_THAT(HintOf("\nput\n\n\n"), StartsWith("It is put <key> <value>"));
  EXPECT_THAT(HintOf("\nget\n\n\n"), StartsWith("It is get <key> [range_end]"));
  EXPECT_THAT(HintOf("\ndel\n\n\n"), StartsWith("It is del <key> [range_end]"));
  EXPECT_THAT(HintOf("\nget a b --prefix\n\n\n"), HasSubstr("--from-key"));
  EXPECT_THAT(HintOf("\nget a --limti=1\n\n\n"), HasSubstr("Did you mean --limit?"));
  EXPECT_THAT(HintOf("\nput \"a\n\n\n"), StartsWith("Within double quotes"));
  for (const char* lists : {"\n", "\n\n\nput a 1\n"}) {
    EXPECT_THAT(HintOf(lists), StartsWith("Each of the three lists is ended by an empty line"));
  }
}

// Half of a transaction is another transaction.
TEST(TxnTextTest, ATextThatIsCutOffIsRefused) {
  const std::string whole = "mod(\"a\") = \"1\"\n\nput a 1\n\nput b 2\n\n";
  ASSERT_TRUE(ParseTxn(whole, "t").ok());
  for (size_t length = 0; length < whole.size(); ++length) {
    const Expected<Txn> txn = ParseTxn(whole.substr(0, length), "t");
    ASSERT_FALSE(txn.ok()) << length;
    EXPECT_EQ(txn.failure().code, ExitCode::kInvalidInput);
  }
  const Expected<Txn> more = ParseTxn(whole + "put c 3\n", "t");
  ASSERT_FALSE(more.ok());
  EXPECT_THAT(more.failure().message, HasSubstr("line 7, column 1: unexpected text"));
}

// One line at a time, as a person types; an error leaves the transaction as it was.
TEST(TxnTextTest, AnErrorLeavesTheReaderWhereItWas) {
  TxnReader reader;
  EXPECT_TRUE(reader.Take("nonsense"));
  EXPECT_FALSE(reader.Take("mod(\"a\") = \"1\""));
  EXPECT_EQ(reader.section(), TxnReader::Section::kCompares);
  EXPECT_FALSE(reader.Take(""));
  EXPECT_TRUE(reader.Take("put a"));
  EXPECT_FALSE(reader.Take("put a 1"));
  EXPECT_FALSE(reader.Take(""));
  EXPECT_FALSE(reader.Take(""));
  EXPECT_EQ(reader.section(), TxnReader::Section::kDone);
  EXPECT_EQ(reader.txn().compares.size(), 1u);
  EXPECT_EQ(reader.txn().success.size(), 1u);
  EXPECT_EQ(reader.line_number(), 7u);
}

}  // namespace
}  // namespace gavel::client::ctl
