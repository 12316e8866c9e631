// JSON forms of probe request, answer and transcript.
#include "provider/probe.h"
#include "provider/strict_json_impl.h"

namespace kesu {

namespace {
constexpr int kVersion = 1;

void demand_version(const Json& value) {
  if (value.num("v") != kVersion) bad_member("v", "1");
}

Json trials(const std::vector<Trial>& list) {
  Json out = Json::array({});
  for (const Trial& trial : list) out.push(trial.to_json());
  return out;
}

std::vector<Trial> trials(const Json& value) {
  std::vector<Trial> out;
  for (const Json& trial : value.as_array()) out.push_back(Trial::from_json(trial));
  return out;
}

ProbeAnswer answer_member(const Json& value, std::string_view member) {
  auto answer = parse_probe(value.str(member));
  if (!answer) bad_member(member, "usable, refused, absent or unknown");
  return *answer;
}

std::string tried_member(const Json& value, std::string_view member) {
  const std::string& text = value.str(member);
  if (text != "opened" && text != "failed" && text != "not-tried")
    bad_member(member, "opened, failed or not-tried");
  return text;
}
}  // namespace

Json ProbeRequest::to_json() const {
  Json key_list = Json::array({}), sample_list = Json::array({});
  for (const KeyRef& key : keys) key_list.push(key.to_json());
  for (const ProbeSample& sample : samples)
    sample_list.push(Json::object({{"aad", hex(sample.aad)},
                                   {"algorithm", static_cast<int>(sample.wrapped.algorithm)},
                                   {"blob", hex(sample.wrapped.blob)},
                                   {"id", sample.id},
                                   {"key", sample.key.str()},
                                   {"nonce", hex(sample.wrapped.nonce)}}));
  return Json::object({{"control", control ? control->to_json() : Json()},
                       {"identity", identity.to_json()},
                       {"keys", std::move(key_list)},
                       {"samples", std::move(sample_list)},
                       {"try_remaining", try_remaining},
                       {"uri", uri},
                       {"v", kVersion}});
}

ProbeRequest ProbeRequest::from_json(const Json& value) {
  only_members(value, "probe request",
               {"control", "identity", "keys", "samples", "try_remaining", "uri", "v"});
  demand_version(value);
  ProbeRequest out;
  if (!value.at("control").is_null()) out.control = KeyRef::from_json(value.at("control"));
  out.identity = ProviderIdentity::from_json(value.at("identity"));
  for (const Json& key : value.at("keys").as_array()) out.keys.push_back(KeyRef::from_json(key));
  for (const Json& item : value.at("samples").as_array()) {
    only_members(item, "sample", {"aad", "algorithm", "blob", "id", "key", "nonce"});
    ProbeSample sample;
    sample.id = item.str("id");
    sample.key = version_member(item, "key");
    sample.aad = hex_member(item, "aad");
    sample.wrapped.nonce = hex_member(item, "nonce");
    sample.wrapped.blob = hex_member(item, "blob");
    int64_t algorithm = item.num("algorithm");
    if (algorithm != 1 && algorithm != 2) bad_member("algorithm", "1 or 2");
    sample.wrapped.algorithm = static_cast<WrapAlg>(algorithm);
    out.samples.push_back(std::move(sample));
  }
  out.try_remaining = value.at("try_remaining").as_bool();
  out.uri = value.str("uri");
  return out;
}

Json ProbeReport::to_json() const {
  Json key_list = Json::array({}), sample_list = Json::array({});
  for (const ProbeKey& key : keys)
    key_list.push(Json::object({{"answer", probe_text(key.answer)},
                                {"by", trials(key.by)},
                                {"canary", key.canary},
                                {"found", key.found},
                                {"version", key.version.str()},
                                {"why", key.why}}));
  for (const ProbeSampleResult& sample : samples)
    sample_list.push(Json::object({{"answer", sample.answer}, {"by", trials(sample.by)}, {"id", sample.id}}));
  Json error = error_code.empty() ? Json() : Json::object({{"code", error_code}, {"message", error_message}});
  Json out = Json::object({{"boot_id", boot_id},
                           {"calls", calls},
                           {"control", probe_text(control)},
                           {"ended", utc_text(ended)},
                           {"enumeration", enumeration ? enumeration->to_json() : Json()},
                           {"environment", text_array(environment)},
                           {"error", std::move(error)},
                           {"host", host},
                           {"identity", identity ? identity->to_json() : Json()},
                           {"keys", std::move(key_list)},
                           {"pid", pid},
                           {"program", program},
                           {"same_place", same_place},
                           {"samples", std::move(sample_list)},
                           {"started", utc_text(started)},
                           {"v", kVersion}});
  if (token_sessions_asked)
    out.set("token_sessions", token_sessions ? Json::object({{"rw_sessions", token_sessions->rw_sessions},
                                                             {"sessions", token_sessions->sessions}})
                                             : Json());
  return out;
}

ProbeReport ProbeReport::from_json(const Json& value) {
  only_members(
      value, "probe answer",
      {"boot_id", "calls", "control", "ended", "enumeration", "environment", "error", "host", "identity",
       "keys", "pid", "program", "same_place", "samples", "started", "token_sessions", "v"});
  demand_version(value);
  ProbeReport out;
  out.boot_id = value.str("boot_id");
  out.calls = value.at("calls");
  out.control = answer_member(value, "control");
  out.ended = utc_member(value, "ended");
  if (!value.at("enumeration").is_null()) out.enumeration = Enumeration::from_json(value.at("enumeration"));
  out.environment = text_vector(value.at("environment"));
  if (const Json& error = value.at("error"); !error.is_null()) {
    only_members(error, "error", {"code", "message"});
    out.error_code = error.str("code");
    out.error_message = error.str("message");
  }
  out.host = value.str("host");
  if (!value.at("identity").is_null()) out.identity = ProviderIdentity::from_json(value.at("identity"));
  for (const Json& item : value.at("keys").as_array()) {
    only_members(item, "key answer", {"answer", "by", "canary", "found", "version", "why"});
    ProbeKey key;
    key.answer = answer_member(item, "answer");
    key.by = trials(item.at("by"));
    key.canary = tried_member(item, "canary");
    key.found = item.num("found");
    key.version = version_member(item, "version");
    key.why = item.str("why");
    out.keys.push_back(std::move(key));
  }
  out.pid = value.num("pid");
  out.program = value.str("program");
  out.same_place = value.at("same_place").as_bool();
  for (const Json& item : value.at("samples").as_array()) {
    only_members(item, "sample answer", {"answer", "by", "id"});
    out.samples.push_back({item.str("id"), tried_member(item, "answer"), trials(item.at("by"))});
  }
  out.started = utc_member(value, "started");
  const Json* sessions = value.find("token_sessions");
  out.token_sessions_asked = sessions != nullptr;
  if (sessions != nullptr && !sessions->is_null()) {
    only_members(*sessions, "token sessions", {"rw_sessions", "sessions"});
    out.token_sessions = {sessions->num("sessions"), sessions->num("rw_sessions")};
  }
  return out;
}

Json ProbeTranscript::to_json() const {
  return Json::object({{"answer", answer},
                       {"exit", exit},
                       {"request", request},
                       {"stderr", stderr_text},
                       {"timed_out", timed_out}});
}

ProbeTranscript ProbeTranscript::from_json(const Json& value) {
  only_members(value, "probe transcript", {"answer", "exit", "request", "stderr", "timed_out"});
  ProbeTranscript out;
  out.answer = value.at("answer");
  out.exit = static_cast<int>(value.num("exit"));
  out.request = value.at("request");
  out.stderr_text = value.str("stderr");
  out.timed_out = value.at("timed_out").as_bool();
  return out;
}

}  // namespace kesu
