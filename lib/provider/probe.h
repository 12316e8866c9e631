// Asking, from a process of its own, whether keys are still there (docs/spec/provider-port.md, "Probe"). A
// fresh process has no session, no cached handle and no memory of the keys: what it sees is what the provider
// shows to a newcomer.
#pragma once
#include <string>
#include <vector>

#include "provider/provider.h"

namespace kesu {

constexpr std::string_view kProbeProgram = "kesu-probe 0.1.0";

// A wrapped data key, to be tried on what the provider still holds. Holds no secret.
struct ProbeSample {
  std::string id;  // of the object it came from
  VersionRef key;  // the version that wrapped it
  Bytes aad;
  WrappedKey wrapped;
};

struct ProbeRequest {
  std::string uri;
  ProviderIdentity identity;  // the place that must answer
  std::vector<KeyRef> keys;
  std::optional<KeyRef> control;  // a wrap-capable key known to be alive; without it nothing is ever `absent`
  std::vector<ProbeSample> samples;
  bool try_remaining =
      true;  // every other key is tried on canaries and samples; without it nothing is `absent`

  Json to_json() const;
  static ProbeRequest from_json(const Json& value);  // strict; throws Error bad_input
};

struct ProbeKey {
  VersionRef version;
  ProbeAnswer answer = ProbeAnswer::unknown;
  std::string why;
  int64_t found = 0;  // objects with its label, id and class
  std::string canary =
      "not-tried";        // "opened", "failed", "not-tried"; of a signing key: its signature verified
  std::vector<Trial> by;  // what was tried on the canary
};

struct ProbeSampleResult {
  std::string id;
  std::string answer = "not-tried";  // "opened", "failed" (nothing that is left opens it), "not-tried"
  std::vector<Trial> by;
};

// The answer. `keys` and `samples` stand in the order of the request.
struct ProbeReport {
  std::string program, host, boot_id;
  int64_t pid = 0;
  std::vector<std::string> environment;  // names of the variables that the probe had
  Millis started = 0, ended = 0;
  std::optional<ProviderIdentity> identity;
  bool same_place = false;
  std::optional<Enumeration> enumeration;
  // Before anything was tried. Answers of older probes do not have the member, and are written without it.
  std::optional<TokenSessions> token_sessions;
  bool token_sessions_asked = true;
  ProbeAnswer control = ProbeAnswer::unknown;
  std::vector<ProbeKey> keys;
  std::vector<ProbeSampleResult> samples;
  std::string error_code, error_message;  // both empty: none
  Json calls = Json::array({});           // as ProviderFactory::calls

  Json to_json() const;
  static ProbeReport from_json(const Json& value);  // strict; throws Error bad_input
};

// The rule for one key, from nothing but what the report recorded; sets `answer` and `why` anew.
void judge_key(const ProbeRequest& request, const ProbeReport& report, const KeyRef& ref, ProbeKey& key);
// The rule for one sample, likewise: what its trials bear out.
std::string judge_sample(const ProbeRequest& request, const ProbeReport& report, const ProbeSample& sample,
                         const std::vector<Trial>& by);

// What would keep the keys of the request (those that wrap) from being shown absent afterwards if exactly
// they were destroyed now: another object that opens what they protect, or that cannot be told from one of
// them. "": nothing. `before`: the inspection before.
std::string would_remain(const ProbeRequest& request, ProbeReport before);

// Opens the provider, looks, tries, judges. Whatever goes wrong stands in the report: this never throws
// Error. The fields about process and time are the caller's.
ProbeReport inspect(ProviderFactory& factory, const ProbeRequest& request);

// Request and answer, verbatim, as the ledger's evidence keeps them.
struct ProbeTranscript {
  Json request;
  Json answer;              // null when none came
  int exit = -1;            // 0 answered, 2 bad request, negative: ended by that signal
  std::string stderr_text;  // its first 8 KiB, what is not printable ASCII as '?'; a note of ours last
  bool timed_out = false;

  Json to_json() const;
  static ProbeTranscript from_json(const Json& value);
};

// Runs `probe_program` with one request on its input. Its environment holds only what providers need (the
// list is in probe_run.cpp) and the variable that the URI's pin-source names; it inherits no descriptor but
// its three. After `timeout` it is killed: then every key is unknown. Throws Error io_failed when no process
// can be started.
ProbeTranscript run_probe(const std::string& probe_program, const Json& request, Millis timeout);

// Names of the variables that a process of ours gets which opens the provider of this URI.
std::vector<std::string> provider_environment(const std::string& uri);

// "kesu-probe" in the directory of the running program; Error not_found when it is not there.
std::string probe_program_beside();

// What a transcript bears out: one entry for each key and sample of its request. Every answer is judged again
// from the recorded enumeration and trials; one that they do not bear out, or that is missing, is unknown and
// says so in `why`.
ProbeReport read_probe(const ProbeTranscript& transcript);

}  // namespace kesu
