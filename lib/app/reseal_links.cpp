#include "app/reseal_links.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/actor.h"
#include "app/datasets.h"

namespace kesu {

namespace {
bool names(const Header& h, const std::string& id) {
  return std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& n) { return n.id == id; });
}

ObjectId object_of(const std::string& hex32) {
  const auto id = ObjectId::parse("obj-" + hex32);
  if (!id) throw Error(Code::ledger_damaged, hex32 + " is no object's identifier").next("kesu ledger verify");
  return *id;
}

bool before(const ResealLinks::Link& a, const ResealLinks::Link& b) {
  return a.was == b.was ? a.at < b.at : a.was < b.was;
}
}  // namespace

ResealLinks::ResealLinks(Vault& vault, const std::string& from, const std::string& to) {
  std::map<std::string, std::vector<std::pair<ObjectId, ObjectId>>> intended;  // by batch: now, was
  std::map<std::string, uint64_t> sealed;                                      // by batch: its entry
  const auto wants = [&](const Header& h) {
    if (h.type == "document-attached") return names(h, from) && names(h, to);
    if (h.type != "seal-intended" && h.type != "seal-done") return false;
    return h.nodes.at(0).of == to;
  };
  const auto take = [&](const StoredEntry& e) {
    const Header& h = e.entry.header;
    if (!wants(h)) return true;
    const Json& body = e.entry.body;
    if (h.type == "seal-done") {
      sealed[h.nodes[0].id] = h.seq;
    } else if (h.type == "seal-intended") {
      const Json* reseals = body.find("reseals");
      if (!reseals || reseals->str("dataset") != from) return true;
      const auto &was = reseals->at("objects").as_array(), &now = body.at("objects").as_array();
      auto& pairs = intended[h.nodes[0].id];
      for (size_t i = 0; i < std::min(was.size(), now.size()); ++i)
        pairs.emplace_back(object_of(now[i].as_string()), object_of(was[i].as_string()));
    } else if (body.str_or("to", "") != to || body.str_or("from", "") != from) {
      return true;
    } else if (body.str("what") == kResealComplete) {
      complete_ = body;
    } else if (body.str("what") == kResealed) {
      documents_.push_back(body.str("document"));
      complete_.reset();
      const Json rows =
          parse_canonical_json(to_text(vault.store().blob(documents_.back())), "resealed objects");
      for (const Json& row : rows.as_array())
        links_.push_back({object_of(row.str("old")), object_of(row.str("new")), true, false, h.seq});
    }
    return true;
  };
  vault.store().read(0, vault.state().size, take, wants);
  std::vector<ObjectId> checked;  // new ones
  for (const Link& l : links_) checked.push_back(l.now);
  std::sort(checked.begin(), checked.end());
  const auto is_checked = [&](const ObjectId& now) {
    return std::binary_search(checked.begin(), checked.end(), now);
  };
  // What an interrupted run sealed and another one settled: its batch's segment says what stands.
  for (auto& [batch, pairs] : intended) {
    const auto done = sealed.find(batch);
    if (done == sealed.end()) continue;
    if (std::all_of(pairs.begin(), pairs.end(), [&](auto& p) { return is_checked(p.first); })) continue;
    std::set<ObjectId> stands;
    for (auto& [object, leaf] : parse_segment_leaves(vault.store().segment(to, batch)).objects)
      stands.insert(object);
    for (auto& [now, was] : pairs)
      if (stands.contains(now) && !is_checked(now)) links_.push_back({was, now, false, false, done->second});
  }
  std::stable_sort(links_.begin(), links_.end(), before);
  // Of each object the last that was checked, and the last one after it.
  std::vector<Link> counting;
  for (const Link& l : links_) {
    while (!counting.empty() && counting.back().was == l.was && (l.checked || !counting.back().checked))
      counting.pop_back();
    counting.push_back(l);
  }
  links_ = std::move(counting);
}

const ResealLinks::Link* ResealLinks::last(const ObjectId& was, bool checked) const {
  const Link* out = nullptr;
  const auto first = [](const Link& a, const ObjectId& b) { return a.was < b; };
  for (auto it = std::lower_bound(links_.begin(), links_.end(), was, first);
       it != links_.end() && it->was == was; ++it)
    if (!it->gone && (it->checked || !checked)) out = &*it;
  return out;
}

const ResealLinks::Link* ResealLinks::find(const ObjectId& was) const { return last(was, false); }
const ResealLinks::Link* ResealLinks::find_checked(const ObjectId& was) const { return last(was, true); }

ResealLinks::Link& ResealLinks::at(const Link& link) {
  return *std::find_if(std::lower_bound(links_.begin(), links_.end(), link, before), links_.end(),
                       [&](const Link& l) { return l.was == link.was && l.now == link.now; });
}

std::vector<ResealLinks::Link> ResealLinks::unchecked() const {
  std::vector<Link> out;
  for (const Link& l : links_)
    if (!l.checked && !l.gone) out.push_back(l);
  return out;
}

Json link_row(const ObjectId& was, const ObjectId& now, int64_t bytes, const Digest32& digest) {
  return Json::object(
      {{"bytes", bytes}, {"digest", hex(digest)}, {"new", hex(now.bytes())}, {"old", hex(was.bytes())}});
}

Event links_entry(Vault& vault, const std::string& from, const std::string& to, const std::string& batch,
                  const std::string& document) {
  Event out{.type = "document-attached",
            .nodes = {{.id = vault.env().random.id<DocumentId>().str(), .is = "attached", .d = document},
                      {.id = from},
                      {.id = to}},
            .body = Json::object({{"what", std::string(kResealed)},
                                  {"detail", "objects sealed anew into another dataset"},
                                  {"from", from},
                                  {"to", to},
                                  {"document", document},
                                  {"actor", this_process()}})};
  if (!batch.empty()) out.nodes.push_back({.id = batch});
  return out;
}

}  // namespace kesu
