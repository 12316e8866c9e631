#include "app/key_share.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "app/actor.h"
#include "app/copies.h"
#include "app/datasets.h"
#include "app/tombstones.h"
#include "base/files.h"
#include "base/plain_text.h"
#include "crypto/cms_envelope.h"
#include "crypto/shamir.h"
#include "provider/key_share.h"

namespace kesu {

namespace {
// What shares are made with, and how the policy's registry names it.
constexpr EnvelopeSuite kSuite{AeadAlg::aes256_gcm, HashAlg::sha256};
constexpr std::string_view kWrap = "RSA-OAEP-SHA256", kSharing = "Shamir-GF256";
constexpr size_t kMaxPem = 1u << 20, kMaxMessage = 1u << 20;
constexpr std::string_view kKind = "escrow-share", kWritten = "shares-written";

std::string wrap_algorithm(const Certificate& c) {
  return std::string(kWrap) + ":bits=" + std::to_string(c.key->bits());
}

Certificate read_recipient(const std::string& path) {
  const Bytes file = read_file(path, kMaxPem);
  std::vector<Certificate> all;
  try {
    all = Certificate::parse_pem(as_text(file));
  } catch (const Error& e) {
    throw Error(Code::bad_input, path + " holds no certificate in PEM")
        .cause(e.message())
        .next("a custodian's RSA certificate, from -----BEGIN CERTIFICATE----- on");
  }
  if (all.size() != 1)
    throw Error(Code::bad_input, path + " holds " + std::to_string(all.size()) + " certificates")
        .next("a file with the custodian's alone, for it is to be clear whose key gets the share");
  refuse_unplain(all[0].subject, "the subject of " + path);
  return all[0];
}

// Whether a share may go to this certificate at all; how strong its key has to be, the datasets say.
void refuse_recipient(const Certificate& c, const std::string& path, Millis now) {
  if (!c.key || c.key->kind() != KeyKind::rsa)
    throw Error(Code::policy_refused, "the certificate in " + path + " holds no RSA key for encryption")
        .cause(
            c.subject + ": " + (c.key ? c.key->name() : std::string("a kind of key that is not used here")) +
            "; key agreement to other kinds rests on a SHA-1 KDF and AES-KW, which are on no CRYPTREC list")
        .next("a certificate with an RSA key of 3,072 bits or more");
  if (now < c.not_before || now > c.not_after)
    throw Error(Code::policy_refused, "the certificate in " + path + " is not valid now")
        .cause(c.subject + ", from " + utc_text(c.not_before) + " to " + utc_text(c.not_after))
        .next("the custodian's certificate of today");
  if (c.key_usage && !(*c.key_usage & kUsageKeyEncipherment))
    throw Error(Code::policy_refused, "the certificate in " + path + " is not for encrypting keys")
        .cause(c.subject + ": its key usage leaves out keyEncipherment")
        .next("a certificate for encryption");
}

std::vector<Certificate> read_recipients(const ShareOrder& order, Millis now) {
  std::vector<Certificate> out;
  for (const std::string& path : order.certificates) {
    Certificate c = read_recipient(path);
    refuse_recipient(c, path, now);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].der == c.der || *out[i].key == *c.key)
        throw Error(Code::bad_input, order.certificates[i] + " and " + path + " hold the same key")
            .cause(c.subject)
            .next("each share to another custodian: who has two needs one fewer of the others");
    out.push_back(std::move(c));
  }
  return out;
}

const VersionRecord& version_meant(const State& state, const KeyWord& which) {
  const KeyRecord& key = state.keys.at(which.key);
  const VersionRecord* v =
      which.number ? key.find(key.id + "." + std::to_string(which.number)) : key.active();
  if (!v)
    throw Error(Code::state_refused, which.number
                                         ? key.name + " has no version " + std::to_string(which.number)
                                         : key.name + " has no active version")
        .next("kesu key show " + key.name + ", then name a version as in " + key.name + ".1");
  return *v;
}

