// The witness's directory: its key, what it saw of each log, what it refused.
#include "app/witness.h"

#include <sys/stat.h>

#include "app/containers.h"
#include "app/work_lock.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "ledger/checkpoint.h"
#include "ledger/cosign_request.h"
#include "ledger/tree.h"

namespace kesu {

namespace {
constexpr std::string_view kType = "kesu-witness-v1", kLogType = "kesu-witness-log-v1",
                           kRefusalType = "kesu-witness-refusal-v1";
constexpr size_t kMaxFile = 4u << 20;
constexpr Millis kClockGive = 60'000;

std::string main_file(const std::string& directory) { return path_join(directory, "witness.json"); }
std::string begun_file(const std::string& directory) { return path_join(directory, "witness.begun"); }
std::string log_file(const std::string& directory, const std::string& origin) {
  return path_join(path_join(directory, "logs"), hex(sha256(as_bytes(origin))) + ".json");
}

Json read_document(const std::string& path, std::string_view type, size_t limit = kMaxFile) {
  try {
    Json out = parse_json(to_text(read_file(path, limit)), path);
    if (out.str("type") != type) throw Error(Code::bad_input, "type: " + out.str("type"));
    return out;
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    throw Error(Code::ledger_damaged, path + " is damaged")
        .cause(e.message())
        .next(
            "put it back from a copy that is as new as what was signed last; an older one would let a second "
            "history pass");
  }
}
void write_document(const std::string& path, const Json& document) {
  write_output(path, as_bytes(document.pretty()), 0600);
}

// One log as this witness remembers it.
struct Seen {
  std::string origin, vkey, note, signature;
  uint64_t size = 0;
  Digest32 root{};
  Millis cosigned = 0;

