// Sources that were sealed are removed: for sealing itself.
#pragma once
#include <string>

#include "app/sealer.h"

namespace kesu {

// Removes the regular files of `top` (an absolute path) that are still what was sealed, each after its object
// opened to the same bytes; then, where the tree's manifest is sealed, its symbolic links, and further names
// of removed files. Directories stay. What is kept is said in result.failed. A second walk, so that it needs
// no memory for the first. Errors: interrupted, those of providers.
void remove_sources(Vault& vault, Sealer& sealer, const std::string& top, const Selection& selection,
                    const TreeManifest* manifest, SealResult& result);

}  // namespace kesu
