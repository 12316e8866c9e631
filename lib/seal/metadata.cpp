// Record 0's plaintext: what an object says of its file, in its one canonical form.
#include "base/error.h"
#include "base/json.h"
#include "seal/object.h"

namespace kesu {

namespace {
constexpr size_t kPad = 256, kMaxPlainMetadata = 65536;

Json time_json(const FileTime& t) { return Json::array({t.seconds, t.nanos}); }

FileTime time_of(const Json& value) {
  if (value.as_array().size() != 2) throw Error(Code::bad_input, "a time has two members");
  return {value.as_array()[0].as_int(), value.as_array()[1].as_int()};
}

std::string metadata_problem(const Metadata& m) {
  if (m.kind != "file" && m.kind != "manifest") return "kind is neither file nor manifest";
  if (m.mode > 07777) return "mode has other than permission bits";
  if (m.mtime.nanos < 0 || m.mtime.nanos > 999'999'999) return "mtime's nanoseconds are not within a second";
  return "";
}
}  // namespace

Bytes Metadata::plaintext() const {
  if (const std::string problem = metadata_problem(*this); !problem.empty())
    throw Error(Code::bad_input, "metadata: " + problem);
  Json json = Json::object(
      {{"kind", kind}, {"name", name_to_json(name)}, {"mode", mode}, {"mtime", time_json(mtime)}});
  if (size) json.set("size", *size);
  const std::string text = json.canonical();
  const size_t padded = (4 + text.size() + kPad - 1) / kPad * kPad;
  if (padded > kMaxPlainMetadata)
    throw Error(Code::bad_input, "the name is too long to be sealed")
        .cause(std::to_string(name.size()) + " bytes");
  ByteWriter w;
  w.u32(static_cast<uint32_t>(text.size())).raw(as_bytes(text)).zeros(padded - 4 - text.size());
  return std::move(w).bytes();
}

Metadata Metadata::parse(ByteView plaintext) {
  try {
    ByteReader r(plaintext);
    const uint32_t length = r.u32();
    const ByteView text = r.raw(length);
    if (r.failed()) throw Error(Code::bad_input, "its length does not fit");
    const Json json = parse_canonical_json(as_text(text), "metadata");
    Metadata m;
    m.kind = json.str("kind");
    m.name = name_from_json(json.at("name"));
    const int64_t mode = json.num("mode");
    if (mode < 0 || mode > 07777) throw Error(Code::bad_input, "mode is out of range");
    m.mode = static_cast<uint32_t>(mode);
    m.mtime = time_of(json.at("mtime"));
    if (json.has("size")) {
      if (json.num("size") < 0) throw Error(Code::bad_input, "size is negative");
      m.size = static_cast<uint64_t>(json.num("size"));
    }
    // Unknown members, other paddings and other spellings of a name would all be written differently.
    if (m.plaintext() != to_bytes(plaintext))
      throw Error(Code::bad_input, "it is not in its one canonical form");
    return m;
  } catch (const Error& e) {
    throw Error(Code::sealed_damaged, "sealed object is damaged: metadata").cause(e.message());
  }
}

}  // namespace kesu
