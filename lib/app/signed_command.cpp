#include "app/signed_command.h"

#include <algorithm>
#include <set>

#include "app/actor.h"
#include "app/people.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
// Between the check and the commit others may be writing.
constexpr Millis kMinute = 60'000;
constexpr Millis kSignAnew = kMaxCommandLife - 3600 * 1000;

Error unsigned_command(const std::string& why) {
  return Error(Code::command_unsigned, why)
      .next("--operator NAME with an agent, or --operator-key FILE (KESU_OPERATOR, KESU_OPERATOR_KEY)");
}

// The public half of a key file, if it can be had without its passphrase.
std::optional<SshPublicKey> public_half(const std::string& key_file) {
  for (const std::string& name : {key_file, key_file + ".pub"})
    if (auto file = read_file_if_there(name, 65536)) try {
        std::string line = to_text(*file);
        return SshPublicKey::parse_line(line.substr(0, line.find('\n')));
      } catch (const Error&) {  // the private half
      }
  return std::nullopt;
}

const OperatorRecord& person_of(Vault& vault, const CommandOrder& order) {
  if (!order.person.empty()) return vault.find_operator(order.person);
  const std::string what = "the commands of this vault are signed by their operators";
  if (order.key_file.empty()) throw unsigned_command("who runs this? " + what);
  const auto key = public_half(order.key_file);
  if (!key)
    throw unsigned_command("whose key is " + order.key_file + "? " + what)
        .cause("there is no such key file, or no .pub beside it");
  for (const auto& [id, person] : vault.state().operators)
    if (person.fingerprint == key->fingerprint()) return person;
  throw Error(Code::not_enrolled, "the key " + order.key_file + " is nobody's who is enrolled")
      .cause(key->fingerprint())
      .next("kesu operator list");
}

std::vector<std::string> roles_now(const State& state, const OperatorRecord& person, const Moment& now) {
  std::vector<std::string> out;
  for (const std::string& role : all_roles())
    if (role_problem(state, person, role, now, now.time + kMinute).empty()) out.push_back(role);
  return out;
}

template <class Map>
void take_named(const Map& records, const std::string& word, std::set<std::string>& out) {
  for (const auto& [id, record] : records) {
    bool named = id == word || (word.size() >= 8 && word.find('-') != word.npos && id.starts_with(word));
    if constexpr (requires { record.name; }) named = named || record.name == word;
    if (named) out.insert(id);
  }
}

// Identifiers alone: what else was typed may be the name of a file, which is somebody's datum.
std::vector<std::string> about(const State& state, const std::vector<std::string>& words,
                               const std::string& signer) {
  std::set<std::string> out;
  for (const std::string& word : words) {
    take_named(state.keys, word, out);
    take_named(state.datasets, word, out);
    take_named(state.providers, word, out);
    take_named(state.operators, word, out);
    take_named(state.erasures, word, out);
    take_named(state.certificates, word, out);
    take_named(state.holds, word, out);
    take_named(state.copies, word, out);
  }
  out.erase(signer);
  std::vector<std::string> list(out.begin(), out.end());
  if (list.size() > kMaxCommandAbout) list.resize(kMaxCommandAbout);
  return list;
}

// What ssh-keygen is to sign with: the key that was named, or the enrolled public key, whose private half an
// agent holds.
std::string key_to_use(Vault& vault, const CommandOrder& order, const OperatorRecord& person) {
  if (!order.key_file.empty()) return order.key_file;
  const std::string path = path_join(path_join(vault.directory(), "plans"), person.id + ".pub");
  const std::string line = person.public_key + "\n";
  if (auto there = read_file_if_there(path, 65536); !there || to_text(*there) != line) {
    make_directories(dir_name(path), 0700);
    write_file_durable(path, as_bytes(line), 0600);
  }
  return path;
}
}  // namespace

Error certificate_signs_none(const std::string& name) {
  return Error(Code::not_enrolled, name + " is enrolled with a certificate, and signs no commands")
      .next("somebody who is enrolled with an SSH key has to run it: kesu operator list");
}

bool commands_are_signed(const State& state, const Moment& now) {
  return rules_in_force(state, now).signed_commands ||
         rules_in_force(state, {now.seq, now.time + kMinute}).signed_commands;
}

std::string role_to_sign(std::string_view command, const std::vector<std::string>& roles) {
  if (std::find(roles.begin(), roles.end(), "operator") != roles.end()) return "operator";
  return any_role_signs(command) && !roles.empty() ? roles.front() : "";
}

SignedCommand sign_statement(const CommandStatement& s, const std::string& key_file,
                             const std::string& public_key) {
  SignedCommand out{s.operator_id.str(), s.role, s.command, s.text(), "", s.issued};
  CommandStatement::parse(out.text);
  try {
    out.armored = ssh_sign(out.text, key_file, std::string(kCommandNamespace));
  } catch (const Error& e) {
    throw Error(Code::command_unsigned,
                "kesu " + s.command + " was not signed by " + s.name + ", and so nothing was done")
        .cause(e.message() + (e.cause().empty() ? "" : ": " + e.cause()))
        .next("--operator-key FILE, or an agent that holds the key (ssh-add -l)");
  }
  if (std::string why = signature_problem(out.text, out.armored, std::string(kCommandNamespace), public_key);
      !why.empty())
    throw Error(Code::signature_bad, "the signature over kesu " + s.command + " is not " + s.name + "'s")
        .cause(why)
        .next("--operator-key names the key that is enrolled (kesu operator list)");
  return out;
}

