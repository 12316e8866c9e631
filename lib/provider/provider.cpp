// Names and JSON forms of the provider port's values. Reading is strict: a member that is not known is an
// error.
#include "provider/provider.h"

#include <initializer_list>

#include "base/error.h"
#include "provider/strict_json_impl.h"

namespace kesu {

namespace {
constexpr std::pair<KeyPurpose, std::string_view> kPurposes[] = {
    {KeyPurpose::wrap, "wrap"},
    {KeyPurpose::sign_ledger, "sign-ledger"},
    {KeyPurpose::sign_certificate, "sign-certificate"},
    {KeyPurpose::control, "control"}};
constexpr std::pair<ProbeAnswer, std::string_view> kAnswers[] = {{ProbeAnswer::usable, "usable"},
                                                                 {ProbeAnswer::refused, "refused"},
                                                                 {ProbeAnswer::absent, "absent"},
                                                                 {ProbeAnswer::unknown, "unknown"}};
constexpr std::pair<TrialOutcome, std::string_view> kOutcomes[] = {{TrialOutcome::opened, "opened"},
                                                                   {TrialOutcome::failed, "failed"},
                                                                   {TrialOutcome::refused, "refused"},
                                                                   {TrialOutcome::not_tried, "not-tried"}};
}  // namespace

std::string_view purpose_text(KeyPurpose purpose) { return name_of(kPurposes, purpose); }
std::optional<KeyPurpose> parse_purpose(std::string_view text) { return value_of(kPurposes, text); }
std::string_view probe_text(ProbeAnswer answer) { return name_of(kAnswers, answer); }
std::optional<ProbeAnswer> parse_probe(std::string_view text) { return value_of(kAnswers, text); }

std::string object_label(const VersionRef& version) { return "kesu:" + version.str(); }

Bytes object_id(const VersionRef& version) {
  ByteWriter out;
  out.raw(version.key.bytes()).u32(version.version);
  return std::move(out).bytes();
}

Json ProviderIdentity::to_json() const {
  return Json::object({{"firmware", firmware},
                       {"hardware", hardware},
                       {"kind", kind},
                       {"label", label},
                       {"library_description", library_description},
                       {"library_manufacturer", library_manufacturer},
                       {"library_version", library_version},
                       {"manufacturer", manufacturer},
                       {"model", model},
                       {"module_path", module_path},
                       {"module_sha256", module_sha256},
                       {"serial", serial}});
}

ProviderIdentity ProviderIdentity::from_json(const Json& value) {
  only_members(value, "provider identity",
               {"firmware", "hardware", "kind", "label", "library_description", "library_manufacturer",
                "library_version", "manufacturer", "model", "module_path", "module_sha256", "serial"});
  ProviderIdentity out;
  out.firmware = value.str("firmware");
  out.hardware = value.str("hardware");
  out.kind = value.str("kind");
  out.label = value.str("label");
  out.library_description = value.str("library_description");
  out.library_manufacturer = value.str("library_manufacturer");
  out.library_version = value.str("library_version");
  out.manufacturer = value.str("manufacturer");
  out.model = value.str("model");
  out.module_path = value.str("module_path");
  out.module_sha256 = value.str("module_sha256");
  out.serial = value.str("serial");
  return out;
}

Json Capabilities::to_json() const {
  return Json::object({{"adopts", adopts},
                       {"destroys", destroys},
                       {"disables", disables},
                       {"enumerates_all", enumerates_all},
                       {"imports", imports},
                       {"rekeys", rekeys},
                       {"mechanisms", text_array(mechanisms)},
                       {"sign_ecdsa_p384", sign_ecdsa_p384},
                       {"sign_ed25519", sign_ed25519},
                       {"wrap_aes256_gcm", wrap_aes256_gcm}});
}

Capabilities Capabilities::from_json(const Json& value) {
  only_members(value, "capabilities",
               {"adopts", "destroys", "disables", "enumerates_all", "imports", "mechanisms", "rekeys",
                "sign_ecdsa_p384", "sign_ed25519", "wrap_aes256_gcm"});
  Capabilities out;
  out.adopts = value.at("adopts").as_bool();
  out.imports = value.at("imports").as_bool();
  out.rekeys = value.at("rekeys").as_bool();
  out.destroys = value.str("destroys");
  out.disables = value.at("disables").as_bool();
  out.enumerates_all = value.at("enumerates_all").as_bool();
  out.mechanisms = text_vector(value.at("mechanisms"));
  out.sign_ecdsa_p384 = value.at("sign_ecdsa_p384").as_bool();
  out.sign_ed25519 = value.at("sign_ed25519").as_bool();
  out.wrap_aes256_gcm = value.at("wrap_aes256_gcm").as_bool();
  return out;
}

namespace {
Error cannot(const char* what) {
  return Error(Code::mechanism_absent, std::string("this provider does not ") + what)
      .next("kesu provider show NAME lists what it does");
}
}  // namespace

std::unique_ptr<Provider> Provider::another() {
  throw Error(Code::mechanism_absent, "this provider gives one session for each login");
}

Birth Provider::import_key(const VersionRef&, const Secret&) { throw cannot("take keys made elsewhere"); }
Birth Provider::adopt(const VersionRef&, const ObjectSelector&) {
  throw cannot("hand over keys that it already holds");
}
Secret Provider::export_key(const KeyRef& ref) {
  throw Error(Code::mechanism_absent, "the key " + ref.label + " does not come out of its provider")
      .cause("keys are made so that no command can read them there")
      .next(
          "back the token up with its own means, and register that: kesu copy add KEY --kind token-backup …");
}
Container Provider::rekey(const std::string&) { throw cannot("lie in a file that could be re-keyed"); }

Json Canary::to_json() const {
  return Json::object({{"ciphertext", hex(ciphertext)},
                       {"digest", hex(digest)},
                       {"mechanism", mechanism},
                       {"nonce", hex(nonce)}});
}

Canary Canary::from_json(const Json& value) {
  only_members(value, "canary", {"ciphertext", "digest", "mechanism", "nonce"});
  Canary out;
  out.ciphertext = hex_member(value, "ciphertext");
  out.digest = digest_member(value, "digest");
  out.mechanism = value.str("mechanism");
  out.nonce = hex_member(value, "nonce");
  return out;
}

Json KeyRef::to_json() const {
  return Json::object({{"canary", canary ? canary->to_json() : Json()},
                       {"check_value", check_value},
                       {"id", hex(id)},
                       {"label", label},
                       {"public_key", hex(public_key)},
                       {"purpose", purpose_text(purpose)},
                       {"version", version.str()}});
}

KeyRef KeyRef::from_json(const Json& value) {
  only_members(value, "key reference",
               {"canary", "check_value", "id", "label", "public_key", "purpose", "version"});
  KeyRef out;
  if (const Json& canary = value.at("canary"); !canary.is_null()) out.canary = Canary::from_json(canary);
  out.check_value = hex(hex_member(value, "check_value"));
  out.id = hex_member(value, "id");
  out.label = value.str("label");
  out.public_key = hex_member(value, "public_key");
  out.purpose = named_member(kPurposes, value, "purpose");
  out.version = version_member(value, "version");
  return out;
}

Json Birth::to_json() const {
  return Json::object(
      {{"attributes", attributes}, {"left_out", text_array(left_out)}, {"ref", ref.to_json()}});
}

Birth Birth::from_json(const Json& value) {
  only_members(value, "birth record", {"attributes", "left_out", "ref"});
  return Birth{KeyRef::from_json(value.at("ref")), value.at("attributes"), text_vector(value.at("left_out"))};
}

Json Receipt::to_json() const {
  return Json::object({{"accepted", accepted},
                       {"at", utc_text(at)},
                       {"before", before},
                       {"call", call},
                       {"irreversible_at", irreversible_at ? Json(utc_text(*irreversible_at)) : Json()},
                       {"result", result}});
}

Receipt Receipt::from_json(const Json& value) {
  only_members(value, "receipt", {"accepted", "at", "before", "call", "irreversible_at", "result"});
  Receipt out;
  out.accepted = value.at("accepted").as_bool();
  out.at = utc_member(value, "at");
  out.before = value.at("before");
  out.call = value.str("call");
  if (!value.at("irreversible_at").is_null()) out.irreversible_at = utc_member(value, "irreversible_at");
  out.result = value.str("result");
  return out;
}

Json ObjectSeen::to_json() const {
  return Json::object({{"check_value", check_value},
                       {"class", object_class},
                       {"id", hex(id)},
                       {"key_type", key_type},
                       {"label", label}});
}

ObjectSeen ObjectSeen::from_json(const Json& value) {
  only_members(value, "object", {"check_value", "class", "id", "key_type", "label"});
  ObjectSeen out;
  out.check_value = hex(hex_member(value, "check_value"));
  out.object_class = value.str("class");
  out.id = hex_member(value, "id");
  out.key_type = value.str("key_type");
  out.label = value.str("label");
  return out;
}

Json Enumeration::to_json() const {
  Json list = Json::array({});
  for (const ObjectSeen& object : objects) list.push(object.to_json());
  return Json::object({{"complete", complete}, {"objects", std::move(list)}, {"why", why}});
}

Enumeration Enumeration::from_json(const Json& value) {
  only_members(value, "enumeration", {"complete", "objects", "why"});
  Enumeration out;
  out.complete = value.at("complete").as_bool();
  out.why = value.str("why");
  for (const Json& object : value.at("objects").as_array())
    out.objects.push_back(ObjectSeen::from_json(object));
  return out;
}

Json Trial::to_json() const {
  return Json::object({{"digest", digest ? Json(hex(*digest)) : Json()},
                       {"mechanism", mechanism},
                       {"object", object.to_json()},
                       {"outcome", name_of(kOutcomes, outcome)},
                       {"result", result}});
}

Trial Trial::from_json(const Json& value) {
  only_members(value, "trial", {"digest", "mechanism", "object", "outcome", "result"});
  Trial out;
  if (!value.at("digest").is_null()) out.digest = digest_member(value, "digest");
  out.mechanism = value.str("mechanism");
  out.object = ObjectSeen::from_json(value.at("object"));
  out.outcome = named_member(kOutcomes, value, "outcome");
  out.result = value.str("result");
  return out;
}

}  // namespace kesu
