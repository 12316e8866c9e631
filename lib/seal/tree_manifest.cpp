#include "seal/tree_manifest.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/json.h"

namespace kesu {

namespace {
constexpr std::string_view kFormat = "kesu-tree-v1";
constexpr size_t kPiece = 256u << 10;
constexpr int64_t kMaxOwner = 0xffffffff;

Error broken(std::string why) {
  return Error(Code::bad_input, "the tree manifest is not acceptable").cause(std::move(why));
}

// Below its directory whatever it is joined to.
void check_name(std::string_view name, const char* what) {
  const auto refuse = [&](const char* why) { return broken(std::string(what) + " " + why); };
  if (name.empty()) throw refuse("is empty");
  if (name.size() > kMaxTreeName) throw refuse("is too long");
  if (name.find('\0') != std::string_view::npos) throw refuse("has a NUL byte");
  for (size_t from = 0; from <= name.size();) {
    const size_t to = std::min(name.find('/', from), name.size());
    const std::string_view component = name.substr(from, to - from);
    if (component.empty() || component == "." || component == "..")
      throw refuse("does not stay below its directory");
    from = to + 1;
  }
}

Json owner_json(const TreeOwner& o) {
  Json out = Json::object({{"gid", static_cast<int64_t>(o.gid)}, {"uid", static_cast<int64_t>(o.uid)}});
  if (!o.user.empty()) out.set("user", name_to_json(o.user));
  if (!o.group.empty()) out.set("group", name_to_json(o.group));
  return out;
}

uint32_t id_from(const Json& j, std::string_view member) {
  const int64_t n = j.num(member);
  if (n < 0 || n > kMaxOwner) throw broken(std::string(member) + " is out of range");
  return static_cast<uint32_t>(n);
}

// A name of one form only.
std::string name_of(const Json& j) {
  std::string name = name_from_json(j);
  if (name_to_json(name) != j) throw broken("a name is not in its one form");
  return name;
}

TreeOwner owner_from(const Json& j) {
  TreeOwner o;
  o.uid = id_from(j, "uid");
  o.gid = id_from(j, "gid");
  if (const Json* v = j.find("user")) o.user = name_of(*v);
  if (const Json* v = j.find("group")) o.group = name_of(*v);
  if (owner_json(o) != j) throw broken("an owner is not in its one form");
  return o;
}

FileTime time_from(const Json& j) {
  if (j.as_array().size() != 2) throw broken("a time has two members");
  const FileTime t{j.as_array()[0].as_int(), j.as_array()[1].as_int()};
  if (t.nanos < 0 || t.nanos > 999'999'999) throw broken("a time's nanoseconds are not within a second");
  return t;
}

size_t xattr_bytes(const TreeRow& row) {
  size_t sum = 0;
  for (const auto& [name, value] : row.xattrs) sum += name.size() + value.size();
  return sum;
}

Json xattrs_json(const TreeRow& row) {
  Json out(Json::Array{});
  for (const auto& [name, value] : row.xattrs) out.push(Json::array({name_to_json(name), base64(value)}));
  return out;
}

void xattrs_from(const Json& j, TreeRow& row) {
  for (const Json& pair : j.as_array()) {
    if (pair.as_array().size() != 2) throw broken("an extended attribute is a name and a value");
    auto value = unbase64(pair.as_array()[1].as_string());
    if (!value) throw broken("an extended attribute's value is not base64");
    row.xattrs.emplace_back(name_of(pair.as_array()[0]), std::move(*value));
  }
  if (row.xattrs.empty()) throw broken("an empty list of extended attributes is left out");
}

int64_t depth_of(const std::string& name) {
  return name.empty() ? 0 : 1 + std::count(name.begin(), name.end(), '/');
}

constexpr const char* kTypes[] = {"directory", "file", "symlink", "link"};

bool says_owner(const TreeRow& row, const TreeOwner& inherited) {
  return row.type != TreeRow::Type::link && row.owner != inherited;
}

Json row_json(const TreeRow& row, const TreeOwner& inherited) {
  const size_t slash = row.name.rfind('/');
  Json j = Json::object({{"depth", depth_of(row.name)},
                         {"name", name_to_json(row.name.substr(slash == std::string::npos ? 0 : slash + 1))},
                         {"type", kTypes[static_cast<int>(row.type)]}});
  if (says_owner(row, inherited)) j.set("owner", owner_json(row.owner));
  if (!row.xattrs.empty()) j.set("xattrs", xattrs_json(row));
  switch (row.type) {
    case TreeRow::Type::directory:
      j.set("mode", row.mode);
      j.set("mtime", Json::array({row.mtime.seconds, row.mtime.nanos}));
      if (row.files_owner != row.owner) j.set("files_owner", owner_json(row.files_owner));
      break;
    case TreeRow::Type::symlink:
      j.set("mtime", Json::array({row.mtime.seconds, row.mtime.nanos}));
      j.set("target", name_to_json(row.target));
      break;
    case TreeRow::Type::link:
      j.set("target", name_to_json(row.target));
      break;
    case TreeRow::Type::file:
      break;
  }
  return j;
}

void check_row(const TreeRow& row) {
  if (row.mode > 07777) throw broken("a mode has other than permission bits");
  if (row.mtime.nanos < 0 || row.mtime.nanos > 999'999'999)
    throw broken("a time's nanoseconds are not within a second");
  if (row.type == TreeRow::Type::symlink) {
    if (row.target.empty() || row.target.size() > kMaxTreeName || row.target.find('\0') != std::string::npos)
      throw broken("no symbolic link has such a target");
  } else if (row.type == TreeRow::Type::link) {
    check_name(row.target, "a link's target");
    if (!tree_before(row.target, row.name)) throw broken("a link stands before the file it is a name of");
  }
  if (row.xattrs.empty()) return;
  if (row.type == TreeRow::Type::symlink || row.type == TreeRow::Type::link)
    throw broken("links have no extended attributes");
  if (xattr_bytes(row) > kMaxTreeXattrs) throw broken("its extended attributes are too large");
  for (size_t i = 0; i < row.xattrs.size(); ++i) {
    const std::string& name = row.xattrs[i].first;
    if (name.empty() || name.size() > 255 || name.find('\0') != std::string::npos)
      throw broken("no extended attribute has such a name");
    if (i && row.xattrs[i - 1].first >= name) throw broken("extended attributes are not in order");
  }
}

TreeRow row_from(const Json& j) {
  TreeRow row;
  const std::string& type = j.str("type");
  const auto* found =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const char* t) { return type == t; });
  if (found == std::end(kTypes)) throw broken("an unknown type of row");
  row.type = static_cast<TreeRow::Type>(found - kTypes);
  if (row.type == TreeRow::Type::directory) {
    const int64_t mode = j.num("mode");
    if (mode < 0 || mode > 07777) throw broken("a mode has other than permission bits");
    row.mode = static_cast<uint32_t>(mode);
  }
  if (row.type == TreeRow::Type::directory || row.type == TreeRow::Type::symlink)
    row.mtime = time_from(j.at("mtime"));
  if (row.type == TreeRow::Type::symlink || row.type == TreeRow::Type::link)
    row.target = name_of(j.at("target"));
  if (const Json* x = j.find("xattrs")) xattrs_from(*x, row);
  return row;
}
}  // namespace

