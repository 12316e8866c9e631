// Witnesses of kesu.toml, requests to them, and what they gave back.
#include "app/witnessing.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "app/anchors.h"
#include "app/rules.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "certificate/claims.h"
#include "ledger/checkpoint.h"
#include "ledger/cosign_request.h"
#include "ledger/tree.h"

namespace kesu {

namespace {
constexpr size_t kMaxWitnesses = 16;

Error config_error(const std::string& path, size_t number, const std::string& why) {
  return Error(Code::bad_input, path + ": witness " + std::to_string(number) + ": " + why)
      .next("correct kesu.toml: each [[witness]] has one vkey, as kesu ledger witness init printed it");
}

// The witnesses that cosigned this note, by position among `keys`, with their times. One that was attached
// has good lines only; what stands there otherwise counts as none.
std::vector<std::pair<size_t, uint64_t>> cosigners(const Note& note, const std::vector<NoteKey>& keys) {
  std::vector<std::pair<size_t, uint64_t>> out;
  for (size_t i = 0; i < keys.size(); ++i) {
    uint64_t time = 0;
    if (verify_note(note, keys[i], &time) == NoteVerdict::good) out.emplace_back(i, time);
  }
  return out;
}

bool has_cosignatures(std::string_view note) {
  constexpr std::string_view kLine = "\n\xE2\x80\x94 ";
  const size_t first = note.find(kLine);
  return first != std::string_view::npos && note.find(kLine, first + 1) != std::string_view::npos;
}

// The log's own line alone.
std::string without_cosignatures(const std::string& note, const std::string& vkey) {
  Note parsed = Note::parse(note);
  const NoteKey log = NoteKey::parse(vkey);
  std::erase_if(parsed.signatures,
                [&](const NoteSignature& s) { return s.id != log.id() || s.name != log.name; });
  return parsed.str();
}

// Newest size that every one of them cosigned.
uint64_t seen_by_all(Vault& vault, const std::vector<NoteKey>& keys) {
  std::vector<uint64_t> seen(keys.size(), 0);
  for (const SavedCheckpoint& c : vault.store().checkpoints()) {
    if (!has_cosignatures(c.note)) continue;
    for (auto& [i, time] : cosigners(Note::parse(c.note), keys)) seen[i] = std::max(seen[i], c.size);
  }
  return seen.empty() ? 0 : *std::min_element(seen.begin(), seen.end());
}

// What a reader of this certificate has to learn of: then an older checkpoint is no longer good enough.
bool matters(const Header& h, const std::set<std::string>& about, const std::string& vault) {
  if (h.type == "ledger-key-set" || h.type == "vault-closed") return true;
  const bool remark = h.type == "finding-recorded" || h.type == "exception-recorded";
  auto is_of = [&](const std::string& id) { return about.contains(id) || (remark && id == vault); };
  return std::any_of(h.nodes.begin(), h.nodes.end(),
                     [&](const NodeMention& n) { return is_of(n.id) || about.contains(n.of); }) ||
         std::any_of(h.edges.begin(), h.edges.end(),
                     [&](const Edge& e) { return is_of(e.first) || is_of(e.second); });
}

std::set<std::string> nodes_about(const State& state, const CertificateRecord& c) {
  std::set<std::string> out{c.id, c.erasure};
  const ErasureRecord& e = state.erasures.at(c.erasure);
  out.insert(e.datasets.begin(), e.datasets.end());
  out.insert(e.versions.begin(), e.versions.end());
  for (auto& [id, copy] : state.copies)
    if (std::any_of(copy.versions.begin(), copy.versions.end(), [&](auto& v) { return out.contains(v); }))
      out.insert(id);
  return out;
}

// What only witnesses outside of the rules signed is refused by name.
void refuse_unbound(const std::vector<NoteSignature>& lines, const std::vector<NoteKey>& keys,
                    const std::vector<NoteKey>& configured) {
  auto of = [&](const NoteKey& k) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const NoteSignature& s) { return k.id() == s.id && k.name == s.name; });
  };
  if (std::any_of(keys.begin(), keys.end(), of)) return;
  for (const NoteKey& k : configured)
    if (of(k))
      throw Error(Code::policy_refused, "witness " + k.name + " is not one of this vault's rules")
          .cause("kesu.toml names it, and the rules name others: its cosignature would count for nothing")
          .next(
              "kesu vault rules shows whom; kesu vault rules --witness VKEY has them name it, which "
              "approvers sign");
}

// Lines of an answer, or those of a whole note.
std::vector<NoteSignature> lines_of(const std::string& text) {
  if (text.starts_with("\xE2\x80\x94 ")) return Note::parse("x\n\n" + text).signatures;
  return Note::parse(text).signatures;
}
}  // namespace

const CertificateRecord* certificate_at(const State& state, uint64_t seq) {
  for (auto& [id, c] : state.certificates)
    if (c.newest_entry() == seq) return &c;
  return nullptr;
}

