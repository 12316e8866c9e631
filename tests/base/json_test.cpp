#include "base/json.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

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

// The general reader: a space behind the text keeps the reader of canonical text from taking it.
std::optional<Json> by_the_general_reader(const std::string& text) {
  try {
    Json v = parse_json(text + " ", "test");
    if (v.canonical() == text) return v;
  } catch (const Error&) {
  }
  return std::nullopt;
}

class Texts {
 public:
  explicit Texts(uint32_t seed) : random_(seed) {}
  size_t below(size_t n) { return random_() % n; }
  std::string text() {
    static const std::string kPieces[] = {"",
                                          "a",
                                          "b",
                                          "\x01",
                                          "\x1f",
                                          "\"",
                                          "\\",
                                          "\n",
                                          "/",
                                          "\x7f",
                                          "\xc3\xa9",
                                          "id",
                                          "\t",
                                          "u00",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f\x98\x80",
                                          "\xef\xac\xb3",
                                          std::string(1, '\0')};
    std::string out;
    for (size_t n = below(4); n > 0; --n) out += kPieces[below(std::size(kPieces))];
    return out;
  }
  Json value(int depth) {
    switch (below(depth > 0 ? 8 : 6)) {
      case 0:
        return Json();
      case 1:
        return Json(below(2) == 0);
      case 2:
        return Json(static_cast<int64_t>(random_()) - (int64_t{1} << 31));
      case 3:
        return Json(int64_t{9007199254740991} * (below(2) ? 1 : -1));
      case 4:
      case 5:
        return Json(text());
      case 6: {
        Json out(Json::Array{});
        for (size_t n = below(4); n > 0; --n) out.push(value(depth - 1));
        return out;
      }
      default: {
        Json out(Json::Object{});
        for (size_t n = below(5); n > 0; --n) out.set(text(), value(depth - 1));
        return out;
      }
    }
  }
  // One to three small changes of bytes, mostly to what means something in JSON.
  std::string changed(std::string text) {
    static constexpr char kLiteral[] =
        "{}[]\",:0123456789-+.eEtfnu\\/ \t\n\0\x01\x7f\x80\xc3\xa9\xed\xa0\xff";
    static const std::string kBytes(kLiteral, sizeof kLiteral - 1);
    for (size_t n = 1 + below(3); n > 0 && !text.empty(); --n) {
      const size_t at = below(text.size());
      const char byte = kBytes[below(kBytes.size())];
      switch (below(5)) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        case 2:
          text.erase(at, 1 + below(3));
          break;
        case 3:
          text.insert(at, text.substr(below(text.size()), below(12)));
          break;
        default:
          text.resize(at);
      }
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

// Both readers of canonical text, the one that builds and the one that only looks, are as strict as the
// general reader and a comparison with what it would write.
TEST(Json, ReadersOfCanonicalTextAgree) {
  Texts texts(20261121);
  size_t good = 0, bad = 0;
  auto agree = [&](const std::string& text) {
    const auto general = by_the_general_reader(text);
    std::optional<Json> built;
    try {
      built = parse_canonical_json(text, "test");
    } catch (const Error&) {
    }
    ASSERT_EQ(general.has_value(), built.has_value()) << text;
    if (general) {
      ASSERT_EQ(*general, *built) << text;
    }
    ASSERT_EQ(is_canonical_json_object(text), general && general->is_object()) << text;
    ++(general ? good : bad);
  };
  for (int i = 0; i < 60000; ++i) {
    const std::string text = texts.value(5).canonical();
    ASSERT_NO_FATAL_FAILURE(agree(text));
    ASSERT_NO_FATAL_FAILURE(agree(texts.changed(text)));
  }
  EXPECT_GT(good, 60000u);
  EXPECT_GT(bad, 30000u);
  for (const char* text : {"",
                           "-0",
                           "-",
                           "01",
                           "0",
                           "\"\\u001F\"",
                           "\"\\u001f\"",
                           "\"\\u000a\"",
                           "\"\\/\"",
                           "\"\\u0020\"",
                           "{\"\\u0001\":1,\"\\u0001\":2}",
                           "{\"\\u0001\":1,\"\\u0002\":2}",
                           "{,}",
                           "[1,]",
                           "{\"a\":}",
                           "\xef\xbb\xbf{}",
                           "tru",
                           "nulll",
                           "{\"a\"",
                           "\"",
                           "\"\\",
                           "\"\\u",
                           "\"\\u00",
                           "\"\\u001"})
    ASSERT_NO_FATAL_FAILURE(agree(text));
  for (int depth : {31, 32, 33})
    ASSERT_NO_FATAL_FAILURE(
        agree(std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']')));
}

}  // namespace
}  // namespace kesu
