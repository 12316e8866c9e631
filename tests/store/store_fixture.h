// A vault in a temporary directory, events that a ledger takes, and the hands of somebody who tampers.
#pragma once
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "ledger/checkpoint.h"
#include "store/store.h"

namespace kesu {

// "bat", 5 -> bat-00…05; "key", 5, 1 -> key-00…05.1
inline std::string id_of(std::string_view kind, unsigned number, unsigned version = 0) {
  std::string digits = std::to_string(number);
  std::string out = std::string(kind) + "-" + std::string(32 - digits.size(), '0') + digits;
  return version ? out + "." + std::to_string(version) : out;
}

inline Event genesis() {
  return {.type = "genesis",
          .nodes = {{.id = id_of("vlt", 1), .is = "open", .d = std::string(64, '0')}},
          .edges = {},
          .body = Json::object({{"organisation", "例"}})};
}
inline Event seal_intended(unsigned batch, unsigned dataset = 1) {
  std::string bat = id_of("bat", batch);
  return {.type = "seal-intended",
          .nodes = {{.id = bat, .is = "intended", .of = id_of("ds", dataset), .n = 1}},
          .edges = {{id_of("key", 1, 1), bat}},
          .body = Json::object({{"batch", static_cast<int64_t>(batch)}})};
}
inline Event finding(std::string node, std::string text) {
  return {.type = "finding-recorded",
          .nodes = {{.id = std::move(node)}},
          .edges = {},
          .body = Json::object({{"what", std::move(text)}})};
}

struct TempDir {
  TempDir() {
    std::string place =
        std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/kesu-store-XXXXXX";
    if (!::mkdtemp(place.data())) throw Error(Code::failed, "no temporary directory");
    path = place;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : vault(path_join(temp.path, "vault")) {}

  std::unique_ptr<Store> open(StoreOptions options = {}) {
    return open_sqlite_store(vault, clock, system_random(), options);
  }
  std::unique_ptr<Store> create() {
    auto store = open({.create = true});
    store->append({genesis()});
    return store;
  }

  // Runs SQL on the ledger beside kesu.
  void tamper(const std::string& sql, const std::string& file = "ledger.db") {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_join(vault, file).c_str(), &db), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << (message ? message : "");
    sqlite3_close(db);
  }

  static SavedCheckpoint checkpoint_of(Store& store) {
    Checkpoint point{"example.test/kesu/" + id_of("vlt", 1), store.size(), store.head().root()};
    return {point.size, point.text() + "\n— signature\n"};
  }

  std::vector<LedgerFinding> verify(Store& store) {
    auto blobs = [](const StoredEntry& e) {
      std::vector<std::string> out;
      if (const Json* sha = e.entry.body.find("sha")) out.push_back(sha->as_string());
      return out;
    };
    auto segments = [](const StoredEntry& e) {
      std::vector<std::pair<std::string, std::string>> out;
      if (const Json* name = e.entry.body.find("segment"))
        out.emplace_back(name->as_string(), e.entry.body.str_or("segment_sha", ""));
      return out;
    };
    return verify_store(
        store, [this](const SavedCheckpoint&) { return note_verdict; }, blobs, segments);
  }
  static std::string text_of(const std::vector<LedgerFinding>& findings) {
    std::string out;
    for (const auto& f : findings)
      out += (f.severity == Severity::note ? "note " : "") + f.what + ": " + f.why + "\n";
    return out;
  }
  // Opens and checks; expects a failure of exactly `what` whose reason has `why` in it.
  void expect_named(const std::string& what, const std::string& why) {
    auto store = open();
    auto findings = verify(*store);
    for (const auto& f : findings)
      if (f.what == what && f.why.find(why) != std::string::npos && f.severity == Severity::failure) return;
    ADD_FAILURE() << "no \"" << what << ": …" << why << "…\" in:\n" << text_of(findings);
  }

  TempDir temp;
  std::string vault;
  ManualClock clock{1795252320123};
  std::string note_verdict;
};

template <class F>
Code code_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::failed;
}

}  // namespace kesu
