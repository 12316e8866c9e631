#include "app/reseal.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>

#include "app/actor.h"
#include "app/current_objects.h"
#include "app/inventory_look.h"
#include "app/place_id.h"
#include "app/reseal_look.h"
#include "app/reseal_stream.h"
#include "app/rules.h"
#include "app/sealer.h"
#include "app/settle.h"
#include "app/work_lock.h"
#include "base/durable_directories.h"
#include "base/interrupt.h"
#include "crypto/hash.h"
#include "erasure/samples.h"
#include "seal/files.h"

namespace kesu {

namespace {
struct IdHash {
  size_t operator()(const ObjectId& id) const {
    size_t out;
    std::memcpy(&out, id.bytes().data(), sizeof out);  // random bits
    return out;
  }
};
using Places = std::unordered_map<ObjectId, std::string, IdHash>;

// A new object that is not as it was sealed, so that its origin is sealed once more.
struct Lost {
  ObjectId was;
  std::string place;     // "": it is no current object any more
  bool altered = false;  // something stands at its place
};

std::string last_location(const DatasetRecord& d) {
  const std::vector<BatchRecord> all = sealed_batches(d);
  for (auto b = all.rbegin(); b != all.rend(); ++b)
    if (b->location != "-") return b->location;
  throw Error(Code::usage, "nothing was sealed into " + d.name + " yet: where are its objects to go?")
      .next("--into DIR says it");
}

class Reseal {
 public:
  Reseal(Vault& vault, const ResealOrder& order, Progress& progress)
      : vault_(vault), order_(order), progress_(progress), links_(vault, order.from, order.to) {}

  ResealResult run() {
    const DatasetRecord& to = vault_.state().datasets.at(order_.to);
    protecting_version(vault_, to);  // says why not, before any key is asked for
    result_.place = absolute_path(order_.into.empty() ? last_location(to) : order_.into);
    find_paths();
    KeyHolder holder(vault_, order_.from, "reseal");
    holder_ = &holder;
    try {
      // One record for the list and for what is said of it at the end: what is sealed from here on is not in
      // it.
      const DatasetRecord listed = from();
      sums_ = listed.batches.sums();
      const CurrentObjects all(vault_, listed);
      look_at_links();
      make_directories_durable(result_.place);
      result_.place = std::filesystem::canonical(result_.place).string();
      check_unchecked(all);
      choose(all);
      seal(all);
      holder.end("returned");
      finish();
    } catch (Error& e) {
      throw e.tried("sealed " + std::to_string(links_.fresh()) + " objects anew, which stay");
    }
    return result_;
  }

 private:
  const DatasetRecord& from() const { return vault_.state().datasets.at(order_.from); }
  void fail(const std::string& path, const Error& e) {
    result_.failed.push_back({path, text_of(e), e.code()});
  }

  void find_paths() {
    for (const std::string& path : sealed_files(order_.paths, result_.failed)) try {
        const ObjectHeader h = header_at(path);
        if (h.vault == vault_.id() && h.dataset.str() == order_.from) moved_.try_emplace(h.object, path);
      } catch (const Error& e) {
        if (order_.paths.size() == 1 && path == absolute_path(order_.paths[0])) throw;
      }
  }

  // What there is to do.
  void choose(const CurrentObjects& all) {
    result_.objects = all.objects();
    int64_t bytes = 0;
    all.each_batch([&](const std::vector<SegmentObject>& some) {
      for (const SegmentObject& o : some) {
        if (const ResealLinks::Link* link = links_.find(o.object)) {
          result_.already += link->checked && !unknown_.contains(o.object);
          continue;
        }
        ++progress_.total_files;
        bytes += static_cast<int64_t>(o.bytes);
      }
    });
    progress_.total_bytes = bytes;
  }

  std::string path_of(const SegmentObject& o) const {
    const auto it = moved_.find(o.object);
    return it == moved_.end() ? o.place : it->second;
  }

  // What earlier runs sealed counts where it still stands.
  void look_at_links() {
    if (links_.all().empty()) return;
    KeyHolder holder(vault_, order_.to, "reseal");
    const CurrentObjects kept(vault_, DatasetRecord(vault_.state().datasets.at(order_.to)));
    std::unordered_map<ObjectId, const ResealLinks::Link*, IdHash> of;
    std::vector<ObjectId> wanted;
    for (const ResealLinks::Link& l : links_.all())
      if (of.emplace(l.now, &l).second) wanted.push_back(l.now);
    std::sort(wanted.begin(), wanted.end());
    const auto take = [&](const BatchRecord& batch, SegmentObject&& o, const Looked& looked) {
      const auto it = of.find(o.object);
      if (it == of.end()) return;
      const ResealLinks::Link& link = *it->second;
      of.erase(it);
      if (!looked.verdict) {
        if (!link.checked) places_[o.object] = o.place;
      } else if (is_lost(*looked.verdict)) {
        refuse_hidden(batch, o, *looked.verdict);
        lose(link, o.place, looked.verdict->altered);
      } else {
        unknown_.insert(link.was);
        fail(o.place, Error(looked.verdict->code, looked.verdict->what));
      }
    };
    look_at_kept(vault_, *DatasetId::parse(order_.to), kept, wanted, take, [&] {
      holder.keep();
      holder_->keep();
    });
    for (auto& [now, link] : of) lose(*link, "", false);
    holder.end("returned");
  }

