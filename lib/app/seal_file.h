// One file of a batch, from its source to its final name, in whatever thread. For sealing itself.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "app/known_objects.h"
#include "app/lanes.h"
#include "app/place_id.h"
#include "app/progress.h"
#include "app/sealed_name.h"
#include "app/tree_read.h"
#include "base/below.h"
#include "base/crew.h"
#include "base/random_pool.h"
#include "inventory/segment.h"
#include "seal/files.h"

namespace kesu {

// What is the same for all files of a command.
struct SealTarget {
  VaultId vault;
  DatasetId dataset;
  std::string dataset_name;
  AeadAlg algorithm = AeadAlg::aes256_gcm;
  uint32_t chunk = kDefaultChunk;
  bool bind_payload = true;
  std::string out;       // absolute; "-": standard output
  bool replace = false;  // what stands at a place and is an object of this dataset
  bool opaque = false;   // files are named by their objects
};

struct ResealedObject;  // app/seal_origin.h

// A source: a regular file, standard input, a tree manifest, or an object of another dataset.
struct SealSource {
  std::string path;  // for messages
  TreeFile file;     // standard input and manifests: name and, where known, size alone
  std::string kind = "file";
  const TreeManifest* manifest = nullptr;
  std::string top;                       // the named source that it was found in
  std::optional<ObjectId> over;          // what the inventory has at its place: nothing else is sealed over
  std::shared_ptr<ResealedObject> from;  // an object of another dataset; `kind` is known when it is opened
  bool is_manifest() const { return kind == "manifest"; }
};

// A file found in `top` (an absolute path).
SealSource source_of(const std::string& top, const TreeFile& file);

// Whether its file is called by its object, not by its name (app/sealed_name.h).
bool called_by_object(const SealTarget& target, const SealSource& source);
// Where the object goes; "" for standard output.
std::string place_of(const SealTarget& target, const SealSource& source, const ObjectId& object);

std::string text_of(const Error& e);  // message and cause
// A provider or disk at fault, or Ctrl-C, ends the command; a source or a place at fault is that file's own
// affair.
bool ends_all(const Error& e);
// Sealing over `place` was not asked for.
Error sealed_over(const std::string& place);
// The object in an open file, by its header; nullopt: not open, or none of kesu's. `size`: the file's.
std::optional<ObjectHeader> header_of(const Fd& fd, uint64_t& size);
// Whether the sealed object at `place` opens to what `source` (borrowed), or a Source, holds, which has
// `size` bytes. False also where it is damaged, or nothing is there. Errors: those of `unwrap`, io_failed.
bool equals_source(const std::string& place, int source, uint64_t size, const UnwrapKey& unwrap);
bool equals_source(const std::string& place, const Source& source, uint64_t size, const UnwrapKey& unwrap);

// An object that is whole under a name that nobody looks for, until it is published.
struct SealedPart {
  SegmentObject object;          // supersedes left open
  std::string part;              // name in its directory; empty: nameless, or it went to standard output
  Fd file;                       // the nameless one
  std::optional<ObjectId> over;  // the older object that stands at its place
  int64_t sealed_bytes = 0;
  double total_seconds = 0, binding_seconds = 0, print_seconds = 0;
  std::optional<Fingerprints> prints;
};

class FileSealer {
 public:
  // For lane `lane`; all outlive it.
  FileSealer(const SealTarget& target, Lanes& lanes, unsigned lane, Random& random, Progress& progress);

  // From here on each object's fingerprints are taken; nullptr: none. The key outlives it.
  void fingerprint_with(const Secret* key) { fingerprint_key_ = key; }
  // Seals what `fd` (borrowed) gives, or the manifest. The wrap of its data key may still wait for
  // Lanes::confirm: where it does not come, the part is to be discarded. Errors: those of seal_file_at;
  // already_exists; policy_refused (a link in the way).
  SealedPart seal(const SealSource& source, int fd, const ObjectId& object, const VersionRef& version,
                  Crew& crew);
  // The same of what a Source gives, under the metadata that it had.
  SealedPart seal(const SealSource& source, const Metadata& metadata, const Source& bytes,
                  const ObjectId& object, const VersionRef& version, Crew& crew);
  // A part that was sealed, to be read again.
  Fd open_part(const SealedPart& part);
  // Whether parts of files need not bear names (seal/files.h): each keeps a descriptor open until it is
  // published.
  void nameless(bool may) { nameless_ = may; }
  // Gives it its final name; not durable yet. Errors: already_exists, io_failed: then it is discarded.
  void publish(SealedPart& part);
  void discard(SealedPart& part) noexcept;

  // The directory that it seals to, whatever stands at its path now; none: standard output.
  const PlaceMark& place() const { return mark_; }

 private:
  int directory_of(const std::string& place, std::string& leaf);
  SealRequest request_of(const SealSource& source, const ObjectId& object, const VersionRef& version) const;
  // Where the part goes; what stands there, if anything, is to be sealed over.
  At place_for(const SealSource& source, const std::string& place, SealedPart& part);
  void describe(const SealSource& source, const std::string& place, SealedFile&& sealed, SealedPart& part);
  const SealTarget& target_;
  Lanes& lanes_;
  unsigned lane_;
  RandomPool random_;
  Progress& progress_;
  const Secret* fingerprint_key_ = nullptr;
  bool nameless_ = false;
  std::optional<Below> below_;
  std::string directory_;  // known to lie on the file system of `out`
  PlaceId out_;
  PlaceMark mark_;
};

}  // namespace kesu