bool says_all(Vault& vault, const CertificateRecord& certificate, uint64_t size) {
  const std::set<std::string> about = nodes_about(vault.state(), certificate);
  bool stale = false;
  vault.store().read(
      size, vault.state().size,
      [&](const StoredEntry& e) {
        stale = matters(e.entry.header, about, vault.state().vault.id);
        return !stale;
      },
      [](const Header&) { return false; });
  return !stale;
}

std::vector<NoteKey> configured_witnesses(const std::string& directory) {
  const std::string path = path_join(directory, "kesu.toml");
  std::vector<NoteKey> out;
  try {
    const toml::table config = toml::parse(to_text(read_file(path, 1 << 20)), path);
    const toml::node* node = config.get("witness");
    if (!node) return out;
    if (!node->is_array())
      throw Error(Code::bad_input, path + ": witness is something else than [[witness]] tables");
    if (node->as_array()->size() > kMaxWitnesses)
      throw Error(Code::bad_input, path + ": more than 16 witnesses");
    for (const toml::node& item : *node->as_array()) {
      const size_t number = out.size() + 1;
      const toml::table* table = item.as_table();
      if (!table) throw config_error(path, number, "is no table");
      for (auto&& [key, value] : *table)
        if (key.str() != "vkey") throw config_error(path, number, "unknown member " + std::string(key.str()));
      const auto vkey = (*table)["vkey"].value<std::string>();
      if (!vkey) throw config_error(path, number, "has no vkey");
      try {
        out.push_back(NoteKey::parse(*vkey));
      } catch (const Error& e) {
        throw config_error(path, number, e.message());
      }
      if (out.back().type != NoteKeyType::cosignature_v1)
        throw config_error(path, number, "this is a log's key; a witness's has type 04");
      for (size_t i = 0; i + 1 < out.size(); ++i)
        if (out[i].key == out.back().key) throw config_error(path, number, "stands there twice");
    }
  } catch (const toml::parse_error& e) {
    throw Error(Code::bad_input, path + " is not TOML").cause(std::string(e.description()));
  }
  return out;
}

int64_t witnesses_wanted(Vault& vault, const Anchors& anchors, size_t configured) {
  const Profile* profile = find_profile(rules_in_force(vault.state(), moment_now(vault)).profile);
  return std::max<int64_t>(
      {profile ? profile->witness_quorum : 0, anchors.witness_quorum, configured ? 1 : 0});
}

ExportedCheckpoint export_checkpoint(Vault& vault, const std::string& file, std::optional<uint64_t> since) {
  const std::vector<NoteKey> keys =
      witnesses_of_rules(configured_witnesses(vault.directory()), anchors_now(vault));
  const auto refuse = [&] {
    throw Error(Code::already_exists, file + " is there already").next("choose another FILE");
  };
  // Another request may be this one: a run that was killed before it could say so.
  const bool there = exists(file);
  const std::vector<SavedCheckpoint> made = vault.store().checkpoints();
  if (there && std::none_of(made.begin(), made.end(),
                            [&](const SavedCheckpoint& c) { return c.size == vault.state().size; }))
    refuse();
  const SavedCheckpoint head = vault.checkpoint();
  ExportedCheckpoint out{.checkpoint = head, .since = since ? *since : seen_by_all(vault, keys)};
  if (out.since > head.size)
    throw Error(Code::bad_input, "the ledger never had " + std::to_string(out.since) + " entries")
        .cause("it has " + std::to_string(head.size) +
               "; a witness that saw more saw another history of this vault: it was set back");
  CosignRequest request{
      .old_size = out.since, .proof = {}, .note = without_cosignatures(head.note, vault.state().vault.vkey)};
  if (out.since < head.size) request.proof = consistency_proof(vault.store().leaves(head.size), out.since);
  out.proof = request.proof.size();
  if (there && !holds(file, as_bytes(request.text()))) refuse();
  if (!there) write_output(file, as_bytes(request.text()), 0644, false);
  return out;
}

