// kesu copy share; kesu key restore
#include "app/copies.h"
#include "app/key_restore.h"
#include "app/key_share.h"

#include "../context.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
struct Options {
  std::string key;
  uint32_t version = 0;
  ShareOrder share;
  RestoreOrder restore;
};
}  // namespace

void setup_copy_share(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "share",
      "give a key of a keystore file to custodians in shares, so many of which bring it back; each is a "
      "registered, open copy before its file is there\n\n  kesu copy share loans --to sato.pem --to mori.pem "
      "--to ueda.pem --threshold 2 -o /mnt/shares");
  cmd->add_option("KEY", o->key, "a key (its active version), or one version as in loans.2")->required();
  cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
  cmd->add_option("--to", o->share.certificates,
                  "a custodian's RSA certificate in PEM, 3,072 bits or more; once for each custodian")
      ->required();
  cmd->add_option("--threshold", o->share.threshold, "how many shares bring the key back, from 2")
      ->required();
  cmd->add_option("-o,--output", o->share.directory, "a directory that is not there yet, or empty")
      ->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    o->share.which = find_key_word(v, o->key, o->version);
    const SharesMade made = share_key(v, o->share);
    v.checkpoint();
    const std::string name = version_name(v.state(), *v.state().version(made.version));
    Json shares(Json::Array{});
    Table t({"SHARE", "COPY", "CUSTODIAN", "CERTIFICATE", "FILE"});
    for (const ShareMade& s : made.shares) {
      shares.push(Json::object({{"index", s.index},
                                {"copy", s.copy},
                                {"custodian", s.custodian},
                                {"certificate", s.certificate},
                                {"file", s.file},
                                {"sha256", s.sha256}}));
      t.add({std::to_string(s.index), brief(s.copy), s.custodian, s.certificate.substr(0, 16), s.file});
    }
    c.show(
        Json::object({{"version", made.version},
                      {"name", name},
                      {"set", made.set},
                      {"threshold", o->share.threshold},
                      {"shares", shares}}),
        "Key version " + name + " in " + std::to_string(made.shares.size()) + " shares, any " +
            std::to_string(o->share.threshold) + " of which bring it back\n" + t.str() +
            "Each is an open copy: no erasure of what the key reaches can run before all have ended (kesu "
            "copy destroy)\nnext   to each custodian their file; there: openssl cms -decrypt -binary -inform "
            "DER -in FILE -inkey KEY -out SHARE\n");
  });
}

void setup_key_restore(CLI::App& group, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand("restore",
                                       "put a key back to its keystore from custodians' shares, decrypted by "
                                       "them; what was destroyed does not "
                                       "come back\n\n  kesu key restore loans.1 --share share-1 --share "
                                       "share-3 --custodian \"Ichiro Tanaka\"");
  cmd->add_option("KEY", o->key, "a key, or one version as in loans.2")->required();
  cmd->add_option("--version", o->version, "which version")->check(CLI::PositiveNumber);
  cmd->add_option("--share", o->restore.shares,
                  "a decrypted share: a file of mode 600, or fd:N; once for each")
      ->required();
  cmd->add_option("--custodian", o->restore.custodian,
                  "who answers for these plain shares: they are a registered copy from now on")
      ->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    o->restore.which = find_key_word(v, o->key, o->version);
    const Restored done = restore_key(v, o->restore);
    v.checkpoint();
    const std::string name = version_name(v.state(), *v.state().version(done.version));
    const std::string& provider = v.state().providers.at(done.provider).name;
    Json indices(Json::Array{});
    for (int i : done.indices) indices.push(i);
    c.show(Json::object({{"version", done.version},
                         {"name", name},
                         {"provider", provider},
                         {"set", done.set},
                         {"shares", indices},
                         {"copy", done.copy}}),
           "Key version " + name + " is in provider " + provider + " again\nThe plain shares are copy " +
               brief(done.copy) + ", open: destroy them\nnext   kesu copy destroy " + brief(done.copy) +
               " --how TEXT --as PERSON\n");
  });
}

}  // namespace kesu::cli
