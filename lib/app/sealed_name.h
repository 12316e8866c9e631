// What a sealed object's file is called at its place (docs/spec/sealed-object.md, "Files").
#pragma once
#include <string>
#include <string_view>

#include "inventory/segment.h"

namespace kesu {

constexpr std::string_view kSealedEnding = ".kesu";
// Manifests lie in their directories as `.kesu-tree-<object, 32 hex>.kesu`: none is ever written over.
constexpr std::string_view kManifestName = ".kesu-tree-";

// Whether no component of it is longer than file systems take.
bool may_be_file_name(std::string_view name);

// Whether the last component of `name` has no room for the ending: file systems take 255 bytes. Its object is
// called by its identifier then, in the directory that it would lie in.
bool too_long_for_ending(std::string_view name);

// `<object, 32 hex>.kesu`.
std::string file_name_of(const ObjectId& object);

// Whether the object lies under its identifier: with hidden names, as a manifest, or because its own name was
// too long.
bool lies_under_identifier(const SegmentObject& object);

// Whether nothing of its name is to be seen at its place, that of directories included.
bool shows_no_name(const SegmentObject& object);

}  // namespace kesu