Attached attach_cosignatures(Vault& vault, const std::string& file) {
  const std::vector<NoteKey> configured = configured_witnesses(vault.directory());
  if (configured.empty())
    throw Error(Code::state_refused, "kesu.toml names no witness: nobody's cosignature would count")
        .next("add [[witness]] with the vkey that the witness told you by another way than this file");
  const std::vector<NoteKey> keys = witnesses_kept(vault, configured);
  std::vector<NoteSignature> lines = lines_of(to_text(read_file(file, kMaxNote)));
  refuse_unbound(lines, keys, configured);
  std::erase_if(lines, [&](const NoteSignature& s) {
    return std::none_of(keys.begin(), keys.end(),
                        [&](const NoteKey& k) { return k.id() == s.id && k.name == s.name; });
  });
  if (lines.empty())
    throw Error(Code::signature_bad, "no line of " + file + " is of a witness that kesu.toml names")
        .next("compare the witness's vkey (kesu ledger witness show) with [[witness]] in kesu.toml");
  // All of an answer are of one checkpoint; the newest are the likeliest.
  std::vector<SavedCheckpoint> all = vault.store().checkpoints();
  auto fits = [&](const std::string& text) {
    return std::all_of(lines.begin(), lines.end(), [&](const NoteSignature& line) {
      return std::any_of(keys.begin(), keys.end(), [&](const NoteKey& key) {
        return verify_note({text, {line}}, key) == NoteVerdict::good;
      });
    });
  };
  Attached out;
  Note merged;
  for (auto c = all.rbegin(); c != all.rend() && merged.text.empty(); ++c)
    if (Note note = Note::parse(c->note); fits(note.text)) {
      out.checkpoint.size = c->size;
      merged.text = note.text;
    }
  if (merged.text.empty())
    throw Error(Code::signature_bad,
                "what " + file + " holds is over no checkpoint that this vault has signed")
        .tried(std::to_string(all.size()) + " checkpoints")
        .cause("the line was altered, or it is of another vault, or of this one before it was set back")
        .next("export the checkpoint again and have it cosigned: kesu ledger checkpoint --export FILE");
  // Of one size: the log's own line, what was attached before, and the new ones.
  auto add = [&](const NoteSignature& line) {
    const bool there =
        std::any_of(merged.signatures.begin(), merged.signatures.end(),
                    [&](const NoteSignature& s) { return s.id == line.id && s.name == line.name; });
    if (!there) merged.signatures.push_back(line);
  };
  for (const SavedCheckpoint& c : all)
    if (c.size == out.checkpoint.size)
      if (Note note = Note::parse(c.note); note.text == merged.text)
        for (const NoteSignature& line : note.signatures) add(line);
  for (const NoteSignature& line : lines) add(line);
  out.checkpoint.note = merged.str();
  for (auto& [i, time] : cosigners(merged, keys))
    out.witnesses.push_back({keys[i].name, static_cast<Millis>(time) * 1000});
  out.wanted = witnesses_wanted(vault, anchors_now(vault), keys.size());
  vault.store().save_checkpoint(out.checkpoint);
  return out;
}

std::optional<SavedCheckpoint> cosigned_checkpoint(Vault& vault, uint64_t covers) {
  const CertificateRecord* certificate = certificate_at(vault.state(), covers);
  if (!certificate) return std::nullopt;
  const Anchors anchors = anchors_at_request(vault, certificate->erasure);
  const std::vector<NoteKey> keys = witnesses_counted(configured_witnesses(vault.directory()), anchors);
  if (keys.empty()) return std::nullopt;
  const auto wanted = static_cast<size_t>(witnesses_wanted(vault, anchors, keys.size()));
  // By how many of those wanted, then the newest, then how many.
  std::optional<SavedCheckpoint> best;
  std::tuple<size_t, uint64_t, size_t> rank{};
  for (const SavedCheckpoint& c : vault.store().checkpoints()) {
    if (c.size <= covers || !has_cosignatures(c.note)) continue;
    const size_t n = cosigners(Note::parse(c.note), keys).size();
    const std::tuple<size_t, uint64_t, size_t> here{std::min(n, wanted), c.size, n};
    if (n > 0 && here > rank) best = c, rank = here;
  }
  if (!best) return std::nullopt;
  if (says_all(vault, *certificate, best->size)) return best;
  vault.env().notice(
      "entries since the cosigned checkpoint are about this certificate: the bundle has a newer "
      "one, which the witnesses have not seen");
  return std::nullopt;
}

void add_witness_due(Vault& vault, std::vector<Due>& due) {
  const State& state = vault.state();
  std::vector<NoteKey> keys;
  std::string trouble;
  try {
    keys = configured_witnesses(vault.directory());
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    trouble = e.message();
  }
  if (state.certificates.empty()) return;
  std::vector<std::pair<uint64_t, Note>> cosigned;
  for (const SavedCheckpoint& c : vault.store().checkpoints())
    if (has_cosignatures(c.note)) cosigned.emplace_back(c.size, Note::parse(c.note));
  for (auto& [id, c] : state.certificates) {
    if (c.state != "issued") continue;
    const Anchors anchors = anchors_at_request(vault, c.erasure);
    const std::vector<NoteKey> counted = witnesses_counted(keys, anchors);
    const bool reached = !witnesses_of_rules(keys, anchors).empty();
    const int64_t wanted = witnesses_wanted(vault, anchors, counted.size());
    int64_t have = 0;
    for (auto& [size, note] : cosigned)
      if (size > c.newest_entry())
        have = std::max(have, static_cast<int64_t>(cosigners(note, counted).size()));
    if (have >= wanted) continue;
    due.push_back(
        {"certificate", id, id.substr(0, 12), c.issued, false,
         "has " + std::to_string(have) + " of " + std::to_string(wanted) +
             " witness signatures on the checkpoint that covers it" +
             (!trouble.empty() ? "; " + trouble
              : keys.empty()   ? "; kesu.toml names no witness"
              : !reached       ? "; kesu.toml names none of those of the rules"
                               : ""),
         !reached ? "add [[witness]] with its vkey to kesu.toml, then kesu ledger checkpoint --export FILE"
                  : "kesu ledger checkpoint --export FILE; the witness's answer: kesu ledger "
                    "checkpoint --attach FILE; then kesu certificate bundle " +
                        c.erasure.substr(0, 12) + " -o DIR"});
  }
}

}  // namespace kesu