bool tree_before(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  const auto at = std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(common), b.begin());
  if (at.first == a.begin() + static_cast<ptrdiff_t>(common)) return a.size() < b.size();
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<int>(static_cast<uint8_t>(c)); };
  return rank(*at.first) < rank(*at.second);
}

// Of the open directories only those above `name` stay.
void TreeContext::close_down_to(std::string_view name) {
  while (open_.size() > 1) {
    const size_t length = open_.back().length;
    if (name.size() > length && name[length] == '/' &&
        name.substr(0, length) == std::string_view(path_).substr(0, length))
      return;
    open_.pop_back();
    path_.resize(open_.back().length);
  }
}

std::string TreeContext::place(int64_t depth, const std::string& leaf) const {
  if (leaf.find('/') != std::string::npos) throw broken("a name has more than one component");
  if (depth < 0 || static_cast<uint64_t>(depth) > open_.size())
    throw broken("a row whose directory has none");
  if (depth == 0) {
    if (any_ || !leaf.empty()) throw broken("only the root has depth 0, and no name");
    return "";
  }
  const size_t above = open_[static_cast<size_t>(depth) - 1].length;
  return above ? path_.substr(0, above) + '/' + leaf : leaf;
}

const TreeOwner& TreeContext::inherited(const TreeRow& row) {
  if (!any_) {
    if (!row.name.empty() || row.type != TreeRow::Type::directory)
      throw broken("the first row is not that of the root");
    return root_owner_;
  }
  const size_t slash = row.name.rfind('/'), above = slash == std::string::npos ? 0 : slash;
  if (row.name.size() > kMaxTreeName) throw broken("a name is too long");
  check_name(std::string_view(row.name).substr(slash == std::string::npos ? 0 : slash + 1), "a name");
  if (!tree_before(last_, row.name)) throw broken("the rows are not in order");
  close_down_to(row.name);
  // Its directory is one whose own name was checked.
  if (open_.back().length != above) throw broken("a row whose directory has none");
  return row.type == TreeRow::Type::directory ? open_.back().owner : open_.back().files;
}

void TreeContext::take(const TreeRow& row) {
  check_row(row);
  last_ = row.name;
  any_ = true;
  if (row.type != TreeRow::Type::directory) return;
  path_ = row.name;
  open_.push_back({row.name.size(), row.owner, row.files_owner});
}

