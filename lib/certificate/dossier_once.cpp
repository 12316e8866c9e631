// What begins a node is said of it once: else readers could take the one or the other for what it says.
#include <algorithm>
#include <set>
#include <utility>

#include "certificate/dossier_impl.h"

namespace kesu::dossier {

namespace {
bool asked(const Dossier& d, const std::set<std::string>& providers, const Header& h, const NodeMention& m) {
  if (m.is.empty()) return false;
  if (h.type == "dataset-added") return d.datasets_in_scope.contains(m.id);
  if (h.type == "provider-added") return providers.contains(m.id);
  return h.type == "key-created" || h.type == "seal-done" || h.type == "certificate-issued";
}
}  // namespace

void check_once(Dossier& d) {
  std::set<std::string> providers;
  for (const std::string& version : d.kill.versions) providers.insert(d.keys.at(version).provider);
  std::set<std::pair<std::string, std::string>> seen;
  for (const Header& h : d.headers)
    for (const NodeMention& m : h.nodes)
      if (asked(d, providers, h, m) && !seen.insert({h.type, m.id}).second)
        d.findings.bad(brief_number(h.seq), "a second " + h.type + " of " + m.id);
}

}  // namespace kesu::dossier