  Json to_json() const {
    return Json::object({{"type", kLogType},
                         {"origin", origin},
                         {"vkey", vkey},
                         {"size", size},
                         {"root", hex(root)},
                         {"note", note},
                         {"cosigned", utc_text(cosigned)},
                         {"signature", signature}});
  }
  static std::optional<Seen> load(const std::string& directory, const std::string& origin) {
    const std::string path = log_file(directory, origin);
    if (!exists(path)) return std::nullopt;
    const Json j = read_document(path, kLogType);
    Seen out;
    try {
      out.origin = j.str("origin");
      out.vkey = j.str("vkey");
      out.note = j.str("note");
      out.signature = j.str("signature");
      out.size = static_cast<uint64_t>(j.num("size"));
      const auto root = unhex32(j.str("root"));
      const auto time = parse_utc(j.str("cosigned"));
      // What the log itself signed says it once more: a file that was altered by accident does not fit.
      const Note note = Note::parse(out.note);
      const Checkpoint head = Checkpoint::parse_text(note.text);
      if (!root || !time || out.origin != origin || head.origin != origin || head.size != out.size ||
          head.root != *root || verify_note(note, NoteKey::parse(out.vkey)) != NoteVerdict::good)
        throw Error(Code::bad_input, "its members do not fit each other");
      out.root = *root;
      out.cosigned = *time;
    } catch (const Error& e) {
      throw Error(Code::ledger_damaged, "what this witness remembers of " + origin + " is damaged")
          .tried(path)
          .cause(e.message())
          .next(
              "put the file back from a copy that is as new as what was signed last; where there is none, "
              "move it away and begin anew with --first VKEY");
    }
    return out;
  }
};

struct Witness {
  Json document;
  NoteKey key;
};
Witness load_witness(const std::string& directory) {
  if (!exists(main_file(directory)))
    throw Error(Code::not_found, "there is no witness in " + directory)
        .next(exists(begun_file(directory)) ? "kesu ledger witness init was interrupted: run it again"
                                            : "kesu ledger witness init " + directory + " --name NAME");
  Json document = read_document(main_file(directory), kType);
  NoteKey key = NoteKey::parse(document.str("vkey"));
  return {std::move(document), std::move(key)};
}

// The pin of a log among `logs`; nullptr: this witness never saw it.
Json* pin_of(Json& document, const std::string& origin) {
  for (Json& log : document.as_object().find("logs")->second.as_array())
    if (log.str("origin") == origin) return &log;
  return nullptr;
}

std::string head_text(uint64_t size, const Digest32& root) {
  return "size " + std::to_string(size) + ", root " + hex(root);
}

// Another history: everything that shows it is kept, then it is said.
[[noreturn]] void report_fork(Environment& env, const std::string& directory, const std::string& request,
                              const Seen& seen, const Checkpoint& head, const std::string& why) {
  const std::string folder = path_join(directory, "refused");
  const std::string path = path_join(folder, hex(sha256(as_bytes(request))) + ".json");
  make_directories(folder, 0700);
  if (!exists(path))
    write_document(path, Json::object({{"type", kRefusalType},
                                       {"at", utc_text(env.clock.now())},
                                       {"why", why},
                                       {"seen", seen.to_json()},
                                       {"request", request}}));
  throw Error(Code::ledger_damaged, "the log " + seen.origin + " shows another history: nothing was cosigned")
      .tried("seen " + utc_text(seen.cosigned) + ": " + head_text(seen.size, seen.root))
      .cause("shown now: " + head_text(head.size, head.root) + "; " + why)
      .next("both are kept in " + path +
            ": tell those who rely on this log; its operator has to explain it, and nothing newer of it is "
            "cosigned before you say --go-on WHY");
}

// Whether what is kept in that file of refused/ was explained: `went_on` of witness.json names it.
bool explained(const Json& document, const std::string& name) {
  const Json* list = document.find("went_on");
  if (!list) return false;
  for (const Json& item : list->as_array())
    for (const Json& known : item.at("refused").as_array())
      if (known.as_string() == name) return true;
  return false;
}

// What is kept of the log's other histories: file names, all and those that nobody explained.
struct Refusals {
  size_t kept = 0;
  std::vector<std::string> open;
};
Refusals refusals_of(const std::string& directory, const Json& document, const std::string& origin) {
  Refusals out;
  const std::string folder = path_join(directory, "refused");
  if (!exists(folder)) return out;
  for (const std::string& name : list_directory(folder)) {
    if (!name.ends_with(".json")) continue;
    // It holds the request and the note seen before.
    const Json kept = read_document(path_join(folder, name), kRefusalType, 3 * kMaxFile);
    if (kept.at("seen").str("origin") != origin) continue;
    ++out.kept;
    if (!explained(document, name)) out.open.push_back(name);
  }
  return out;
}

// A log that showed two histories is not cosigned on either before this witness's people say so.
void refuse_forked(Environment& env, const std::string& directory, Witness& witness,
                   const std::string& origin, const std::string& go_on) {
  const Refusals refusals = refusals_of(directory, witness.document, origin);
  if (go_on.empty()) {
    if (refusals.open.empty()) return;
    throw Error(Code::state_refused,
                "the log " + origin + " showed another history before: nothing was cosigned")
        .cause("kept in " + path_join(path_join(directory, "refused"), refusals.open.front()) +
               (refusals.open.size() > 1 ? " and " + std::to_string(refusals.open.size() - 1) + " more" : ""))
        .next(
            "ask its operator how it came to that, and those who rely on it; when it is explained: the same "
            "command with --go-on WHY, which the witness records");
  }
  if (refusals.kept == 0)
    throw Error(Code::state_refused, "no other history of the log " + origin + " is kept here")
        .tried("--go-on")
        .next("the same command without --go-on");
  if (refusals.open.empty()) return;  // recorded already, by a run that was killed
  Json names(Json::Array{});
  for (const std::string& name : refusals.open) names.push(name);
  Json list = witness.document.find("went_on") ? witness.document.at("went_on") : Json(Json::Array{});
  list.push(Json::object(
      {{"origin", origin}, {"at", utc_text(env.clock.now())}, {"why", go_on}, {"refused", names}}));
  witness.document.set("went_on", list);
  write_document(main_file(directory), witness.document);
}

// The vkey under which the request has to stand, and what is remembered; refusals of docs/spec/ledger.md.
std::optional<Seen> expect_log(const std::string& directory, Witness& witness, const Checkpoint& head,
                               const std::string& first, std::string& vkey) {
  const std::string& origin = head.origin;
  const Json* pin = pin_of(witness.document, origin);
  std::optional<Seen> seen = Seen::load(directory, origin);
  if (seen) {
    // The same first request again is one that was killed before its answer was given out.
    if (!first.empty() && (first != seen->vkey || head.size != seen->size))
      throw Error(Code::state_refused, "this witness has seen the log " + origin + " before")
          .tried("--first " + first)
          .cause("last " + head_text(seen->size, seen->root) + ", under " + seen->vkey)
          .next("the same command without --first");
    vkey = seen->vkey;
    return seen;
  }
  if (pin && first.empty())
    throw Error(Code::ledger_damaged, "what this witness remembers of the log " + origin + " is gone")
        .tried(log_file(directory, origin))
        .cause("it has cosigned that log since " + pin->at("since").as_array().front().as_string() +
               "; without the file it cannot tell whether this history is the one that it saw")
        .next(
            "put the file back from a copy that is as new as what was signed last; where there is none: "
            "--first VKEY begins anew, which the witness records");
  if (first.empty())
    throw Error(Code::state_refused, "this witness has never seen the log " + origin)
        .next(
            "ask the vault's people for its vkey by another way than this file, then the same command with "
            "--first VKEY");
  if (pin && pin->str("vkey") != first)
    throw Error(Code::signature_bad, "the log " + origin + " was known to this witness under another key")
        .cause(pin->str("vkey"))
        .next("a log that changes its key is a new one; ask what happened");
  vkey = first;
  return std::nullopt;
}

void pin(const std::string& directory, Witness& witness, const std::string& origin, const std::string& vkey,
         Millis time) {
  if (Json* known = pin_of(witness.document, origin))
    known->as_object().find("since")->second.push(utc_text(time));
  else
    witness.document.as_object().find("logs")->second.push(
        Json::object({{"origin", origin}, {"vkey", vkey}, {"since", Json::array({Json(utc_text(time))})}}));
  write_document(main_file(directory), witness.document);
}

std::string line_text(const NoteSignature& line) {
  const std::string whole = Note{"x\n", {line}}.str();
  return whole.substr(3);
}
}  // namespace

std::string init_witness(Environment& env, const WitnessInit& request) {
  if (!is_note_name(request.name))
    throw Error(Code::bad_input,
                "a witness's name is text without spaces and '+', such as witness.example.jp/w1");
  if (!request.provider_uri.empty() && !request.passphrase_source.empty())
    throw Error(Code::usage, "--passphrase-source belongs to the keystore that init makes itself")
        .next("put it into the URI: --provider 'soft:/path?passphrase-source=file:/…'");
  const std::string directory = absolute_path(request.directory);
  refuse_network_filesystem(directory);
  if (exists(main_file(directory)))
    throw Error(Code::already_exists, "a witness is in " + directory + " already")
        .next("kesu ledger witness show " + directory);
  make_directories(directory, 0700);
  if (::chmod(directory.c_str(), 0700) != 0) throw file_error(errno, "chmod", directory);
  const std::string& source = request.passphrase_source;
  const std::string uri =
      !request.provider_uri.empty()
          ? request.provider_uri
          : "soft:./keystore?passphrase-source=" + (source.empty() ? std::string("prompt") : source);
  WorkLock lock(path_join(directory, "."), "witness " + directory, "kesu ledger witness show " + directory);
  // Which key is being made is written down first: killed, the next run takes what was made.
  const std::string begun = begun_file(directory);
  if (!exists(begun))
    write_document(begun,
                   Json::object({{"type", kType}, {"key", VersionRef{env.random.id<KeyId>(), 1}.str()}}));
  const auto version = VersionRef::parse(read_document(begun, kType).str("key"));
  if (!version)
    throw Error(Code::bad_input, begun + " is damaged").next("remove it, and run the same command again");
  auto provider = env.providers.open(creating_uri(directory, uri));
  std::optional<Birth> birth = provider->recover(*version, KeyPurpose::sign_ledger);
  if (!birth) birth = provider->generate(*version, KeyPurpose::sign_ledger);
  const NoteKey key =
      NoteKey::make(request.name, PublicKey::from_spki(birth->ref.public_key), NoteKeyType::cosignature_v1);
  write_document(main_file(directory), Json::object({{"type", kType},
                                                     {"name", request.name},
                                                     {"vkey", key.vkey()},
                                                     {"uri", recorded_uri(uri)},
                                                     {"key", birth->ref.to_json()},
                                                     {"logs", Json(Json::Array{})}}));
  remove_file(begun);
  return key.vkey();
}

Cosigned cosign(Environment& env, const std::string& where, const std::string& request_file,
                const std::string& first, const std::string& go_on) {
  const std::string directory = absolute_path(where);
  load_witness(directory);
  refuse_network_filesystem(directory);
  // Two runs that read the same memory could sign two histories.
  WorkLock lock(path_join(directory, "."), "witness " + directory, "kesu ledger witness show " + directory);
  Witness witness = load_witness(directory);
  const std::string text = to_text(read_file(request_file, kMaxFile));
  const CosignRequest request = CosignRequest::parse(text);
  const Note note = Note::parse(request.note);
  const Checkpoint head = Checkpoint::parse_text(note.text);
  std::string vkey;
  std::optional<Seen> seen = expect_log(directory, witness, head, first, vkey);
  const NoteKey log = NoteKey::parse(vkey);
  if (log.type != NoteKeyType::ed25519)
    throw Error(Code::bad_input, "--first takes a log's vkey; this is a witness's");
  if (log.name != head.origin || verify_note(note, log) != NoteVerdict::good)
    throw Error(Code::signature_bad,
                "the checkpoint is not signed by the key that this witness knows the log by")
        .tried("log " + head.origin + ", " + head_text(head.size, head.root))
        .cause(log.name == head.origin ? "no good signature of " + vkey
                                       : "that key is of the log " + log.name)
        .next("ask the vault's people for the checkpoint again, and how it came to this machine");

  Cosigned out{.origin = head.origin,
               .witness = witness.key.name,
               .line = {},
               .size = head.size,
               .before = seen ? seen->size : 0,
               .root = hex(head.root)};
  if (seen) {
    if (head.size < seen->size)
      throw Error(Code::state_refused, "the checkpoint is older than what this witness saw of " + head.origin)
          .cause("seen " + head_text(seen->size, seen->root) + "; shown " + head_text(head.size, head.root))
          .next("ask for the checkpoint as it is now: kesu ledger checkpoint --export FILE --since " +
                std::to_string(seen->size) +
                "; if the vault has no more entries than that, it was set back: tell those who rely on it");
    if (head.size == seen->size) {
      if (head.root != seen->root)
        report_fork(env, directory, text, *seen, head,
                    "the same size with another root, both signed by the log");
      out.line = seen->signature;
      out.time = seen->cosigned;
      out.again = true;
      if (!pin_of(witness.document, head.origin)) pin(directory, witness, head.origin, vkey, seen->cosigned);
      return out;
    }
    if (request.old_size != seen->size)
      throw Error(Code::state_refused, "the proof begins at size " + std::to_string(request.old_size) +
                                           ", and this witness saw " + head.origin + " last at size " +
                                           std::to_string(seen->size))
          .next("ask for it from there: kesu ledger checkpoint --export FILE --since " +
                std::to_string(seen->size));
    if (!verify_consistency(seen->size, seen->root, head.size, head.root, request.proof))
      report_fork(env, directory, text, *seen, head,
                  "the proof does not lead from what was seen to what is shown: entries below " +
                      std::to_string(seen->size) + " were changed, or the proof was");
  }

  refuse_forked(env, directory, witness, head.origin, go_on);
  const KeyRef ref = KeyRef::from_json(witness.document.at("key"));
  auto provider = env.providers.open(resolve_provider_uri(directory, witness.document.str("uri")));
  Millis now = env.clock.now();
  if (seen && now < seen->cosigned) {
    if (seen->cosigned - now > kClockGive)
      env.notice("this clock is behind the time of the last cosignature, " + utc_text(seen->cosigned) +
                 ", which is used instead");
    now = seen->cosigned;
  }
  now -= now % 1000;
  const NoteSignature line = cosign_note(note.text, witness.key, static_cast<uint64_t>(now / 1000),
                                         [&](ByteView message) { return provider->sign(ref, message); });
  const bool fresh = !seen;
  Seen next{.origin = head.origin,
            .vkey = vkey,
            .note = request.note,
            .signature = line_text(line),
            .size = head.size,
            .root = head.root,
            .cosigned = now};
  make_directories(path_join(directory, "logs"), 0700);
  sync_directory(directory);
  write_document(log_file(directory, head.origin), next.to_json());
  if (fresh || !pin_of(witness.document, head.origin)) pin(directory, witness, head.origin, vkey, now);
  out.line = next.signature;
  out.time = now;
  return out;
}

Json witness_json(const std::string& where) {
  const std::string directory = absolute_path(where);
  const Witness witness = load_witness(directory);
  Json logs(Json::Array{});
  for (const Json& log : witness.document.at("logs").as_array()) {
    const auto seen = Seen::load(directory, log.str("origin"));
    logs.push(Json::object(
        {{"origin", log.str("origin")},
         {"vkey", log.str("vkey")},
         {"size", seen ? Json(seen->size) : Json()},
         {"root", seen ? Json(hex(seen->root)) : Json()},
         {"cosigned", seen ? Json(utc_text(seen->cosigned)) : Json()},
         {"since", log.at("since")},
         {"stopped", !refusals_of(directory, witness.document, log.str("origin")).open.empty()}}));
  }
  const std::string refused = path_join(directory, "refused");
  return Json::object(
      {{"name", witness.document.str("name")},
       {"vkey", witness.document.str("vkey")},
       {"logs", logs},
       {"went_on", witness.document.find("went_on") ? witness.document.at("went_on") : Json(Json::Array{})},
       {"refusals", exists(refused) ? list_directory(refused).size() : size_t{0}}});
}

}  // namespace kesu
