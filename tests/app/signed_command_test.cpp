// Vaults whose rules ask for signed commands: no entry gets in past the check, and one that did is found.
#include "app/signed_command.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/ledger_ops.h"
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
                 .body = Json::object(
                     {{"name", "Op"},
                      {"title", ""},
                      {"public_key",
                       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"},
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

  SystemClock clock_;
  NoProviders none_;
  Environment env_{clock_, system_random(), none_, ""};
  VaultId vault_ = system_random().id<VaultId>();
  std::string person_ = system_random().id<OperatorId>().str(), directory_;
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
  {
    auto store = open_sqlite_store(directory_, clock_, system_random(), {});
    CommandStatement s;
    s.vault = vault_;
    s.organisation = "Bank";
    s.operator_id = *OperatorId::parse(person_);
    s.name = "Op";
    s.role = "operator";
    s.command = "seal";
    s.size = 1;
    s.root = s.process = std::string(64, 'a');
    s.issued = clock_.now();
    Event forged = remark();
    forged.body.set("command", Json::object({{"operator", person_},
                                             {"statement", store->put_blob(as_bytes(s.text()))},
                                             {"signature", store->put_blob(as_bytes("none"))}}));
    store->append({remark(), forged}, {});
  }
  std::map<std::string, std::string> found;
  for (const LedgerFinding& f : verify_ledger(directory_, env_).findings) found[f.what] += f.why;
  EXPECT_NE(found["entry 2"].find("names no signed command"), std::string::npos) << found["entry 2"];
  EXPECT_NE(found["entry 3"].find("is not Op's"), std::string::npos) << found["entry 3"];
}

TEST(RoleToSign, OperatorFirst) {
  EXPECT_EQ(role_to_sign("seal", {"approver", "operator"}), "operator");
  EXPECT_EQ(role_to_sign("seal", {"approver"}), "");
  EXPECT_EQ(role_to_sign("erase approve", {"approver", "auditor"}), "approver");
  EXPECT_EQ(role_to_sign("erase approve", {}), "");
}

}  // namespace
}  // namespace kesu