// Decided on key_streams.
void refuse_version(Vault& vault, const VersionRecord& v) {
  const KeyRecord& key = *vault.state().key_of(v.id);
  if (key.purpose != KeyPurpose::wrap)
    throw Error(Code::state_refused,
                key.name + " is no key for wrapping: only such keys are given in shares");
  refuse_reserved(vault.state(), key);
  refuse_buried(vault, v);
  static const std::set<std::string_view> kMay = {"pre-activation", "active", "suspended", "deactivated"};
  if (!kMay.contains(v.state))
    throw Error(Code::state_refused, "key version " + version_name(vault.state(), v) + " is " + v.state +
                                         ": no share of it is made")
        .next("kesu key show " + key.name);
}

// How long what the version reaches, or is to reach, must stay unreadable: the end of each such dataset.
std::set<std::string> ends_of_secrecy(Vault& vault, const VersionRecord& v) {
  std::set<std::string> reached, out;
  for (const std::string& node : vault.graph().reached(v.id))
    if (const auto n = vault.graph().find(node)) reached.insert(n->of);
  for (auto& [id, d] : vault.state().datasets)
    if (d.state != "erased" && (reached.contains(id) || d.key == vault.state().key_of(v.id)->id))
      out.insert(d.settings.str_or("unreadable_until", "open-ended"));
  if (out.empty()) out.insert("open-ended");
  return out;
}

void refuse_by_policy(Vault& vault, const VersionRecord& v, const std::vector<Certificate>& to) {
  for (const std::string& until : ends_of_secrecy(vault, v)) {
    const Millis now = vault.now();
    refuse_weak(vault.state(), std::string(kSharing), policy::Purpose::sharing, until, now);
    refuse_weak(vault.state(), std::string(aead_name(kSuite.content)), policy::Purpose::payload, until, now);
    for (const Certificate& c : to)
      refuse_weak(vault.state(), wrap_algorithm(c), policy::Purpose::wrap, until, now);
  }
}

// Made, or empty already.
void prepare_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(dir_name(path));
  if (errno != EEXIST) throw file_error(errno, "create directory", path);
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) throw file_error(errno, "look at", path);
  if (!S_ISDIR(st.st_mode) || !list_directory(path).empty())
    throw Error(Code::already_exists, path + " is there already, and not an empty directory")
        .next("another directory: shares of two sets are not to be mixed");
}

std::string file_name(int index, size_t shares) {
  return "share-" + std::to_string(index) + "-of-" + std::to_string(shares) + ".p7m";
}

std::vector<const CopyRecord*> copies_of(const State& state, const std::string& set) {
  std::vector<const CopyRecord*> out;
  for (auto& [id, c] : state.copies)
    if (c.share.is_object() && c.share.str("set") == set) out.push_back(&c);
  std::sort(out.begin(), out.end(),
            [](auto* a, auto* b) { return a->share.num("index") < b->share.num("index"); });
  return out;
}

// Ends the bracket: `seen` has the digest of every file that stands, by index; `never` the indices whose
// copies never came to be, as the writing process itself knows, and why. Nothing where it has ended already.
bool record_written(Vault& vault, const std::string& set, const std::map<int, std::string>& seen,
                    bool interrupted, const std::set<int>& never, const std::string& why) {
  bool recorded = false;
  vault.decide({copies_of(vault.state(), set).at(0)->id}, [&] {
    const auto copies = copies_of(vault.state(), set);
    recorded = copies.at(0)->writing;
    if (!recorded) return std::vector<Event>();
    Json shares(Json::Array{});
    std::vector<Event> events;
    for (const CopyRecord* c : copies) {
      const int index = static_cast<int>(c->share.num("index"));
      auto digest = seen.find(index);
      shares.push(Json::object({{"index", index},
                                {"copy", c->id},
                                {"custodian", c->custodian},
                                {"certificate", c->share.str("certificate")},
                                {"file", c->share.str("file")},
                                {"sha256", digest == seen.end() ? Json() : Json(digest->second)}}));
      if (never.contains(index) && c->state == "open")
        events.push_back(
            {.type = "copy-ended",
             .nodes = {{.id = c->id, .is = "ended"}},
             .body = Json::object({{"how", "its file was never begun: " + why}, {"actor", this_process()}})});
    }
    const CopyRecord& first = *copies[0];
    const std::string document = Json::object({{"type", "kesu-share-set-v1"},
                                               {"set", set},
                                               {"vault", vault.state().vault.id},
                                               {"version", first.versions.at(0)},
                                               {"threshold", first.share.num("threshold")},
                                               {"shares", shares},
                                               {"interrupted", interrupted}})
                                     .canonical();
    const std::string kept = vault.store().put_blob(as_bytes(document));
    events.insert(events.begin(),
                  {.type = "document-attached",
                   .nodes = {{.id = vault.env().random.id<DocumentId>().str(), .is = "attached", .d = kept},
                             {.id = first.versions.at(0)},
                             {.id = first.id}},
                   .body = Json::object({{"what", kWritten},
                                         {"detail", std::to_string(seen.size()) + " of " +
                                                        std::to_string(copies.size()) + " files were seen"},
                                         {"set", set},
                                         {"interrupted", interrupted},
                                         {"document", kept},
                                         {"actor", this_process()}})});
    return events;
  });
  return recorded;
}

