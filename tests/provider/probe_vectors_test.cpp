// tests/vectors/probe: one request, and answers of which only one bears out that the key is absent.
#include <gtest/gtest.h>

#include <map>

#include "base/files.h"
#include "provider/probe.h"

namespace kesu {
namespace {

Json vector_file(const std::string& name) {
  std::string text = to_text(read_file(std::string(KESU_VECTORS) + "/probe/" + name));
  EXPECT_TRUE(text.ends_with('\n'));
  text.pop_back();
  return parse_canonical_json(text, name);
}

TEST(ProbeVectors, OnlyOneAnswerBearsOutAbsent) {
  Json request = vector_file("request.json");
  EXPECT_EQ(ProbeRequest::from_json(request).to_json(), request);
  const std::map<std::string, std::string> why = {
      {"answer-absent.json", "nothing carries its label"},
      {"answer-not-all-tried.json", "not every key that is left was tried"},
      {"answer-no-control.json", "the control key did not show"},
      {"answer-check-value-left.json", "its check value is on another object"},
      {"answer-error.json", "the inspection failed"},
      {"answer-other-word.json", "the probe said unknown, its record says absent"}};
  size_t seen = 0;
  for (const std::string& name : list_directory(std::string(KESU_VECTORS) + "/probe")) {
    if (name == "request.json") continue;
    Json answer = vector_file(name);
    EXPECT_EQ(ProbeReport::from_json(answer).to_json(), answer) << name;
    ProbeReport report = read_probe(ProbeTranscript{request, answer, 0, "", false});
    ASSERT_EQ(report.keys.size(), 1u);
    EXPECT_EQ(report.keys[0].answer,
              name == "answer-absent.json" ? ProbeAnswer::absent : ProbeAnswer::unknown);
    ASSERT_TRUE(why.contains(name)) << name;
    EXPECT_NE(report.keys[0].why.find(why.at(name)), std::string::npos) << name << ": " << report.keys[0].why;
    ++seen;
  }
  EXPECT_EQ(seen, why.size());
}

}  // namespace
}  // namespace kesu
