// Use case: places looked through for copies of a dataset's plaintext (docs/spec/fingerprints.md, "Scan").
#pragma once
#include <string>
#include <vector>

#include "app/progress.h"
#include "app/sealing.h"

namespace kesu {

struct ScanOrder {
  std::string dataset;             // identifier
  std::vector<std::string> paths;  // files and directories
  bool from_sealed = false;        // open the sealed files also where fingerprints were taken while sealing
};
// A file in which something of an object stands.
struct ScanHit {
  std::string path;
  int64_t offset = 0;   // of the first window, or 0
  int64_t windows = 0;  // that were found, not overlapping; 0: `whole`
  int64_t bytes = 0;    // in these
  bool whole = false;   // the file is the object
  std::string object, name;
};
struct ScanResult {
  std::vector<std::string> places;  // absolute
  int64_t window = 0;
  int64_t objects = 0;           // that were looked for
  int64_t stored = 0;            // of these, by fingerprints taken while they were sealed
  int64_t superseded = 0;        // that could not be: sealed over, their sealed files are gone
  std::vector<Skipped> without;  // that could not be: their sealed files do not open
  int64_t common = 0;            // windows that are everywhere, and were not looked for
  int64_t whole = 0;  // of `objects`: without a window to look for, found where a whole file equals them
  int64_t files = 0, bytes = 0;  // looked through
  int64_t special = 0;           // FIFOs, sockets, devices: not looked into
  std::vector<Skipped> unreadable;
  int64_t hits = 0;            // pairs of file and object
  std::vector<ScanHit> found;  // the first of them, at most 10,000
  Millis started = 0, ended = 0;
  std::string document;  // evidence digest
};
// Takes the fingerprints that sealing kept, of objects that were sealed over, too, and opens no data key for
// them. Every other current object it opens for its keyed values, under a key made for this scan and held in
// memory alone. Then it looks through every regular file at `paths`, links not followed, on all processors.
// The result is recorded (residue-scanned). Memory: up to 100 bytes a window (docs/spec/fingerprints.md), and
// a thousand files; 16 bytes for each 64 KiB of what sealing kept. A file that changes while it is read is
// read once more; if it changes again it is unreadable. Errors: those of refuse_without_fingerprint_key and
// KeyHolder, not_found (a place), interrupted: nothing is recorded then.
ScanResult scan_for_residue(Vault& vault, const ScanOrder& order, Progress& progress);

}  // namespace kesu
