#include "app/key_attest.h"

#include <algorithm>

#include "app/clock_watch.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "crypto/hash.h"
#include "erasure/attest_statement.h"

namespace kesu {

namespace {

struct Attesting {
  Vault& vault;
  std::string version;
  OperatorRecord person;

  const VersionRecord& record() const { return *vault.state().version(version); }
  const ProviderRecord& provider() const { return vault.state().providers.at(record().provider); }
  std::string name() const { return version_name(vault.state(), record()); }
  std::string draft() const {
    return path_join(path_join(vault.directory(), "plans"), version + ".attest." + person.id + ".json");
  }
};

std::string version_meant(Vault& vault, const KeyWord& which) {
  const KeyRecord& key = vault.state().keys.at(which.key);
  if (!which.number && key.versions.size() != 1)
    throw Error(Code::usage, "which version of " + key.name + "?")
        .next("--version N, or " + key.name + ".N; kesu key show " + key.name);
  for (const VersionRecord& v : key.versions)
    if (!which.number || v.number() == which.number) return v.id;
  throw Error(Code::not_found, key.name + " has no version " + std::to_string(which.number))
      .next("kesu key show " + key.name);
}

// The role that this person has for it; throws where there is none, or he is an operator.
std::string role_of(const Attesting& a, const Moment& now) {
  const State& state = a.vault.state();
  const OperatorRecord& person = state.operators.at(a.person.id);
  for (Millis when : {a.record().created, now.time})
    if (terms_problem(state, person, "operator", {now.seq, when}, when).empty())
      throw Error(Code::requester_is_approver,
                  person.name + " is an operator, and cannot attest the making of a key")
          .next("somebody else has to: an auditor or a verifier who attended it");
  for (std::string_view role : kAttestRoles)
    if (role_problem(state, person, role, now, now.time).empty()) return std::string(role);
  throw Error(Code::not_enrolled, person.name + " is not enrolled as auditor or verifier")
      .cause(role_problem(state, person, kAttestRoles[0], now, now.time))
      .next("kesu operator list shows who is");
}

// Asked before anything is done, and again in the append.
void check(const Attesting& a) {
  const State& state = a.vault.state();
  const VersionRecord& v = a.record();
  const std::string rotate =
      "kesu key rotate " + state.key_of(v.id)->name + " makes another version, whose making can be attended";
  auto refuse = [&](const std::string& why, const std::string& next) {
    throw Error(Code::state_refused, a.name() + " cannot be attested: " + why).next(next);
  };
  if (state.key_of(v.id)->purpose != KeyPurpose::wrap) refuse("it protects no data", "kesu key list");
  if (v.origin != "generated") refuse("it was " + v.origin + ", so nobody attended its making", rotate);
  if (a.provider().identity.kind == "soft")
    refuse("it lies in a software keystore, and can leave with its file", "a key in a token can be attested");
  if (v.state != "pre-activation" && v.state != "active") refuse("it is " + v.state, rotate);
  if (!a.vault.graph().reached(v.id).empty())
    refuse("something was wrapped under it already; what is said now could not be said of that", rotate);
  if (a.vault.now() - v.created > kMaxAttestDelay)
    refuse("it was made " + local_text(v.created) + ", more than 24 hours ago", rotate);
  for (const AttestationRecord& one : v.attested)
    if (one.operator_id == a.person.id)
      refuse(a.person.name + " has attested it, " + local_text(one.time), "kesu key show");
}

AttestStatement blank(const Attesting& a, const std::string& role) {
  const State& state = a.vault.state();
  const VersionRecord& v = a.record();
  AttestStatement s;
  s.vault = a.vault.id();
  s.organisation = state.vault.organisation;
  s.version = v.version();
  s.key = a.name();
  s.provider = a.provider().name;
  s.identity = a.provider().identity.to_json();
  s.birth = v.birth;
  s.born = v.created;
  s.canary = hex(v.ref->canary->digest);
  s.role = role;
  s.operator_id = *OperatorId::parse(a.person.id);
  s.name = a.person.name;
  return s;
}

void demand_usable(const Attesting& a, const ProbeReport& report, Millis until) {
  auto key = std::find_if(report.keys.begin(), report.keys.end(),
                          [&](const ProbeKey& k) { return k.version == a.record().version(); });
  if (key == report.keys.end() || key->answer != ProbeAnswer::usable || key->canary != "opened")
    throw Error(Code::key_mismatch, a.name() + " is not shown at work: it is not attested")
        .cause(key == report.keys.end() ? "it was not asked for"
                                        : std::string(probe_text(key->answer)) + ": " + key->why)
        .next("kesu provider test " + a.provider().name);
  if (report.started < a.record().created || report.ended > until)
    throw Error(Code::conflict, "the clock was set while " + a.name() + " was inspected")
        .next("the same command again");
}

// What the token says of it now; throws where that is not what an attestation is for.
Json attributes_now(const Attesting& a) {
  const Json attributes = a.vault.provider(a.record().provider).describe(*a.record().ref);
  if (!stayed_inside(attributes))
    throw Error(Code::policy_refused,
                "the token does not say that " + a.name() +
                    " was generated inside, is always sensitive and was never extractable")
        .next("kesu provider show " + a.provider().name + "; another kind of token may say it");
  return attributes;
}

// Looks anew.
AttestStatement look(const Attesting& a, const std::string& role) {
  AttestStatement s = blank(a, role);
  refuse_clock_before(a.vault, a.record().created, "inspecting for the attestation");
  s.attributes = attributes_now(a);
  a.vault.close_providers();
  const Vault::Probed probed = a.vault.probe(a.provider(), {*a.record().ref}, {});
  s.transcript = probed.evidence;
  s.issued = a.vault.now();
  demand_usable(a, probed.report, s.issued);
  make_directories(dir_name(a.draft()), 0700);
  write_file_durable(a.draft(), as_bytes(s.text()), 0600);
  return s;
}

// The statement that was exported: all of it is what this vault would have this person sign, but for what
// was seen then, which is judged again.
AttestStatement exported(const Attesting& a, const std::string& role) {
  const std::string next = "the same command with --export FILE looks, and writes it";
  const auto kept = read_file_if_there(a.draft(), 65536);
  if (!kept)
    throw Error(Code::not_found, "there is no exported attestation of " + a.name() + " by " + a.person.name)
        .next(next);
  const AttestStatement s = AttestStatement::parse(as_text(*kept));
  AttestStatement mine = blank(a, role);
  mine.attributes = attributes_now(a);
  mine.transcript = s.transcript;
  mine.issued = s.issued;
  if (mine.text() != s.text() || s.issued < a.record().created || s.issued > a.vault.now())
    throw Error(Code::conflict,
                "the exported attestation of " + a.name() + " is not what would be signed now")
        .next(next);
  demand_usable(a,
                read_probe(ProbeTranscript::from_json(
                    parse_json(to_text(a.vault.store().blob(s.transcript)), "transcript"))),
                s.issued);
  return s;
}

Attesting begin(Vault& vault, const KeyWord& which, const OperatorRecord& found) {
  const std::string person = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  watch_clock(vault);
  settle(vault);
  Attesting a{vault, version_meant(vault, which), vault.find_operator(person)};
  role_of(a, moment_now(vault));
  check(a);
  return a;
}
}  // namespace

std::string export_attestation(Vault& vault, const KeyWord& which, const OperatorRecord& person,
                               const std::string& file) {
  const Attesting a = begin(vault, which, person);
  const AttestStatement s = look(a, role_of(a, moment_now(vault)));
  write_output(file, as_bytes(s.text()), 0644);
  return std::string(kAttestNamespace);
}

std::string attest_key(Vault& vault, const KeyWord& which, const OperatorRecord& person,
                       const SignatureSource& source) {
  if (source.key_file.empty() && source.signature_file.empty())
    throw Error(Code::usage, "who signs? " + person.name + "'s signature is needed")
        .next("--key FILE, or --export FILE, sign that elsewhere, then --signature FILE.sig");
  const Attesting a = begin(vault, which, person);
  const std::string role = role_of(a, moment_now(vault));
  const AttestStatement s = source.signature_file.empty() ? look(a, role) : exported(a, role);
  const std::string armored =
      obtain_signature(s.text(), std::string(kAttestNamespace), a.person, source, "--export FILE");
  const Json body = Json::object({{"operator", a.person.id},
                                  {"role", role},
                                  {"statement", vault.store().put_blob(as_bytes(s.text()))},
                                  {"signature", vault.store().put_blob(as_bytes(armored))},
                                  {"transcript", s.transcript}});
  vault.decide({a.version}, [&] {
    check(a);
    if (role_of(a, moment_now(vault)) != role)
      throw Error(Code::conflict, a.person.name + "'s roles changed meanwhile")
          .next("the same command again");
    return std::vector<Event>{
        {.type = "key-attested", .nodes = {{.id = a.version}, {.id = a.person.id}}, .body = body}};
  });
  return a.version;
}

}  // namespace kesu
