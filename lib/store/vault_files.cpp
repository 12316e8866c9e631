// evidence/<sha256> and inventory/<dataset>/<batch>.seg.
#include "store/vault_files_impl.h"

#include "base/error.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "ledger/entry.h"

namespace kesu {

namespace {

constexpr std::string_view kSegmentEnd = ".seg";

void make_directory_durable(const std::string& path) {
  if (exists(path)) return;
  make_directories(path, 0700);
  sync_directory(dir_name(path));
}

std::vector<std::string> names_in(const std::string& directory) {
  return exists(directory) ? list_directory(directory) : std::vector<std::string>();
}

}  // namespace

void VaultFiles::make_directories() const {
  make_directory_durable(path_join(directory_, "evidence"));
  make_directory_durable(path_join(directory_, "inventory"));
}

// The digest comes from entries and bundles: it must not lead out of the directory.
std::string VaultFiles::blob_path(std::string_view digest) const {
  if (!unhex32(digest))
    throw Error(Code::bad_identifier, "\"" + std::string(digest) + "\" is no SHA-256 digest");
  return path_join(path_join(directory_, "evidence"), digest);
}

std::string VaultFiles::put_blob(ByteView content) const {
  std::string digest = hex(sha256(content)), path = blob_path(digest);
  auto there = read_file_if_there(path, content.size() + 1);
  if (there && std::equal(there->begin(), there->end(), content.begin(), content.end())) {
    // Whoever put it may have died before its name was durable.
    sync_directory(dir_name(path));
    return digest;
  }
  make_directory_durable(dir_name(path));
  write_file_durable(path, content, 0600);
  return digest;
}

Bytes VaultFiles::blob(std::string_view digest) const {
  Bytes content;
  try {
    content = read_file(blob_path(digest));
  } catch (Error& e) {
    if (e.code() != Code::not_found) throw;
    throw e.next(
        "bring the file back from a backup of the vault, or from a bundle that has it (named there "
        "otherwise: by its SHA-256 here)");
  }
  if (hex(sha256(content)) != digest)
    throw Error(Code::ledger_damaged, "evidence " + std::string(digest) + " is altered")
        .cause("its bytes have another SHA-256")
        .next("run: kesu ledger verify");
  return content;
}

bool VaultFiles::has_blob(std::string_view digest) const { return exists(blob_path(digest)); }

std::vector<std::string> VaultFiles::blobs() const {
  std::vector<std::string> out;
  for (std::string& name : names_in(path_join(directory_, "evidence")))
    if (unhex32(name)) out.push_back(std::move(name));
  return out;
}

std::string VaultFiles::segment_path(std::string_view dataset, std::string_view batch) const {
  if (node_kind(dataset) != "ds")
    throw Error(Code::bad_identifier, "\"" + std::string(dataset) + "\" is no dataset's identifier");
  if (node_kind(batch) != "bat")
    throw Error(Code::bad_identifier, "\"" + std::string(batch) + "\" is no batch's identifier");
  return path_join(path_join(path_join(directory_, "inventory"), dataset),
                   std::string(batch) + std::string(kSegmentEnd));
}

std::string VaultFiles::put_segment(std::string_view dataset, std::string_view batch,
                                    ByteView content) const {
  std::string path = segment_path(dataset, batch);
  make_directory_durable(dir_name(dir_name(path)));
  make_directory_durable(dir_name(path));
  try {
    write_file_durable(path, content, 0600, false);
  } catch (const Error& e) {
    if (e.code() != Code::already_exists) throw;
    Bytes there = read_file(path);
    if (!std::equal(there.begin(), there.end(), content.begin(), content.end())) throw;
    sync_directory(dir_name(path));
  }
  return hex(sha256(content));
}

Bytes VaultFiles::segment(std::string_view dataset, std::string_view batch) const {
  return read_file(segment_path(dataset, batch));
}

bool VaultFiles::has_segment(std::string_view dataset, std::string_view batch) const {
  return exists(segment_path(dataset, batch));
}

std::vector<std::pair<std::string, std::string>> VaultFiles::segments() const {
  std::vector<std::pair<std::string, std::string>> out;
  std::string inventory = path_join(directory_, "inventory");
  for (const std::string& dataset : names_in(inventory)) {
    if (node_kind(dataset) != "ds") continue;
    for (std::string& name : names_in(path_join(inventory, dataset))) {
      if (!name.ends_with(kSegmentEnd)) continue;
      name.resize(name.size() - kSegmentEnd.size());
      if (node_kind(name) == "bat") out.emplace_back(dataset, std::move(name));
    }
  }
  return out;
}

}  // namespace kesu