  // A disk that is not mounted would look like the loss of all that lies on it. Who says another place has
  // said that it is to be sealed there.
  void refuse_hidden(const BatchRecord& batch, const SegmentObject& o, const Verdict& verdict) const {
    if (batch.place.inode.empty() || batch.location != place_now()) return;
    const SealedPlace place(batch.location, batch.place);
    if (!place.may_hide(o.place, verdict.altered)) return;
    throw Error(Code::object_absent, "what was sealed anew before is not seen at " + batch.location)
        .tried(o.place)
        .cause(place.why_hidden(o.place))
        .next(
            "mount it there again, then run the same command; where it is lost, --into another directory "
            "seals "
            "anew there what is missing");
  }
  std::string place_now() const {
    std::error_code failed;
    const std::filesystem::path real = std::filesystem::weakly_canonical(result_.place, failed);
    return failed ? result_.place : real.string();
  }

  void lose(const ResealLinks::Link& link, const std::string& place, bool altered) {
    lost_[link.now] = {link.was, place, altered};
    if (!place.empty()) lost_of_[link.was] = link.now;
    links_.drop(link);
  }

  // What an interrupted run sealed and settling kept: it counts when it was opened beside its origin.
  void check_unchecked(const CurrentObjects& all) {
    const std::vector<ResealLinks::Link> links = links_.unchecked();
    if (links.empty()) return;
    std::map<ObjectId, ResealLinks::Link> now_of;
    for (const auto& l : links)
      if (places_.contains(l.now)) now_of.emplace(l.was, l);
    if (now_of.empty()) return;
    KeyHolder holder(vault_, order_.to, "reseal");
    const DatasetRecord to = vault_.state().datasets.at(order_.to);
    std::vector<SegmentObject> todo;
    all.each_batch([&](std::vector<SegmentObject> some) {
      for (SegmentObject& o : some)
        if (now_of.contains(o.object)) todo.push_back(std::move(o));
    });
    for (size_t first = 0; first < todo.size(); first += kMaxBatch) {
      const std::vector<SegmentObject> some(
          todo.begin() + static_cast<ptrdiff_t>(first),
          todo.begin() + static_cast<ptrdiff_t>(std::min(todo.size(), first + kMaxBatch)));
      check_interrupted();
      std::vector<ObjectId> older, newer;
      for (const SegmentObject& o : some) {
        older.push_back(o.object);
        newer.push_back(now_of.at(o.object).now);
      }
      record_objects_opened(vault_, holder_->id(), from(), older, "reseal");
      record_objects_opened(vault_, holder.id(), to, newer, "reseal");
      compare(some, now_of);
    }
    holder.end("returned");
  }

  void compare(const std::vector<SegmentObject>& objects,
               const std::map<ObjectId, ResealLinks::Link>& now_of) {
    Crew crew;
    Lanes lanes(vault_, crew.size());
    lanes.allow_all(from(), ProcessFor::moving);
    lanes.allow_all(vault_.state().datasets.at(order_.to), ProcessFor::moving);
    std::vector<std::optional<Error>> errors(objects.size());
    std::vector<char> differs(objects.size(), 0);
    std::vector<Digest32> digests(objects.size());
    crew.each(objects.size(), [&](unsigned worker, size_t i) {
      check_interrupted();
      const SegmentObject& o = objects[i];
      const auto unwrap = [&](const Slot& slot, ByteView aad) { return lanes.unwrap(worker, slot, aad); };
      const auto digest = [&](const std::string& path, uint64_t& bytes) {
        return digest_of(SealedFileAt(path).input(), unwrap, o.salt, nullptr, bytes);
      };
      bool newer = false;
      try {
        uint64_t was = 0, now = 0;
        digests[i] = digest(path_of(o), was);
        if (was != o.bytes)
          throw Error(Code::sealed_damaged, path_of(o) + " does not have the bytes that were sealed there");
        newer = true;
        differs[i] = digest(places_.at(now_of.at(o.object).now), now) != digests[i] || now != was;
      } catch (const Error& e) {
        if (ends_all(e)) throw;
        if (newer && (e.code() == Code::sealed_damaged || e.code() == Code::not_found))
          differs[i] = 1;
        else
          errors[i] = e;
      }
    });
    Json rows(Json::Array{});
    for (size_t i = 0; i < objects.size(); ++i) {
      const ResealLinks::Link& link = now_of.at(objects[i].object);
      if (errors[i]) {
        fail(path_of(objects[i]), *errors[i]);
      } else if (differs[i]) {  // what nothing vouches for and does not open to the same bytes is sealed anew
        lose(link, places_.at(link.now), true);
      } else {
        rows.push(link_row(objects[i].object, link.now, static_cast<int64_t>(objects[i].bytes), digests[i]));
        links_.check(link);
      }
    }
    if (rows.size() == 0) return;
    const std::string document = vault_.store().put_blob(as_bytes(rows.canonical()));
    vault_.append({links_entry(vault_, order_.from, order_.to, "", document)}, {});
    links_.add_document(document);
  }

