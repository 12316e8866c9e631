// State's records as register rows and back. A row's JSON is the whole record; the reader rebuilds from the
// ledger when anything in it does not fit.
#include <algorithm>
#include <charconv>

#include "app/registers_impl.h"
#include "base/error.h"

namespace kesu {

namespace {
using registers::list;
using registers::read;
using registers::row;
using registers::strings;

Json row(const ProviderRecord& p) {
  return Json::object({{"id", p.id},
                       {"name", p.name},
                       {"uri", p.uri},
                       {"state", p.state},
                       {"grade_reason", p.grade_reason},
                       {"identity", p.identity.to_json()},
                       {"capabilities", p.capabilities},
                       {"test_grade", p.test_grade},
                       {"control", p.control},
                       {"generation", p.generation}});
}
void read(const Json& j, ProviderRecord& p) {
  p = {j.str("id"),          j.str("name"),         j.str("uri"),
       j.str("state"),       j.str("grade_reason"), ProviderIdentity::from_json(j.at("identity")),
       j.at("capabilities"), j.flag("test_grade"),  j.str("control"),
       j.num("generation")};
}

// There are ten thousand versions: members that say nothing are left out.
void put(Json& row, const char* name, const std::string& text) {
  if (!text.empty()) row.set(name, text);
}
void put(Json& row, const char* name, int64_t number) {
  if (number) row.set(name, number);
}

Json row(const VersionRecord& v) {
  Json out = Json::object({{"id", v.id}, {"state", v.state}, {"provider", v.provider}});
  put(out, "state_before", v.state_before);
  put(out, "erasure", v.erasure);
  put(out, "birth", v.birth);
  if (v.ref) out.set("ref", v.ref->to_json());
  if (v.origin != "generated") out.set("origin", v.origin);
  put(out, "reason", v.reason);
  put(out, "created", v.created);
  put(out, "activated", v.activated);
  put(out, "deactivated", v.deactivated);
  put(out, "destroyed", v.destroyed);
  put(out, "compromised", v.compromised);
  put(out, "occurred", v.occurred);
  put(out, "originator", v.originator);
  put(out, "recipient", v.recipient);
  put(out, "originator_exception", v.originator_exception);
  put(out, "recipient_exception", v.recipient_exception);
  put(out, "wraps", v.wraps);
  if (v.wrap_quota != kWrapQuota) out.set("wrap_quota", v.wrap_quota);
  put(out, "inspected", v.inspected);
  put(out, "before", v.before);
  if (v.receipt_lost) out.set("receipt_lost", true);
  if (!v.attested.empty()) {
    Json attested(Json::Array{});
    for (const AttestationRecord& a : v.attested)
      attested.push(Json::object(
          {{"operator", a.operator_id}, {"role", a.role}, {"statement", a.statement}, {"time", a.time}}));
    out.set("attested", attested);
  }
  put(out, "bracket", static_cast<int64_t>(v.bracket));
  if (!v.actor.is_null()) out.set("actor", v.actor);
  put(out, "since", v.since);
  return out;
}
void read(const Json& j, VersionRecord& v) {
  v.id = j.str("id");
  if (!VersionRef::parse(v.id)) throw Error(Code::bad_input, "no key version");
  v.state = j.str("state");
  v.provider = j.str("provider");
  v.origin = "generated";
  v.wrap_quota = kWrapQuota;
  // By its members, each once: look-ups by name would take most of the time.
  const std::pair<std::string_view, std::string*> texts[] = {{"state_before", &v.state_before},
                                                             {"erasure", &v.erasure},
                                                             {"birth", &v.birth},
                                                             {"origin", &v.origin},
                                                             {"reason", &v.reason},
                                                             {"inspected", &v.inspected},
                                                             {"before", &v.before}};
  const std::pair<std::string_view, int64_t*> numbers[] = {{"created", &v.created},
                                                           {"activated", &v.activated},
                                                           {"deactivated", &v.deactivated},
                                                           {"destroyed", &v.destroyed},
                                                           {"compromised", &v.compromised},
                                                           {"occurred", &v.occurred},
                                                           {"originator", &v.originator},
                                                           {"recipient", &v.recipient},
                                                           {"wraps", &v.wraps},
                                                           {"wrap_quota", &v.wrap_quota},
                                                           {"since", &v.since},
                                                           {"originator_exception", &v.originator_exception},
                                                           {"recipient_exception", &v.recipient_exception}};
  for (auto& [name, value] : j.as_object()) {
    if (value.is_string()) {
      for (auto& [known, to] : texts)
        if (known == name) *to = value.as_string();
    } else if (value.is_int()) {
      for (auto& [known, to] : numbers)
        if (known == name) *to = value.as_int();
    }
  }
  if (const Json* ref = j.find("ref")) v.ref = KeyRef::from_json(*ref);
  v.receipt_lost = j.flag("receipt_lost");
  if (const Json* attested = j.find("attested"))
    for (const Json& a : attested->as_array())
      v.attested.push_back({a.str("operator"), a.str("role"), a.str("statement"), a.num("time")});
  v.bracket = static_cast<uint64_t>(j.num_or("bracket", 0));
  if (const Json* actor = j.find("actor")) v.actor = *actor;
}

Json row(const KeyRecord& k) {
  Json versions(Json::Array{});
  for (const VersionRecord& v : k.versions) versions.push(row(v));
  return Json::object({{"id", k.id},
                       {"name", k.name},
                       {"purpose", purpose_text(k.purpose)},
                       {"provider", k.provider},
                       {"fingerprints_of", k.fingerprints_of},
                       {"versions", versions}});
}
void read(const Json& j, KeyRecord& k) {
  k.id = j.str("id");
  k.name = j.str("name");
  auto purpose = parse_purpose(j.str("purpose"));
  if (!purpose) throw Error(Code::bad_input, "no purpose");
  k.purpose = *purpose;
  k.provider = j.str("provider");
  k.fingerprints_of = j.str("fingerprints_of");
  for (const Json& v : j.at("versions").as_array()) read(v, k.versions.emplace_back());
}

// A string in canonical form.
void put_text(std::string& out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain)
    out.append("\"").append(text).append("\"");
  else
    out += Json(text).canonical();
}

// There are hundreds of thousands: written in canonical form at once, members in its order; those that say
// nothing are left out.
std::string text_of(const BatchRecord& b) {
  std::string out;
  out.reserve(1024);
  auto member = [&](std::string_view name) {
    out.append(out.empty() ? "{\"" : ",\"").append(name).append("\":");
  };
  auto text = [&](std::string_view name, std::string_view value) {
    member(name);
    put_text(out, value);
  };
  auto number = [&](std::string_view name, int64_t value) {
    member(name);
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  };
  auto texts = [&](std::string_view name, const std::vector<std::string>& values) {
    member(name);
    out += '[';
    for (const std::string& v : values) {
      if (out.back() != '[') out += ',';
      put_text(out, v);
    }
    out += ']';
  };
  auto json = [&](std::string_view name, const Json& value) {
    member(name);
    out += value.canonical();
  };
  if (!b.actor.is_null()) json("actor", b.actor);
  number("bytes", b.bytes);
  if (!b.content_algorithm.empty()) text("content_algorithm", b.content_algorithm);
  text("dataset_key", b.dataset_key);
  if (b.done_seq) number("done_seq", static_cast<int64_t>(b.done_seq));
  text("id", b.id);
  text("location", b.location);
  number("n", b.n);
  if (!b.objects.empty()) texts("objects", b.objects);
  if (!b.on.empty()) {
    Json on(Json::Object{});
    for (auto& [version, positions] : b.on) on.set(version, positions_json(positions));
    json("on", on);
  }
  if (!b.place.born.empty()) text("place_born", b.place.born);
  if (!b.place.filesystem.empty()) text("place_filesystem", b.place.filesystem);
  text("place_inode", b.place.inode);
  texts("reached_by", b.reached_by);
  if (b.replaced) number("replaced", b.replaced);
  if (!b.rewrap.version.empty())
    json("rewrap", Json::object({{"version", b.rewrap.version},
                                 {"objects", positions_json(b.rewrap.objects)},
                                 {"actor", b.rewrap.actor},
                                 {"since", b.rewrap.since}}));
  if (!b.root.empty()) text("root", b.root);
  number("seq", static_cast<int64_t>(b.seq));
  number("since", b.since);
  text("state", b.state);
  text("version", b.version);
  if (!b.wrap_algorithm.empty()) text("wrap_algorithm", b.wrap_algorithm);
  return out += '}';
}
void read(const Json& j, BatchRecord& b) {
  b.id = j.str("id");
  b.state = j.str("state");
  b.version = j.str("version");
  b.dataset_key = j.str("dataset_key");
  b.location = j.str("location");
  b.reached_by = strings(j.at("reached_by"));
  b.n = j.num("n");
  b.bytes = j.num("bytes");
  b.seq = static_cast<uint64_t>(j.num("seq"));
  b.since = j.num("since");
  b.place = {j.str("place_inode"), j.str_or("place_born", ""), j.str_or("place_filesystem", "")};
  b.root = j.str_or("root", "");
  b.content_algorithm = j.str_or("content_algorithm", "");
  b.wrap_algorithm = j.str_or("wrap_algorithm", "");
  b.done_seq = static_cast<uint64_t>(j.num_or("done_seq", 0));
  b.replaced = j.num_or("replaced", 0);
  if (const Json* objects = j.find("objects")) b.objects = strings(*objects);
  if (const Json* actor = j.find("actor")) b.actor = *actor;
  if (const Json* on = j.find("on"))
    for (auto& [version, positions] : on->as_object()) b.on[version] = positions_from(positions);
  if (const Json* rewrap = j.find("rewrap"))
    b.rewrap = {rewrap->str("version"), positions_from(rewrap->at("objects")), rewrap->at("actor"),
                rewrap->num("since")};
}

Json wrapped_keys(const std::vector<DatasetKeyRecord>& keys) {
  Json out(Json::Array{});
  for (const DatasetKeyRecord& k : keys)
    out.push(Json::object({{"id", k.id},
                           {"version", k.version},
                           {"algorithm", static_cast<int64_t>(k.wrapped.algorithm)},
                           {"nonce", hex(k.wrapped.nonce)},
                           {"blob", hex(k.wrapped.blob)},
                           {"rewrapped", k.rewrapped}}));
  return out;
}
std::vector<DatasetKeyRecord> wrapped_keys_from(const Json& rows) {
  std::vector<DatasetKeyRecord> out;
  for (const Json& k : rows.as_array())
    out.push_back({k.str("id"),
                   k.str("version"),
                   {static_cast<WrapAlg>(k.num("algorithm")), unhex(k.str("nonce")).value_or(Bytes{}),
                    unhex(k.str("blob")).value_or(Bytes{})},
                   k.flag("rewrapped")});
  return out;
}

// Of its batches only the sums; each has a row of its own.
Json row(const DatasetRecord& d) {
  Json kinds(Json::Array{}), under(Json::Array{}), given_up(Json::Object{});
  for (auto& [kind, sums] : d.batches.kinds())
    kinds.push(Json::object({{"version", kind.version},
                             {"dataset_key", kind.dataset_key},
                             {"content_algorithm", kind.content_algorithm},
                             {"wrap_algorithm", kind.wrap_algorithm},
                             {"reached_by", list(kind.reached_by)},
                             {"batches", sums.batches},
                             {"objects", sums.objects},
                             {"bytes", sums.bytes},
                             {"replaced", sums.replaced}}));
  for (auto& [by, sums] : d.batches.under())
    under.push(Json::object({{"version", by.first},
                             {"wrap_algorithm", by.second},
                             {"batches", sums.batches},
                             {"objects", sums.objects}}));
  for (auto& [version, n] : d.batches.given_up()) given_up.set(version, n);
  return Json::object({{"id", d.id},
                       {"name", d.name},
                       {"key", d.key},
                       {"state", d.state},
                       {"erasure", d.erasure},
                       {"settings", d.settings},
                       {"keys", wrapped_keys(d.keys)},
                       {"fingerprint_keys", wrapped_keys(d.fingerprint_keys)},
                       {"sealed", kinds},
                       {"under", under},
                       {"given_up", given_up}});
}
void read(const Json& j, DatasetRecord& d, Batches::Loader loader) {
  d.id = j.str("id");
  d.name = j.str("name");
  d.key = j.str("key");
  d.state = j.str("state");
  d.erasure = j.str("erasure");
  d.settings = j.at("settings");
  d.keys = wrapped_keys_from(j.at("keys"));
  d.fingerprint_keys = wrapped_keys_from(j.at("fingerprint_keys"));
  BatchesByKind kinds;
  for (const Json& k : j.at("sealed").as_array())
    kinds[{k.str("version"), k.str("dataset_key"), k.str("content_algorithm"), k.str("wrap_algorithm"),
           strings(k.at("reached_by"))}] = {k.num("batches"), k.num("objects"), k.num("bytes"),
                                            k.num("replaced")};
  BatchesUnder under;
  for (const Json& u : j.at("under").as_array())
    under[{u.str("version"), u.str("wrap_algorithm")}] = {u.num("batches"), u.num("objects"), 0, 0};
  GivenUp given_up;
  for (auto& [version, n] : j.at("given_up").as_object()) given_up[version] = n.as_int();
  d.batches.restore(std::move(kinds), std::move(under), std::move(given_up), std::move(loader));
}

Json row(const ProcessRecord& p) {
  return Json::object(
      {{"id", p.id}, {"purpose", p.purpose}, {"dataset", p.dataset}, {"actor", p.actor}, {"until", p.until}});
}
void read(const Json& j, ProcessRecord& p) {
  p = {j.str("id"), j.str("purpose"), j.str("dataset"), j.at("actor"), j.num("until")};
}

// Calls visit(kind, id, record) for every record but batches.
template <class S, class F>
void each_record(S& s, F visit) {
  if (!s.vault.id.empty()) visit("vault", s.vault.id, s.vault);
  for (auto& [id, r] : s.operators) visit("operator", id, r);
  for (auto& [id, r] : s.providers) visit("provider", id, r);
  for (auto& [id, r] : s.keys) visit("key", id, r);
  for (auto& [id, r] : s.datasets) visit("dataset", id, r);
  for (auto& [id, r] : s.processes) visit("process", id, r);
  for (auto& [id, r] : s.erasures) visit("erasure", id, r);
  for (auto& [id, r] : s.certificates) visit("certificate", id, r);
  for (auto& [id, r] : s.copies) visit("copy", id, r);
  for (auto& [id, r] : s.holds) visit("hold", id, r);
  for (auto& [id, r] : s.findings) visit("finding", id, r);
  for (auto& [id, r] : s.exceptions) visit("exception", id, r);
  for (auto& [seq, r] : s.changes) visit("change", std::to_string(seq), r);
  for (auto& [id, r] : s.contacts) visit("contact", id, r);
  for (auto& [id, r] : s.notices) visit("notice", id, r);
}

// Read with every state, for somebody has to end them.
constexpr const char* kOpen = "open-batch";
}  // namespace

