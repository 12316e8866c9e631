#include "app/ledger_extract.h"

#include "base/files.h"
#include "certificate/bundle.h"
#include "ledger/entry.h"

namespace kesu {

SavedCheckpoint write_ledger_extract(Vault& vault, const std::string& where) {
  const std::string path = absolute_path(where);
  if (exists(path))
    throw Error(Code::already_exists, path + " is there already").next("choose another -o DIR or FILE.zip");
  const SavedCheckpoint checkpoint = vault.checkpoint();
  std::string headers;
  vault.store().read(0, checkpoint.size, [&](const StoredEntry& e) {
    headers += e.canonical_header + "\t" + hex(body_hash(e.entry.salt, e.canonical_body)) + "\n";
    return true;
  });
  BundleFiles files;
  files[std::string(bundle::kHeaders)] = gzip(headers);
  files[std::string(bundle::kCheckpointB)] = to_bytes(as_bytes(checkpoint.note));
  files[std::string(bundle::kLedgerKey)] = to_bytes(as_bytes(vault.state().vault.vkey + "\n"));
  make_directories(dir_name(path));
  write_bundle(path, files);
  return checkpoint;
}

}  // namespace kesu
