// Whether places were looked through for what survives of the plaintext: residue-scanned.
#include <algorithm>

#include "certificate/conditions_impl.h"

namespace kesu::dossier {

namespace {

struct ScanFacts {
  uint64_t seq = 0;
  Json document;
};

bool names(const Header& h, const std::string& id) {
  return std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) { return m.id == id; });
}

// It began before the scan was recorded, could see the dataset's keys, and was over before the first key was
// destroyed: what it had in memory to recognise plaintext by ended with it.
bool in_its_time(const Dossier& d, const std::string& process, const std::string& dataset, uint64_t seq) {
  bool began = false, ended = false;
  for (const Header& h : d.headers) {
    if (!names(h, process)) continue;
    if (h.type == "process-started" && h.seq < seq)
      began |= std::find(h.edges.begin(), h.edges.end(), Edge{process, dataset}) != h.edges.end();
    if (h.type == "process-ended" && h.seq > seq && d.first_intended && h.seq < *d.first_intended)
      ended = true;
  }
  return began && ended;
}

// By fingerprints taken at sealing; scans of before have none.
int64_t stored_of(const Json& s) { return s.find("stored") ? s.num("stored") : 0; }

// The last scan of the dataset, where it found nothing, saw all that it wanted to see, and that was
// something, and knew every object.
std::optional<ScanFacts> scan_of(const Dossier& d, const DatasetFacts& set) {
  const Header* last = nullptr;
  for (const Header& h : d.headers)
    if (h.type == "residue-scanned" && names(h, set.id)) last = &h;
  if (!last || !d.first_intended || last->seq > *d.first_intended) return std::nullopt;
  const NodeMention& node =
      *std::find_if(last->nodes.begin(), last->nodes.end(), [&](const auto& m) { return m.id == set.id; });
  const Json* body = d.body(last->seq);
  if (!body || body->str_or("document", "") != node.d) return std::nullopt;
  const auto file = d.evidence(node.d);
  if (!file) return std::nullopt;
  ScanFacts out{last->seq, read_json(*file, "a scan's record")};
  const Json& s = out.document;
  int64_t objects = 0;
  for (const BatchFacts& b : set.batches) {
    objects += b.n;
    if (b.done > last->seq) return std::nullopt;
  }
  const bool good = s.str("format") == "kesu-residue-scan-v1" && s.str("vault") == d.vault &&
                    s.str("dataset") == set.id && names(*last, s.str("process")) && s.num("hits") == 0 &&
                    node.n == 0 && s.num("bytes") == node.b.value_or(-1) && s.num("without") == 0 &&
                    s.num("unreadable") == 0 && s.num("objects") >= 0 && s.num("superseded") >= 0 &&
                    s.num("objects") + s.num("superseded") == objects && s.num("whole") >= 0 &&
                    s.num("whole") <= s.num("objects") && s.num("common") >= 0 && stored_of(s) >= 0 &&
                    stored_of(s) <= s.num("objects") && s.at("places").as_array().size() > 0 &&
                    s.num("files") > 0 && s.num("bytes") > 0;
  if (!good || !in_its_time(d, s.str("process"), set.id, last->seq)) return std::nullopt;
  return out;
}

// What cannot be read says nothing.
std::optional<ScanFacts> readable_scan(const Dossier& d, const DatasetFacts& set) try {
  return scan_of(d, set);
} catch (const Error&) {
  return std::nullopt;
}

std::string counted(int64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}
}  // namespace

bool residue_scanned(const Dossier& d) {
  return !d.datasets.empty() &&
         std::all_of(d.datasets.begin(), d.datasets.end(),
                     [&](const DatasetFacts& set) { return readable_scan(d, set).has_value(); });
}

Reason residue_reason(const Dossier& d) {
  Reason out;
  if (!residue_scanned(d)) return out;
  for (const DatasetFacts& set : d.datasets) {
    const ScanFacts scan = *readable_scan(d, set);
    const Json& s = scan.document;
    const std::string name = set.settings.str_or("name", set.id);
    out.rests_on.push_back("scan for " + name + ", entry " + std::to_string(scan.seq));
    if (!out.detail.empty()) out.detail += "; ";
    out.detail += name + ": " + counted(s.num("files"), "file") + ", " + counted(s.num("bytes"), "byte") +
                  " in " + counted(static_cast<int64_t>(s.at("places").as_array().size()), "place") +
                  ", for " + counted(s.num("objects"), "object");
    if (const int64_t stored = stored_of(s); stored > 0)
      out.detail += ", " + std::to_string(stored) +
                    " of them by fingerprints taken at sealing, in blocks of 65536 bytes from a file's start";
    if (s.num("whole") > 0)
      out.detail += ", " + std::to_string(s.num("whole")) + " of them only as whole files";
    if (s.num("common") > 0)
      out.detail += ", " + counted(s.num("common"), "common window") + " not looked for";
    if (s.num("superseded") > 0)
      out.detail += ", " + std::to_string(s.num("superseded")) + " sealed over not looked for";
  }
  return out;
}

}  // namespace kesu::dossier
