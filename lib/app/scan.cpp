#include "app/scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "app/current_objects.h"
#include "app/fingerprints.h"
#include "app/inventory_look.h"
#include "app/lanes.h"
#include "app/scan_look.h"
#include "app/seal_file.h"
#include "app/settle.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
class Scan {
 public:
  Scan(Vault& vault, const ScanOrder& order, Progress& progress)
      : vault_(vault), order_(order), progress_(progress) {}
  // Whatever ended it: nothing that recognises plaintext lives on when the holder says that it ended.
  ~Scan() { forget(); }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  ScanResult run() {
    for (const std::string& p : order_.paths) {
      const std::string place = absolute_path(p);
      struct stat st {};
      if (::lstat(place.c_str(), &st) != 0) throw file_error(errno, "look at", place);
      result_.places.push_back(place);
    }
    result_.started = vault_.env().clock.now();
    refuse_without_fingerprint_key(vault_.state(), vault_.state().datasets.at(order_.dataset));
    holder_.emplace(vault_, order_.dataset, "scan");
    const DatasetRecord d = vault_.state().datasets.at(order_.dataset);
    const uint64_t seals = d.batches.sums().batches;
    {
      const CurrentObjects all(vault_, d);
      take_stored(all, d);
      take_from_sealed(all, d);
      ScanLook::For what{.windows = windows_ ? &*windows_ : nullptr, .prints = {}, .objects = &objects_};
      for (auto& [id, p] : stored_) what.prints.push_back(&p.index);
      ScanLook(std::move(what), crew_, *holder_, result_, progress_).look();
      if (result_.hits) name_objects(all);
    }
    result_.ended = vault_.env().clock.now();
    record(holder_->id(), seals);
    forget();
    holder_->end("returned");
    vault_.checkpoint();
    return result_;
  }

 private:
  // A fingerprint key, and what was taken with it.
  struct Stored {
    explicit Stored(Secret k) : key(std::move(k)), index(key) {}
    Secret key;
    PrintIndex index;
  };

  // The keys, and what was made with them.
  void forget() {
    windows_.reset();
    stored_.clear();
    key_ = Secret();
  }

  // What sealing kept: no data key is needed for it, and no sealed file.
  void take_stored(const CurrentObjects& all, const DatasetRecord& d) {
    result_.window = kFingerprintBlock;
    all.each_batch_ever([&](const BatchRecord& b, const Secret& dataset_key,
                            std::vector<SegmentObject> some) {
      check_interrupted();
      holder_->keep();
      const auto prints = order_.from_sealed ? std::nullopt : prints_of(vault_, b);
      if (!prints) {
        for (const SegmentObject& o : some) {
          if (all.is_superseded(o.object))
            ++result_.superseded;
          else
            others_ += o.bytes, any_others_ = true;
        }
        return;
      }
      auto it = stored_.find(prints->key);
      if (it == stored_.end())
        it =
            stored_.try_emplace(prints->key, open_fingerprint_key(vault_, d, prints->key, ProcessFor::moving))
                .first;
      const std::vector<ObjectPrints> kept = read_prints(vault_, d.id, b, *prints, dataset_key);
      for (size_t i = 0; i < some.size(); ++i) {
        if (kept.size() != some.size() || kept[i].object != some[i].object ||
            kept[i].blocks.size() != some[i].bytes / kFingerprintBlock)
          throw Error(Code::ledger_damaged, "the fingerprints of batch " + b.id + " are not of its objects")
              .next("kesu inventory scan --from-sealed does without them");
        it->second.index.add(static_cast<uint32_t>(objects_.size()), some[i].bytes, kept[i].blocks,
                             kept[i].file);
        objects_.push_back(some[i].object);
      }
      with_prints_.insert(b.id);
    });
    for (auto& [id, p] : stored_) {
      p.index.finish();
      result_.common += p.index.common();
      result_.whole += p.index.whole_only();
    }
    result_.stored = result_.objects = static_cast<int64_t>(objects_.size());
  }

  // All others: each is opened to its end, to nowhere.
  void take_from_sealed(const CurrentObjects& all, const DatasetRecord& d) {
    if (!any_others_) return;
    key_ = vault_.env().random.secret(kFingerprintKeyBytes);
    result_.window = static_cast<int64_t>(window_for(others_));
    windows_.emplace(key_, static_cast<size_t>(result_.window));
    take(all, d);
    windows_->finish();
    result_.common += windows_->common();
    result_.whole += windows_->whole_only();
  }