void State::each_row(const RowVisitor& visit) const {
  each_row_in_use(visit);
  for (auto& [id, d] : datasets)
    d.batches.each_loaded([&](const BatchRecord& b) {
      if (!b.is_open()) visit(std::string(kAtRest), id + "/" + b.id, text_of(b));
    });
}

void State::each_row_in_use(const RowVisitor& visit) const {
  each_record(*this, [&](const char* kind, const std::string& id, const auto& record) {
    visit(kind, id, row(record).canonical());
  });
  for (auto& [id, d] : datasets)
    for (const BatchRecord& b : d.batches.open()) visit(kOpen, id + "/" + b.id, text_of(b));
}

std::optional<std::string> State::row_at_rest(std::string_view id) const {
  const size_t slash = std::min(id.find('/'), id.size());
  const std::string batch(id.substr(std::min(slash + 1, id.size())));
  auto d = datasets.find(std::string(id.substr(0, slash)));
  if (d == datasets.end() || !BatchId::parse(batch)) return std::nullopt;
  auto b = d->second.batches.find(batch);
  if (!b || b->is_open()) return std::nullopt;
  return text_of(*b);
}

void State::each_changed(const RowVisitor& visit) const {
  std::set<std::pair<std::string, std::string>> gone = changed_;
  each_record(*this, [&](const char* kind, const std::string& id, const auto& record) {
    if (gone.erase({kind, id})) visit(kind, id, row(record).canonical());
  });
  for (auto& [kind, id] : gone) {
    if (kind != kAtRest) {
      visit(kind, id, "");
      continue;
    }
    const size_t slash = id.find('/');
    auto b = datasets.at(id.substr(0, slash)).batches.find(id.substr(slash + 1));
    if (!b) continue;
    const bool open = b->is_open();
    const std::string text = text_of(*b);
    visit(kOpen, id, open ? text : "");
    visit(kind, id, open ? "" : text);
  }
}