WhoSigns who_signs(Vault& vault, const CommandOrder& order) {
  const OperatorRecord& person = person_of(vault, order);
  if (PersonKey::parse_line(person.public_key).certificate) throw certificate_signs_none(person.name);
  const State& state = vault.state();
  const Moment now = moment_now(vault);
  std::string role = role_to_sign(order.command, roles_now(state, person, now));
  if (role.empty())
    throw Error(Code::not_enrolled, person.name + " cannot sign kesu " + order.command)
        .cause(role_problem(state, person, any_role_signs(order.command) ? "" : "operator", now,
                            now.time + kMinute))
        .next("somebody with the role operator has to run it: kesu operator list");
  return {person.id, std::move(role)};
}

SignedCommand sign_command(Vault& vault, const CommandOrder& order) {
  const State& state = vault.state();
  const Moment now = moment_now(vault);
  CommandStatement s;
  WhoSigns who = who_signs(vault, order);
  const OperatorRecord person = state.operators.at(who.person);
  s.role = std::move(who.role);
  s.vault = vault.id();
  s.organisation = state.vault.organisation;
  s.operator_id = *OperatorId::parse(person.id);
  s.name = person.name;
  s.command = order.command;
  s.about = about(state, order.named, person.id);
  const TreeHead head = vault.store().head();
  s.size = head.size();
  s.root = hex(head.root());
  s.process = hex(sha256(as_bytes(this_process().canonical())));
  s.issued = now.time;
  return sign_statement(s, key_to_use(vault, order, person), person.public_key);
}

std::string command_problem(const State& state, const SignedCommand& made, const Moment& now) {
  const auto person = state.operators.find(made.person);
  if (person == state.operators.end()) return "nobody is enrolled as " + made.person;
  return role_problem(state, person->second, made.role, now, now.time + kMinute);
}

bool is_stale(const SignedCommand& made, Millis now) {
  return now < made.issued || now - made.issued > kSignAnew;
}

const CommandCheck::Read& CommandCheck::read(const State& state, const std::string& statement,
                                             const std::string& signature, const std::string& person) {
  auto [it, fresh] = read_.try_emplace(statement + signature + person);
  Read& r = it->second;
  if (!fresh) return r;
  try {
    const Bytes text = store_.blob(statement), armored = store_.blob(signature);
    r.statement = CommandStatement::parse(as_text(text));
    const auto who = state.operators.find(person);
    if (who == state.operators.end())
      r.why = person + " is not enrolled";
    else if (r.statement->operator_id.str() != person || r.statement->name != who->second.name ||
             r.statement->vault.str() != state.vault.id ||
             r.statement->organisation != state.vault.organisation)
      r.why = "its signed command is of another person or vault";
    else if (who->second.public_key.starts_with(std::string(kX509Word) + " "))
      r.why = who->second.name + " is enrolled with a certificate, and signs no commands";
    else if (const std::string why = signature_problem(
                 as_text(text), as_text(armored), std::string(kCommandNamespace), who->second.public_key);
             !why.empty())
      r.why = "the signature over its command is not " + who->second.name + "'s: " + why;
  } catch (const Error& e) {
    r.why = "its signed command cannot be read: " + e.message();
  }
  return r;
}

std::string CommandCheck::problem(const State& state, const StoredEntry& entry) {
  const Header& h = entry.entry.header;
  const Json* named = entry.entry.body.is_object() ? entry.entry.body.find("command") : nullptr;
  const Moment at{h.seq, h.time};
  if (h.type == "genesis" || h.type == "operator-enrolled") return "";
  if (named == nullptr)
    return rules_in_force(state, at).signed_commands
               ? "it names no signed command, which the rules in force asked for"
               : "";
  const std::string statement = named->str("statement"), person = named->str("operator");
  const Read& r = read(state, statement, named->str("signature"), person);
  if (!r.why.empty()) return r.why;
  const CommandStatement& s = *r.statement;
  if (s.size > h.seq) return "its command was signed when the ledger was longer";
  roots_[s.size].try_emplace(s.root, h.seq);
  if (s.role != "operator" && !any_role_signs(s.command))
    return "kesu " + s.command + " takes the role operator";
  if (s.issued > h.time || h.time - s.issued > kMaxCommandLife)
    return "its command was not signed within 24 hours before it";
  const std::string why = role_problem(state, state.operators.at(person), s.role, at, h.time);
  return why.empty() ? "" : s.name + ", who signed its command, could not: " + why;
}

std::vector<std::pair<uint64_t, std::string>> CommandCheck::of_another_ledger() {
  std::vector<std::pair<uint64_t, std::string>> out;
  if (roots_.empty()) return out;
  const uint64_t last = std::min(roots_.rbegin()->first, store_.size());
  TreeHead tree;
  const std::vector<Digest32> leaves = store_.leaves(last);
  for (const auto& [size, roots] : roots_) {
    while (tree.size() < std::min<uint64_t>(size, leaves.size())) tree.add(leaves[tree.size()]);
    for (const auto& [root, seq] : roots)
      if (tree.size() != size || root != hex(tree.root()))
        out.emplace_back(seq,
                         "its command was signed for another ledger of " + std::to_string(size) + " entries");
  }
  return out;
}

}  // namespace kesu
