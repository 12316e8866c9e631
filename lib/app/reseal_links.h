// Which object of one dataset became which of another, as the ledger has it. For lib/app/reseal itself.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

constexpr std::string_view kResealed = "resealed", kResealComplete = "reseal-complete";

class ResealLinks {
 public:
  struct Link {
    ObjectId was, now;
    bool checked = false;  // an entry says that the new one opened to the same bytes
    bool gone = false;     // found missing, damaged or other bytes: counts as none
    uint64_t at = 0;       // its entry
  };
  // Reads the ledger once. Of what an interrupted run left, only what is in a sealed batch.
  ResealLinks(Vault& vault, const std::string& from, const std::string& to);

  // The last that counts: the last of a document, or a later one not checked yet.
  const Link* find(const ObjectId& was) const;
  const Link* find_checked(const ObjectId& was) const;
  const std::vector<Link>& all() const { return links_; }  // of earlier runs, ascending by `was`, then `at`
  void add(const ObjectId& was, const ObjectId& now) { fresh_.push_back({was, now, true}); }
  void check(const Link& link) { at(link).checked = true; }
  void drop(const Link& link) { at(link).gone = true; }
  // Those of interrupted runs, not checked yet.
  std::vector<Link> unchecked() const;
  int64_t fresh() const { return static_cast<int64_t>(fresh_.size()); }
  const std::vector<std::string>& documents() const { return documents_; }  // digests, in ledger order
  void add_document(std::string digest) { documents_.push_back(std::move(digest)); }
  // The last reseal-complete of the two; nullopt: none, or documents came after it.
  const std::optional<Json>& complete() const { return complete_; }

 private:
  const Link* last(const ObjectId& was, bool checked) const;
  Link& at(const Link& link);
  std::vector<Link> links_;  // ascending by `was`, then `at`
  std::vector<Link> fresh_;  // of this run
  std::vector<std::string> documents_;
  std::optional<Json> complete_;
};

// Rows of a document of links: {"bytes","digest","new","old"}.
Json link_row(const ObjectId& was, const ObjectId& now, int64_t bytes, const Digest32& digest);
// The entry that names such a document, which is in the store already.
Event links_entry(Vault& vault, const std::string& from, const std::string& to, const std::string& batch,
                  const std::string& document);

}  // namespace kesu