BatchRecord State::batch_from(std::string_view text) {
  BatchRecord b;
  read(parse_json(text, "register of a batch"), b);
  return b;
}

State State::from_registers(const Store::Registers& registers,
                            const std::function<Batches::Loader(const std::string&)>& batches) {
  State s;
  for (const auto& [kind, id, text] : registers.rows) {
    Json j = parse_json(text, "register " + kind + " " + id);
    if (kind == "vault")
      read(j, s.vault);
    else if (kind == "operator")
      read(j, s.operators[id]);
    else if (kind == "provider")
      read(j, s.providers[id]);
    else if (kind == "key")
      read(j, s.keys[id]);
    else if (kind == "dataset")
      read(j, s.datasets[id], batches(id));
    else if (kind == kOpen) {  // behind its dataset's row, in the order of kinds
      auto d = s.datasets.find(id.substr(0, id.find('/')));
      if (d == s.datasets.end()) throw Error(Code::bad_input, "a batch of no dataset");
      d->second.batches.restore_open(batch_from(text));
    } else if (kind == "process")
      read(j, s.processes[id]);
    else if (kind == "erasure")
      read(j, s.erasures[id]);
    else if (kind == "certificate")
      read(j, s.certificates[id]);
    else if (kind == "copy")
      read(j, s.copies[id]);
    else if (kind == "hold")
      read(j, s.holds[id]);
    else if (kind == "finding")
      read(j, s.findings[id]);
    else if (kind == "exception")
      read(j, s.exceptions[id]);
    else if (kind == "change")
      read(j, s.changes[static_cast<uint64_t>(j.num("seq"))]);
    else if (kind == "contact")
      read(j, s.contacts[id]);
    else if (kind == "notice")
      read(j, s.notices[id]);
    else
      throw Error(Code::bad_input, "unknown register kind " + kind);
  }
  s.size = registers.size;
  s.tracks_ = true;
  return s;
}

}  // namespace kesu
