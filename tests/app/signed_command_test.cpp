// Vaults whose rules ask for signed commands: no entry gets in past the check, and one that did is found.
#include "app/signed_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "app/ledger_ops.h"
#include "app/people.h"
#include "base/files.h"
#include "crypto/random.h"

namespace kesu {
namespace {

struct NoProviders : ProviderFactory {
  std::unique_ptr<Provider> open(const std::string& uri) override { throw Error(Code::failed, uri); }
};

class SignedCommands : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "kesu-signed-" + system_random().id<VaultId>().str();
    make_directories(directory_, 0700);
    key_ = path_join(directory_, "op");
    const std::string make = "ssh-keygen -q -t ed25519 -N '' -C '' -f " + key_;
    ASSERT_EQ(std::system(make.c_str()), 0);
    std::string line = to_text(read_file(key_ + ".pub", 4096));
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    write_file_durable(path_join(directory_, "kesu.toml"), as_bytes(config_text(vault_, "Bank")), 0600);
    auto store = open_sqlite_store(directory_, clock_, system_random(), {.create = true});
    Event genesis{.type = "genesis",
                  .nodes = {{.id = vault_.str(), .is = "open", .d = std::string(64, '1')}},
                  .body = Json::object({{"organisation", "Bank"},
                                        {"origin", "bank.example"},
                                        {"profile", "low"},
                                        {"statement", std::string(64, '1')},
                                        {"quorum", 1},
                                        {"waiting_seconds", 0},
                                        {"signed_commands", true}})};
    Event person{.type = "operator-enrolled",
                 .nodes = {{.id = person_, .is = "enrolled"}},
                 .body = Json::object({{"name", "Op"},
                                       {"title", ""},
                                       {"public_key", line},
                                       {"fingerprint", "f"},
                                       {"roles", Json::array({"operator"})}})};
    store->append({genesis, person}, {});
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Event remark() {
    return {.type = "finding-recorded",
            .nodes = {{.id = vault_.str()}},
            .body = Json::object({{"what", "odd"}, {"detail", "x"}})};
  }

  // What it takes for an entry of `seal`, signed now by whom it names.
  CommandStatement statement(Store& store) {
    CommandStatement s;
    s.vault = vault_;
    s.organisation = "Bank";
    s.operator_id = *OperatorId::parse(person_);
    s.name = "Op";
    s.role = "operator";
    s.command = "seal";
    const TreeHead head = store.head();
    s.size = head.size();
    s.root = hex(head.root());
    s.process = std::string(64, 'a');
    s.issued = clock_.now();
    return s;
  }
  // An entry that names it, past every check.
  void append(Store& store, const std::string& text, const std::string& armored) {
    Event e = remark();
    e.body.set("command", Json::object({{"operator", person_},
                                        {"statement", store.put_blob(as_bytes(text))},
                                        {"signature", store.put_blob(as_bytes(armored))}}));
    store.append({e}, {});
  }
  std::string signature(const std::string& text, std::string_view name_space = kCommandNamespace) {
    return ssh_sign(text, key_, std::string(name_space));
  }
  std::map<std::string, std::string> found() {
    std::map<std::string, std::string> out;
    for (const LedgerFinding& f : verify_ledger(directory_, env_).findings)
      if (f.what.starts_with("entry ")) out[f.what] += f.why;
    return out;
  }

  SystemClock clock_;
  NoProviders none_;
  Environment env_{clock_, system_random(), none_, ""};
  VaultId vault_ = system_random().id<VaultId>();
  std::string person_ = system_random().id<OperatorId>().str(), directory_, key_;
};

TEST_F(SignedCommands, NothingIsAppendedWithoutOne) {
  Vault vault(directory_, env_, Access::write);
  try {
    vault.append({remark()}, {});
    FAIL() << "appended";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::command_unsigned);
  }
  EXPECT_EQ(vault.store().size(), 2u);
}

TEST_F(SignedCommands, NobodyNamedOpensNothingForWriting) {
  env_.command = CommandOrder{.command = "key create", .named = {}, .person = "", .key_file = "", .made = {}};
  EXPECT_THROW(Vault(directory_, env_, Access::write), Error);
  Vault reading(directory_, env_, Access::read);
  EXPECT_EQ(reading.state().size, 2u);
}

TEST_F(SignedCommands, WhatGotInPastTheCheckIsFound) {
  struct Row {
    const char* why;  // "": nothing is found
    std::function<void(CommandStatement&)> edit;
  };
  const Row rows[] = {
      {"", [](CommandStatement&) {}},
      {"",
       [](CommandStatement& s) { s.command = "erase approve", s.about = {"era-" + std::string(32, '1')}; }},
      {"when the ledger was longer", [](CommandStatement& s) { s.size += 1; }},
      {"for another ledger of", [](CommandStatement& s) { s.root = std::string(64, 'b'); }},
      {"within 24 hours", [](CommandStatement& s) { s.issued -= kMaxCommandLife + 1000; }},
      {"within 24 hours", [](CommandStatement& s) { s.issued += 60'000; }},
      {"takes the role operator", [](CommandStatement& s) { s.role = "auditor"; }},
      {"could not", [](CommandStatement& s) { s.command = "erase approve", s.role = "approver"; }},
      {"another person or vault", [](CommandStatement& s) { s.vault = system_random().id<VaultId>(); }},
      {"another person or vault", [](CommandStatement& s) { s.organisation = "Other Bank"; }},
      {"another person or vault", [](CommandStatement& s) { s.name = "Po"; }},
      {"another person or vault",
       [](CommandStatement& s) { s.operator_id = system_random().id<OperatorId>(); }},
  };
  uint64_t seq = 2;
  {
    auto store = open_sqlite_store(directory_, clock_, system_random(), {});
    for (const Row& row : rows) {
      CommandStatement s = statement(*store);
      row.edit(s);
      append(*store, s.text(), signature(s.text()));
    }
  }
  const auto why = found();
  for (const Row& row : rows) {
    const std::string what = "entry " + std::to_string(seq++);
    const std::string said = why.contains(what) ? why.at(what) : "";
    EXPECT_EQ(said.empty(), std::string(row.why).empty()) << what << ": " << said;
    EXPECT_NE(said.find(row.why), std::string::npos) << what << ": " << said;
  }
}

TEST_F(SignedCommands, WhatIsNotSignedForThisIsFound) {
  {
    auto store = open_sqlite_store(directory_, clock_, system_random(), {});
    store->append({remark()}, {});
    const CommandStatement s = statement(*store);
    append(*store, s.text(), "none");
    append(*store, s.text(), signature(s.text() + " "));
    append(*store, s.text(), signature(s.text(), "kesu-approve-v1"));
    append(*store, s.text() + " ", signature(s.text() + " "));
  }
  auto why = found();
  EXPECT_NE(why["entry 2"].find("names no signed command"), std::string::npos) << why["entry 2"];
  for (const char* what : {"entry 3", "entry 4", "entry 5"})
    EXPECT_NE(why[what].find("is not Op's"), std::string::npos) << what << why[what];
  EXPECT_NE(why["entry 6"].find("cannot be read"), std::string::npos) << why["entry 6"];
}

TEST(RoleToSign, OperatorFirst) {
  EXPECT_EQ(role_to_sign("seal", {"approver", "operator"}), "operator");
  EXPECT_EQ(role_to_sign("seal", {"approver"}), "");
  EXPECT_EQ(role_to_sign("erase approve", {"approver", "auditor"}), "approver");
  EXPECT_EQ(role_to_sign("erase approve", {}), "");
}

}  // namespace
}  // namespace kesu
