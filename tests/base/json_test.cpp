#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

Code code_of(std::string_view text, bool canonical = false) {
  try {
    canonical ? parse_canonical_json(text, "test") : parse_json(text, "test");
  } catch (const Error& e) {
    return e.code();
  }
  return Code::failed;  // meaning: accepted
}

TEST(Json, CanonicalOrdersByUtf16AndEscapesAsRfc8785) {
  Json v = Json::object(
      {{"\xef\xac\xb3", 1}, {"\xf0\x9f\x98\x80", 2}, {"a", "\x01\n\"\\\x7f"}, {"1", nullptr == nullptr}});
  // U+1F600 is D83D DE00 in UTF-16 and so sorts before U+FB33.
  EXPECT_EQ(v.canonical(),
            "{\"1\":true,\"a\":\"\\u0001\\n\\\"\\\\\x7f\",\"\xf0\x9f\x98\x80\":2,\"\xef\xac\xb3\":1}");
}

TEST(Json, RefusesWhatCanHideMeaning) {
  EXPECT_EQ(code_of(R"({"a":1,"a":2})"), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":1.5})"), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":1e3})"), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":9007199254740992})"), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":1}x)"), Code::bad_input);
  EXPECT_EQ(code_of("{\"a\":\"\xc3\x28\"}"), Code::bad_input);
  EXPECT_EQ(code_of(std::string(100, '[') + std::string(100, ']')), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":9007199254740991,"b":[-1,null,true,"x"]})"), Code::failed);
}

TEST(Json, CanonicalReaderRefusesOtherSpellings) {
  EXPECT_EQ(code_of(R"({"a":1,"b":2})", true), Code::failed);
  EXPECT_EQ(code_of(R"({"b":2,"a":1})", true), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a": 1})", true), Code::bad_input);
  EXPECT_EQ(code_of(R"({"a":"\u0041"})", true), Code::bad_input);
}

TEST(Json, NamesAreBytes) {
  EXPECT_EQ(name_to_json("髙﨑").canonical(), "\"髙﨑\"");
  EXPECT_EQ(name_to_json("\xff").canonical(), R"({"b64":"/w=="})");
  EXPECT_EQ(name_from_json(name_to_json("\xff\xfe")), "\xff\xfe");
}

}  // namespace
}  // namespace kesu