  void take(const CurrentObjects& all, const DatasetRecord& d) {
    std::vector<std::unique_ptr<Windows::Taker>> takers;
    for (unsigned i = 0; i < crew_.size(); ++i) takers.push_back(std::make_unique<Windows::Taker>(*windows_));
    Lanes lanes(vault_, crew_.size());
    lanes.allow_all(d, ProcessFor::moving);
    all.each_batch([&](const BatchRecord& b, const Secret&, std::vector<SegmentObject> some) {
      if (with_prints_.contains(b.id)) return;
      check_interrupted();
      holder_->keep();
      std::vector<ObjectId> ids;
      for (const SegmentObject& o : some) ids.push_back(o.object);
      record_objects_opened(vault_, holder_->id(), d, ids, "scan");
      const auto first = static_cast<uint32_t>(objects_.size());
      objects_.insert(objects_.end(), ids.begin(), ids.end());
      crew_.each(some.size(), [&](unsigned worker, size_t i) {
        check_interrupted();
        const SegmentObject& o = some[i];
        Windows::Taker& taker = *takers[worker];
        try {
          const SealedFileAt file(o.place);
          taker.begin(first + static_cast<uint32_t>(i));
          const OpenedObject opened = open_object(
              file.input(), [&](const Slot& slot, ByteView aad) { return lanes.unwrap(worker, slot, aad); },
              [](const Metadata&) {}, [&](ByteView piece) { taker.feed(piece); });
          if (opened.header.object != o.object || opened.plain_bytes != o.bytes)
            throw Error(Code::sealed_damaged, "another object stands there");
          taker.end();
          std::lock_guard lock(mutex_);
          ++result_.objects;
        } catch (const Error& e) {
          if (!of_the_file(e)) throw;
          std::lock_guard lock(mutex_);
          result_.without.push_back({o.place, text_of(e), e.code()});
        }
      });
    });
  }

  // Only of what was found.
  void name_objects(const CurrentObjects& all) {
    std::map<std::string, std::string> names;
    for (const ScanHit& h : result_.found) names[h.object];
    all.each_batch_ever([&](const BatchRecord&, const Secret&, const std::vector<SegmentObject>& some) {
      for (const SegmentObject& o : some)
        if (const auto it = names.find(hex(o.object.bytes())); it != names.end()) it->second = o.name;
    });
    for (ScanHit& h : result_.found) h.name = names[h.object];
  }

  // Counts and places, and no name of a file: whoever gets the certificate learns where was looked.
  void record(const std::string& process, uint64_t seals) {
    Json places(Json::Array{});
    for (const std::string& p : result_.places) places.push(name_to_json(p));
    Json document = Json::object({{"format", "kesu-residue-scan-v1"},
                                  {"vault", vault_.state().vault.id},
                                  {"dataset", order_.dataset},
                                  {"process", process},
                                  {"program", std::string(kProgram)},
                                  {"window", result_.window},
                                  {"objects", result_.objects},
                                  {"superseded", result_.superseded},
                                  {"without", static_cast<int64_t>(result_.without.size())},
                                  {"common", result_.common},
                                  {"whole", result_.whole},
                                  {"places", places},
                                  {"files", result_.files},
                                  {"bytes", result_.bytes},
                                  {"special", result_.special},
                                  {"unreadable", static_cast<int64_t>(result_.unreadable.size())},
                                  {"hits", result_.hits},
                                  {"started", utc_text(result_.started)},
                                  {"ended", utc_text(result_.ended)}});
    if (result_.stored) document.set("stored", result_.stored);
    result_.document = vault_.store().put_blob(as_bytes(document.canonical()));
    vault_.decide({order_.dataset, process}, [&] {
      const DatasetRecord& d = vault_.state().datasets.at(order_.dataset);
      if (static_cast<uint64_t>(d.batches.sums().batches) != seals || !d.batches.open().empty())
        throw Error(Code::conflict, "objects were sealed into " + d.name + " while it was looked for")
            .cause("the scan does not know them")
            .next("the same command again");
      return std::vector<Event>{
          {.type = "residue-scanned",
           .nodes = {{.id = order_.dataset, .n = result_.hits, .b = result_.bytes, .d = result_.document},
                     {.id = process}},
           .body = Json::object({{"document", result_.document}})}};
    });
  }

  Vault& vault_;
  const ScanOrder& order_;
  Progress& progress_;
  std::optional<KeyHolder> holder_;  // destroyed after all that follows
  Crew crew_;
  std::map<std::string, Stored> stored_;  // by fingerprint key
  std::set<std::string> with_prints_;     // batches
  bool any_others_ = false;
  uint64_t others_ = 0;  // bytes of the objects without
  Secret key_;           // of this scan, for these: nobody else ever has it
  std::optional<Windows> windows_;
  std::vector<ObjectId> objects_;
  std::mutex mutex_;
  ScanResult result_;
};
}  // namespace

ScanResult scan_for_residue(Vault& vault, const ScanOrder& order, Progress& progress) {
  CatchInterrupts interrupts;
  settle(vault);
  return Scan(vault, order, progress).run();
}

}  // namespace kesu
