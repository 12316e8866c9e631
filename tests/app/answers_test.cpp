// No question is answered twice.
#include "app/answers.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

const std::string kKey = "key-" + std::string(32, 'a'), kVersion = kKey + ".1",
                  kDataset = "ds-" + std::string(32, 'b'), kBatch = "bat-" + std::string(32, 'c');

State with_version(const std::string& state) {
  State out;
  KeyRecord& key = out.keys[kKey];
  key.id = kKey;
  VersionRecord v;
  v.id = kVersion;
  v.state = state;
  key.versions.push_back(v);
  return out;
}

State with_batch(const std::string& state) {
  State out;
  BatchRecord b;
  b.id = kBatch;
  b.state = state;
  out.datasets[kDataset].id = kDataset;
  out.datasets[kDataset].batches.add(b);
  return out;
}

Event event(const std::string& type, const std::string& node) {
  return {.type = type, .nodes = {{.id = node}}};
}

bool refused(const State& state, const std::vector<Event>& events) {
  try {
    refuse_answered(state, events);
    return false;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::conflict);
    EXPECT_FALSE(e.next().empty());
    return true;
  }
}

TEST(Answers, of_a_birth) {
  for (const char* type : {"key-created", "key-abandoned"}) {
    EXPECT_FALSE(refused(with_version("intended"), {event(type, kVersion)}));
    for (const char* state : {"active", "absent", "deactivated", "destroyed"})
      EXPECT_TRUE(refused(with_version(state), {event(type, kVersion)})) << type << state;
    EXPECT_TRUE(refused(State(), {event(type, kVersion)}));
  }
}

TEST(Answers, of_a_destruction) {
  for (const char* type : {"destroy-done", "destroy-failed"}) {
    EXPECT_FALSE(refused(with_version("destroying"), {event(type, kVersion)}));
    EXPECT_TRUE(refused(with_version("destroyed"), {event(type, kVersion)}));
    EXPECT_TRUE(refused(with_version("active"), {event(type, kVersion)}));
  }
}

TEST(Answers, of_a_sealing) {
  for (const char* type : {"seal-done", "seal-abandoned"}) {
    EXPECT_FALSE(refused(with_batch("intended"), {event(type, kBatch)}));
    for (const char* state : {"sealed", "abandoned"})
      EXPECT_TRUE(refused(with_batch(state), {event(type, kBatch)})) << type << state;
  }
}

TEST(Answers, with_their_question_in_one_append) {
  EXPECT_FALSE(refused(State(), {event("key-intended", kVersion), event("key-created", kVersion)}));
  EXPECT_TRUE(refused(State(), {event("key-created", kVersion), event("key-intended", kVersion)}));
  EXPECT_TRUE(refused(State(), {event("key-intended", kKey + ".2"), event("key-created", kVersion)}));
  EXPECT_FALSE(refused(State(), {event("objects-opened", kDataset), Event{.type = "vault-opened"}}));
}

}  // namespace
}  // namespace kesu
