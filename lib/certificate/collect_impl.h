// Which entries a bundle opens and which evidence it carries. For lib/certificate itself.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "certificate/bundle.h"
#include "certificate/issue.h"
#include "certificate/source.h"
#include "ledger/entry.h"
#include "ledger/graph.h"

namespace kesu {

struct LedgerReading {
  Bytes packed;                  // ledger/headers.gz; gone once put_ledger() has taken it
  std::vector<Digest32> leaves;  // of all entries
  Graph graph;
  std::vector<Header> headers;  // ascending; not those of types of which no bundle opens a body
  const Header& header(uint64_t seq) const;
};
// `kept`: as gzip() means it. `drafted`: ledger/headers.gz of a draft from the same source. What is in it is
// not asked for again.
LedgerReading read_ledger_source(LedgerSource& source, bool kept, Bytes drafted = {});

// Entries whose bodies are opened, ascending.
std::vector<uint64_t> entries_to_open(const LedgerReading& ledger, const std::string& erasure,
                                      const std::set<std::string>& datasets,
                                      const std::set<std::string>& controls,
                                      const std::set<std::string>& signers);

void put_ledger(BundleFiles& files, LedgerSource& source, LedgerReading& ledger,
                const std::vector<uint64_t>& open);
void put_approvals(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open,
                   const LedgerReading& ledger, uint64_t size_a);
void put_evidence(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open,
                  const LedgerReading& ledger);
void put_inventory(BundleFiles& files, LedgerSource& source, const LedgerReading& ledger,
                   const std::set<std::string>& datasets);

}  // namespace kesu
