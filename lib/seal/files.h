// Sealed objects in file systems: reading a source that must not change meanwhile, part files, restored files
// (docs/spec/sealed-object.md, "Files"). Nothing here syncs a sealed object: the caller does that once per
// batch.
#pragma once
#include <atomic>
#include <functional>
#include <string>

#include "base/files.h"
#include "seal/object.h"

namespace kesu {

struct FileFacts {
  bool regular = false;
  uint64_t size = 0;
  uint32_t mode = 0;  // permission bits, 07777
  FileTime mtime, ctime;
};
FileFacts file_facts(int fd);  // fstat; throws io_failed

// Reads a descriptor (borrowed) once from the start. At its end, and with check(), it compares size, mtime
// and ctime with what they were: a difference is Error conflict. A change within the same tick of the file
// system's clock as the first look keeps the times, so that only a change of size would show. Pipes and
// devices are read as they come, unchecked; waiting for one ends with Ctrl-C, or when `crew` has stopped.
class FdSource {
 public:
  // `from_here`: from where the descriptor stands, as a pipe is read, unchecked and without a size; for
  // standard input that is a regular file.
  explicit FdSource(int fd, const Crew* crew = nullptr, bool from_here = false);
  size_t operator()(std::span<uint8_t> out);
  const FileFacts& facts() const { return facts_; }
  void check() const;

 private:
  int fd_;
  const Crew* crew_;
  FileFacts facts_;
  uint64_t at_ = 0;
};

// A sealed file by its descriptor (borrowed). Reading past the end, also when the file shrank, is
// sealed_damaged.
SealedInput file_input(int fd);
SealedInput file_input(int fd, uint64_t size);  // where its size is known

// `.<object, 32 hex>.kesu-part` and `.kesu-open` in `directory`.
std::string part_path(const std::string& directory, const ObjectId& object);
std::string opening_path(const std::string& directory, const ObjectId& object);

// A directory: by `fd` (borrowed) where it is one, `path` being for messages then; else by its path.
struct At {
  int fd = -1;
  std::string path;
  bool nameless = false;  // a part need not bear a name: it is gone with its descriptor until it is published
};

struct SealedFile {
  SealedObject object;
  FileFacts source;  // as sealed
  std::string part;  // its name in the directory, or path; whole, not durable, not under its final name
  Fd file;           // a nameless part; `part` is empty then
};
// Seals `source_fd` (borrowed) into a part file in `directory`, created 0600, never through a link. Kind and
// name come from request.metadata; mode, mtime and size from the source (a pipe's size is left out). The
// crew's threads share a source of 1 MiB and more; holes are not read. On any error the part file is gone.
// Errors: conflict when the source changed while it was read; interrupted; disk_full, io_failed; what `wrap`
// throws.
SealedFile seal_file_to(const SealRequest& request, int source_fd, const std::string& directory,
                        const WrapKey& wrap, Random& random, Crew& crew);
// The same; `part` is a name in `directory` where that has a descriptor.
SealedFile seal_file_to(const SealRequest& request, int source_fd, const At& directory, const WrapKey& wrap,
                        Random& random, Crew& crew);
// The same of what a Source gives; `request.metadata` is used as it is.
SealedFile seal_source_to(const SealRequest& request, const Source& source, const At& directory,
                          const WrapKey& wrap, Random& random, Crew* crew = nullptr);
// The same into a stream, header region first (a pipe: seal/object.h, seal_stream). A source that changed is
// known at the end only: on conflict what the sink got is to be thrown away.
SealedObject seal_file_stream(const SealRequest& request, int source_fd,
                              const std::function<void(ByteView)>& sink, const WrapKey& wrap, Random& random,
                              Crew& crew);
// Gives a whole file its final name. An existing one is replaced, or, without `replace`, Error
// already_exists.
void publish(const std::string& part, const std::string& final_path, bool replace = true);
// A nameless part of `object`; where the system gives it no name a copy gets one. Never over another file:
// Error already_exists.
void publish(const At& directory, const Fd& part, const ObjectId& object, const std::string& name);
// From and to names in one directory.
void publish(const At& directory, const std::string& part, const std::string& name, bool replace);
// Writes a slot into a sealed file in place (next_slot); not durable. By its descriptor (borrowed, open
// for writing): what stands under the file's name may be another object by now. `path` is for errors.
void write_slot(int fd, uint64_t offset, ByteView slot, const std::string& path);
void write_slot(const std::string& path, const NextSlot& next);

// `name` itself when it stays below the directory it is joined to: not empty, not absolute, no component
// empty, "." or
// "..", no NUL. Else Error bad_input.
std::string safe_relative_path(const std::string& name);
// root/name with the directories between made (0755). A component below `root` that is a symbolic link or no
// directory: Error refused (policy_refused), since a restored file would leave `root`.
std::string safe_destination(const std::string& root, const std::string& name);

struct OpenFileOptions {
  bool replace = false;  // an existing destination; else already_exists, before the payload is read
  bool durable = true;   // fsync of the file and its directory
  bool named = true;     // false: it keeps its temporary name, for the caller to give it the final one
  std::atomic<int64_t>* bytes_done = nullptr;  // when given, counts payload bytes as they are written
};
struct OpenedFile {
  OpenedObject object;
  std::string path;
  std::string part;  // not named: its name in the directory of `path`, and
  Fd file;           // what keeps it locked while it bears that
  std::optional<Error>
      refused;  // of a file that is whole: the mode or time that its file system does not take
};
// Opens a sealed file. `choose` gets the authenticated metadata and gives the destination, whose directory
// must be there; `.<object>.kesu-open` beside it holds the plaintext (0600) until the last chunk has
// authenticated, and is gone on any error. Mode (without set-id bits: the owner is not restored here) and
// mtime are set before the final name is. Blocks of 64 KiB of zeros become holes. Errors: sealed_damaged, of
// several damaged chunks for the first; interrupted; those of `unwrap`; already_exists; conflict when another
// process opens the same object there.
OpenedFile open_to_file(const std::string& sealed, const UnwrapKey& unwrap,
                        const std::function<std::string(const Metadata&)>& choose, Crew& crew,
                        const OpenFileOptions& options = {});

}  // namespace kesu