TreeManifest::TreeManifest(std::string root, TreeOwner owner) : root_(std::move(root)), context_(owner) {
  check_name(root_, "the root's name");
  if (root_.find('/') != std::string::npos) throw broken("the root's name has more than one component");
  put(Json::object({{"format", kFormat}, {"owner", owner_json(owner)}, {"root", name_to_json(root_)}})
          .canonical());
}

void TreeManifest::add(const TreeRow& row) {
  const TreeOwner& inherited = context_.inherited(row);
  if (row.type == TreeRow::Type::file && row.xattrs.empty() && !says_owner(row, inherited)) return;
  std::string line = row_json(row, inherited).canonical();
  if (line.size() > kMaxTreeLine) throw broken("a row is too long");
  context_.take(row);
  put(std::move(line));
}

void TreeManifest::put(std::string line) {
  line += '\n';
  bytes_ += line.size();
  if (!last_.empty() && last_.size() + line.size() > kPiece) {
    uLongf size = ::compressBound(last_.size());
    Bytes packed(size);
    if (::compress2(packed.data(), &size, as_bytes(last_).data(), last_.size(), Z_BEST_SPEED) != Z_OK)
      throw std::bad_alloc();
    pieces_.push_back({Bytes(packed.begin(), packed.begin() + static_cast<ptrdiff_t>(size)), last_.size()});
    last_.clear();
  }
  last_ += line;
}

void TreeManifest::unpack(const Piece& piece, std::string& text) {
  text.resize(piece.size);
  uLongf size = piece.size;
  const int result =
      ::uncompress(reinterpret_cast<Bytef*>(text.data()), &size, piece.packed.data(), piece.packed.size());
  if (result == Z_MEM_ERROR) throw std::bad_alloc();
  if (result != Z_OK || size != piece.size) throw Error(Code::failed, "a manifest in memory is damaged");
}

Source TreeManifest::source() const {
  return [this, piece = size_t{0}, at = size_t{0}, unpacked = std::string()](std::span<uint8_t> out) mutable {
    size_t done = 0;
    while (done < out.size() && piece <= pieces_.size()) {
      if (at == 0 && piece < pieces_.size()) unpack(pieces_[piece], unpacked);
      const std::string& text = piece < pieces_.size() ? unpacked : last_;
      const size_t n = std::min(out.size() - done, text.size() - at);
      std::memcpy(out.data() + done, text.data() + at, n);
      done += n;
      at += n;
      if (at == text.size()) ++piece, at = 0;
    }
    return done;
  };
}

void TreeManifestReader::feed(ByteView piece) {
  std::string_view text = as_text(piece);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view part = text.substr(0, end);
    if (partial_.size() + part.size() > kMaxTreeLine)
      throw broken("line " + std::to_string(lines_ + 1) + " is too long");
    if (end == std::string_view::npos) {
      partial_ += part;
      return;
    }
    if (partial_.empty()) {
      line(part);
    } else {
      partial_ += part;
      line(partial_);
      partial_.clear();
    }
    text.remove_prefix(end + 1);
  }
}

void TreeManifestReader::finish() {
  if (!partial_.empty()) throw broken("the last line is not whole");
  if (!any_row_) throw broken("it has no root");
}

void TreeManifestReader::line(std::string_view text) {
  ++lines_;
  TreeRow row;
  try {
    const Json j = parse_canonical_json(text, "the line", {.max_bytes = kMaxTreeLine, .max_depth = 4});
    if (!context_) {
      root_ = name_of(j.at("root"));
      owner_ = owner_from(j.at("owner"));
      check_name(root_, "the root's name");
      if (root_.find('/') != std::string::npos) throw broken("the root's name has more than one component");
      const Json again =
          Json::object({{"format", kFormat}, {"owner", owner_json(owner_)}, {"root", name_to_json(root_)}});
      if (again != j) throw broken("it is not the first line of a manifest of this version");
      context_.emplace(owner_);
      return;
    }
    row = row_from(j);
    row.name = context_->place(j.num("depth"), name_of(j.at("name")));
    const TreeOwner& inherited = context_->inherited(row);
    const Json* own = j.find("owner");
    row.owner = own ? owner_from(*own) : inherited;
    const Json* files = j.find("files_owner");
    row.files_owner = files ? owner_from(*files) : row.owner;
    // Unknown members, and what is said though it goes without saying, would all be written differently.
    if (row_json(row, inherited) != j) throw broken("the row is not in its one form");
    if (row.type == TreeRow::Type::file && !own && row.xattrs.empty())
      throw broken("a row that says nothing");
    context_->take(row);
    any_row_ = true;
  } catch (const Error& e) {
    throw broken("line " + std::to_string(lines_) + ": " + (e.cause().empty() ? e.message() : e.cause()));
  }
  row_(row);
}

}  // namespace kesu
