// Use cases that bring in keys that kesu did not make: import (bytes from outside) and adopt (a key that the
// provider already holds). Material that the vault has ever known is refused: what is dead does not come
// back, what lives is not there twice (docs/spec/keys.md).
#pragma once
#include <string>

#include "app/copies.h"
#include "app/keys.h"

namespace kesu {

struct ImportDraft {
  KeyDraft key;
  std::string source;     // file:/path, fd:N, env:NAME, prompt (provider/key_material.h)
  std::string place;      // where the material lies or lay: it goes on being a copy
  std::string custodian;  // who answers for that
};
struct Imported {
  std::string key;   // `key-…`
  std::string copy;  // `cpy-…`, open until its end is recorded
};
// Errors: key_known (naming version, state and date); mechanism_absent (the provider takes no keys); conflict
// (another import is under way); those of create_keys, read_key_material and Provider::import_key.
Imported import_key(Vault& vault, const std::string& name, const ImportDraft& draft);

// `what` of the provider's objects becomes version 1 of a new key; nothing changes at the provider. Errors:
// already_exists (it is a version of this vault), key_known (its material is, under another name),
// mechanism_absent, outcome_unknown (it could not be tried), those of create_keys and Provider::adopt.
std::string adopt_key(Vault& vault, const std::string& name, const ObjectSelector& what,
                      const KeyDraft& draft);

}  // namespace kesu