struct Prepared {
  SharesMade made;
  std::vector<Bytes> messages;  // by index, from 0
};

// Shares and messages, in memory.
Prepared prepare(Vault& vault, const VersionRecord& v, const Secret& key, const ShareOrder& order,
                 const std::vector<Certificate>& to) {
  Random& random = vault.env().random;
  ShareHead head{vault.id(), v.version(), {}, order.threshold, static_cast<int>(to.size())};
  random.fill(head.set);
  const std::vector<KeyShare> shares = split_key(key, head, random);
  Prepared out;
  out.made.version = v.id;
  out.made.set = hex(head.set);
  for (size_t i = 0; i < to.size(); ++i) {
    Bytes message = build_envelope(share_file(shares[i]), to[i], kSuite, random);
    out.made.shares.push_back(
        {shares[i].index, random.id<CopyId>().str(), to[i].subject, hex(to[i].fingerprint()),
         path_join(order.directory, file_name(shares[i].index, to.size())), hex(sha256(message))});
    out.messages.push_back(std::move(message));
  }
  return out;
}

std::vector<Event> registration(const Prepared& p, const ShareOrder& order,
                                const std::vector<Certificate>& to) {
  std::vector<Event> out;
  const std::string of = std::to_string(to.size());
  for (size_t i = 0; i < to.size(); ++i) {
    const ShareMade& s = p.made.shares[i];
    const CopyDraft draft{
        .kind = std::string(kKind),
        .place = s.file + " (share " + std::to_string(s.index) + " of " + of + ", any " +
                 std::to_string(order.threshold) + " of which make the key)",
        .custodian = s.custodian,
        .medium = "CMS message to " + to[i].key->name() + " of certificate " + s.certificate.substr(0, 16),
        .provider = {}};
    Event event = copy_events(s.copy, {p.made.version}, draft).at(0);
    event.body
        .set("share", Json::object({{"set", p.made.set},
                                    {"index", s.index},
                                    {"threshold", order.threshold},
                                    {"shares", static_cast<int64_t>(to.size())},
                                    {"algorithm", wrap_algorithm(to[i])},
                                    {"certificate", s.certificate},
                                    {"file", s.file}}))
        .set("actor", this_process());
    out.push_back(std::move(event));
  }
  return out;
}

// Each file durable before the next. Where one fails, what was never begun never comes to be.
void write_shares(Vault& vault, const Prepared& p) {
  std::map<int, std::string> seen;
  size_t next = 0;
  try {
    for (; next < p.messages.size(); ++next) {
      const ShareMade& s = p.made.shares[next];
      write_file_durable(s.file, p.messages[next], 0600, false);
      seen[s.index] = s.sha256;
    }
  } catch (Error& e) {
    std::set<int> never;
    for (size_t i = next + 1; i < p.messages.size(); ++i) never.insert(p.made.shares[i].index);
    record_written(vault, p.made.set, seen, true, never, e.message());
    throw e.next((e.next().empty() ? "" : e.next() + "; ") + "kesu copy list shows the " +
                 std::to_string(next + 1) +
                 " shares that may exist: destroy these files, record that (kesu copy destroy), and make the "
                 "whole set anew in another directory");
  }
  record_written(vault, p.made.set, seen, false, {}, {});
}

struct Pending {
  std::string set, key;
  const CopyRecord* first = nullptr;
};
std::vector<Pending> pending(const State& state) {
  std::map<std::string, Pending> sets;
  for (auto& [id, c] : state.copies)
    if (c.writing && c.share.is_object()) sets[c.share.str("set")].set = c.share.str("set");
  std::vector<Pending> out;
  for (auto& [set, p] : sets) {
    p.first = copies_of(state, set).at(0);
    const VersionRecord* v = state.version(p.first->versions.at(0));
    p.key = v ? version_name(state, *v) : p.first->versions.at(0);
    out.push_back(p);
  }
  return out;
}