  SealTarget target() const {
    const DatasetRecord& to = vault_.state().datasets.at(order_.to);
    SealTarget t;
    t.vault = vault_.id();
    t.dataset = *DatasetId::parse(to.id);
    t.dataset_name = to.name;
    t.algorithm = content_algorithm(to);
    t.chunk = static_cast<uint32_t>(to.settings.num("chunk"));
    t.bind_payload = to.settings.flag("bind_payload");
    t.out = result_.place;
    t.opaque = order_.opaque.value_or(rules_in_force(vault_.state(), moment_now(vault_)).profile == "high");
    return t;
  }

  void seal(const CurrentObjects& all) {
    if (progress_.total_files == 0) return;
    const SealTarget to = target();
    SealResult sealed;
    Sealer sealer(vault_, to, sealed, progress_);
    ResealOrigin origin(vault_, sealer.lanes(), order_.from, order_.to, links_);
    sealer.take_from(origin);
    sealer.lanes().allow_all(from(), ProcessFor::moving);
    const auto account = [&] {
      result_.bytes = sealed.bytes;
      result_.sealed_bytes = sealed.sealed_bytes;
      result_.batches = sealed.batches;
      for (const Skipped& f : sealed.failed) result_.failed.push_back(f);
    };
    try {
      all.each_batch([&](std::vector<SegmentObject> some) {
        std::vector<SealSource> sources;
        std::vector<ObjectId> objects;
        for (SegmentObject& o : some) {
          if (links_.find(o.object)) continue;
          const ObjectId was = o.object;
          SealSource source = source_of_object(std::move(o), sealer, to);
          try {
            make_way(source, to);
          } catch (const Error& e) {
            fail(source.path, e);
            continue;
          }
          objects.push_back(was);
          sources.push_back(std::move(source));
        }
        if (sources.empty()) return;
        check_interrupted();
        holder_->keep();
        if (from().state == "erased")
          throw Error(Code::state_refused, "dataset " + from().name + " is erased");
        record_objects_opened(vault_, holder_->id(), from(), objects, "reseal");
        for (SealSource& s : sources) sealer.take(std::move(s));
      });
      sealer.flush();
    } catch (...) {
      try {
        sealer.drain();
      } catch (...) {  // the first error is the one
      }
      account();
      throw;
    }
    sealer.end();
    account();
  }

  SealSource source_of_object(SegmentObject&& o, Sealer& sealer, const SealTarget& to) {
    SealSource s;
    auto from = std::make_shared<ResealedObject>();
    from->at = path_of(o);
    s.path = from->at;
    s.file.name = o.name;
    s.file.size = o.bytes;
    s.file.mode = o.mode;
    s.file.mtime = o.mtime;
    s.file.ctime = o.ctime;
    s.file.inode = o.inode;
    std::optional<ObjectId> there;
    if (called_by_object(to, s))
      there = sealer.inventory().named_in(dir_name(place_of(to, s, ObjectId())), o.name);
    else if (const auto known = sealer.inventory().at_place(place_of(to, s, ObjectId())))
      there = known->object;
    const auto lost = there ? lost_.find(*there) : lost_.end();
    from->taken = there && (lost == lost_.end() || lost->second.was != o.object);
    if (const auto before = lost_of_.find(o.object); before != lost_of_.end()) s.over = before->second;
    from->was = std::move(o);
    s.from = std::move(from);
    return s;
  }

