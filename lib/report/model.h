// What a rendering shows, before it is in any language: certificate.json and what the bundle's opened entries
// add to it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "certificate/bundle.h"

namespace kesu::report {

enum class Event {
  created,
  activated,
  rotated,  // no longer used for new data
  suspended,
  compromised,
  rewrapped,  // data keys were moved under this version
  intended,   // to be destroyed
  failed,
  destroyed,
  requested,
  approved,
  started,
  inspected
};
struct Moment {
  Millis at = 0;
  Event event = Event::created;
};
// A key version, or the erasure itself (`version` empty), and what happened to it, in the ledger's order.
struct Line {
  std::string version, label;
  std::vector<Moment> moments;
};

struct Model {
  Json certificate;
  std::string sha256, sha512;  // of certificate.json, hex
  std::string reason;          // of the request; empty: not shown
  std::vector<Line> lines;     // the erasure, then each version of `keys`
  bool has_ledger = false;
};

// Throws not_found without certificate.json, bad_input where it is not one. What the other files do not hold,
// or hold in another form than expected, is left out.
Model make_model(const BundleFiles& files);

}  // namespace kesu::report