// Parts of a file that the process was writing when it ended.
void remove_parts(const std::string& file, const Json& actor) {
  const std::string directory = dir_name(file);
  const std::string part = base_name(file) + ".tmp" + std::to_string(actor.num_or("pid", 0)) + ".";
  if (!exists(directory)) return;
  for (const std::string& name : list_directory(directory))
    if (name.starts_with(part)) remove_file(path_join(directory, name));
}
}  // namespace

SharesMade share_key(Vault& vault, const ShareOrder& given) {
  ShareOrder order = given;
  const size_t n = order.certificates.size();
  if (n < 2 || n > static_cast<size_t>(kMaxShares))
    throw Error(Code::usage, "shares go to 2 to 255 custodians, not " + std::to_string(n))
        .next("--to FILE for each custodian's certificate");
  if (order.threshold < 2 || static_cast<size_t>(order.threshold) > n)
    throw Error(Code::usage, "a threshold of " + std::to_string(order.threshold) + " cannot be")
        .cause(order.threshold == 1 ? "each share would be the whole key"
                                    : "there are " + std::to_string(n) + " custodians")
        .next("--threshold from 2 to " + std::to_string(n));
  order.directory = absolute_path(order.directory);
  refuse_unplain(order.directory, "the directory's name", 4096);
  settle(vault);
  const std::vector<Certificate> to = read_recipients(order, vault.now());
  const std::string id = version_meant(vault.state(), order.which).id;
  const VersionRecord v = *vault.state().version(id);
  refuse_version(vault, v);
  // First whether it comes out at all: no approver is asked for an exception that cannot help.
  const Secret key = vault.provider(v.provider).export_key(*v.ref);
  refuse_by_policy(vault, v, to);
  Prepared prepared = prepare(vault, v, key, order, to);
  prepare_directory(order.directory);

  for (const Certificate& c : to) vault.store().put_blob(c.der);  // `share` names them by their digests
  std::vector<Event> events = registration(prepared, order, to);
  vault.decide(key_streams(vault.state(), *vault.state().key_of(id)), [&] {
    refuse_version(vault, *vault.state().version(id));
    refuse_by_policy(vault, *vault.state().version(id), to);
    return events;
  });
  write_shares(vault, prepared);
  return std::move(prepared.made);
}

void settle_shares(Vault& vault) {
  for (const Pending& p : pending(vault.state())) {
    const Json actor = p.first->actor;
    if (!may_settle(vault, actor, p.first->registered)) continue;
    const std::string set = p.set, key = p.key;
    // Of a directory on another machine nothing can be seen from here.
    const bool here = actor.str_or("host", "") == this_process().str_or("host", "?");
    std::map<int, std::string> seen;
    const auto copies = copies_of(vault.state(), set);
    for (const CopyRecord* c : copies) {
      if (!here) break;
      const std::string file = c->share.str("file");
      attempt_to_settle(vault, [&] {
        if (auto bytes = read_file_if_there(file, kMaxMessage))
          seen[static_cast<int>(c->share.num("index"))] = hex(sha256(*bytes));
        remove_parts(file, actor);
      });
    }
    const size_t n = copies.size();
    if (record_written(vault, set, seen, true, {}, {}))
      vault.env().notice(
          "settled: the making of " + std::to_string(n) + " shares of " + key + " was interrupted, " +
          std::to_string(seen.size()) +
          " of their files are seen; every one counts as existing until its end is recorded: kesu copy list");
  }
}

std::vector<Question> share_questions(Vault& vault) {
  std::vector<Question> out;
  for (const Pending& p : pending(vault.state())) {
    const Json& actor = p.first->actor;
    out.push_back({p.first->id,
                   "which of the " + std::to_string(p.first->share.num("shares")) + " shares of " + p.key +
                       " were written to " + dir_name(p.first->share.str("file")) + "?",
                   actor.str_or("host", "?") + ", process " + std::to_string(actor.num_or("pid", 0)),
                   may_settle(vault, actor, p.first->registered) && !is_this_process(actor)});
  }
  return out;
}

}  // namespace kesu