  // What is damaged at the place where its origin is sealed anew stays beside it; nothing is removed.
  void make_way(const SealSource& s, const SealTarget& to) {
    if (!s.over || called_by_object(to, s)) return;
    const Lost& lost = lost_.at(*s.over);
    if (!lost.altered || lost.place != place_of(to, s, ObjectId())) return;
    try {
      if (header_at(lost.place).object != *s.over) return;  // another object: the sealer says so
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
    }
    const std::string aside = path_join(dir_name(lost.place), hex(s.over->bytes()) + ".kesu-damaged");
    publish(lost.place, aside, false);
    vault_.env().notice(lost.place + " is not what was sealed there: it is kept as " + aside +
                        ", and sealed anew");
  }

  // Whether all of it is there is decided on what the ledger says now.
  void finish() {
    result_.resealed = links_.fresh();
    result_.left = result_.objects - result_.resealed - result_.already;
    if (result_.left == 0 && result_.failed.empty()) complete();
    if (result_.batches || result_.complete) vault_.checkpoint();
  }

  void complete() {
    if (const auto& done = links_.complete(); done && unmoved() && done->num("batches") == sums_.batches &&
                                              done->num("listed") == sums_.objects && result_.resealed == 0) {
      result_.complete = true;
      return;
    }
    Json documents(Json::Array{});
    for (const std::string& d : links_.documents()) documents.push(d);
    const auto root = [&](const std::string& id) {
      return hex(tree_root(dataset_leaves(vault_, vault_.state().datasets.at(id))));
    };
    const Json summary = Json::object({{"format", "kesu-reseal-v1"},
                                       {"vault", vault_.state().vault.id},
                                       {"from", order_.from},
                                       {"from_root", root(order_.from)},
                                       {"to", order_.to},
                                       {"to_root", root(order_.to)},
                                       {"objects", result_.objects},
                                       {"documents", documents}});
    const std::string document = vault_.store().put_blob(as_bytes(summary.canonical()));
    bool added = false;
    vault_.decide({order_.from, order_.to, std::string(kWholeLedger)}, [&]() -> std::vector<Event> {
      added = !unmoved();
      if (added) return {};
      return {{.type = "document-attached",
               .nodes = {{.id = vault_.env().random.id<DocumentId>().str(), .is = "attached", .d = document},
                         {.id = order_.from},
                         {.id = order_.to}},
               .body = Json::object(
                   {{"what", std::string(kResealComplete)},
                    {"detail", "every current object of the first dataset has one in the second"},
                    {"from", order_.from},
                    {"to", order_.to},
                    {"objects", result_.objects},
                    {"listed", sums_.objects},
                    {"batches", sums_.batches},
                    {"document", document},
                    {"actor", this_process()}})}};
    });
    result_.complete = !added;
    if (!added) return;
    result_.left = std::max<int64_t>(1, from().batches.sums().objects - sums_.objects);
    fail(from().name, Error(Code::conflict, "something was sealed into " + from().name + " meanwhile")
                          .next("the same command again"));
  }

  // Nothing was sealed into it, nor is about to be, since the list was made.
  bool unmoved() const {
    const Batches& now = from().batches;
    return now.sums() == sums_ && std::none_of(now.open().begin(), now.open().end(),
                                               [](const BatchRecord& b) { return b.state == "intended"; });
  }

  Vault& vault_;
  const ResealOrder& order_;
  Progress& progress_;
  ResealLinks links_;
  KeyHolder* holder_ = nullptr;
  ResealResult result_;
  BatchSums sums_;  // of `from`, when the list of its objects was made
  Places moved_;
  Places places_;                                    // of new objects that are not checked yet
  std::unordered_map<ObjectId, Lost, IdHash> lost_;  // by new object
  std::unordered_map<ObjectId, ObjectId, IdHash>
      lost_of_;                 // by old one: the new one that is a current object
  std::set<ObjectId> unknown_;  // old ones whose new one could not be looked at
};
}  // namespace

ResealResult reseal(Vault& vault, const ResealOrder& order, Progress& progress) {
  if (order.from == order.to)
    throw Error(Code::usage, "a dataset is resealed into another one")
        .next("kesu dataset add NAME --key KEY, then kesu reseal … --to NAME");
  CatchInterrupts interrupts;
  // Two at once would seal everything twice. The folder is there as long as anything was sealed.
  const std::string name = vault.state().datasets.at(order.from).name;
  const std::string folder = path_join(path_join(vault.directory(), "inventory"), order.from);
  std::optional<WorkLock> lock;
  if (exists(folder))
    lock.emplace(folder, "resealing dataset " + name,
                 "kesu inventory list " + vault.state().datasets.at(order.to).name);
  vault.refresh();
  settle(vault);
  return Reseal(vault, order, progress).run();
}

}  // namespace kesu
