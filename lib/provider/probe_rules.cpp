// What a probe looks at, and what may follow from it. The rule for `absent` stands in judge_key and nowhere
// else.
#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "provider/probe.h"

namespace kesu {

namespace {
bool signs(const KeyRef& ref) {
  return ref.purpose == KeyPurpose::sign_ledger || ref.purpose == KeyPurpose::sign_certificate;
}

std::string shown(const ObjectSeen& object) {
  return object.object_class + " label '" + object.label + "' id " + hex(object.id);
}

bool carries(const ObjectSeen& object, const KeyRef& ref) {
  return object.object_class == (signs(ref) ? "CKO_PRIVATE_KEY" : "CKO_SECRET_KEY") &&
         object.label == ref.label && object.id == ref.id;
}

int64_t count_carrying(const std::optional<Enumeration>& seen, const KeyRef& ref) {
  if (!seen) return 0;
  return std::count_if(seen->objects.begin(), seen->objects.end(),
                       [&ref](const ObjectSeen& object) { return carries(object, ref); });
}

bool opens(const Trial& trial, const KeyRef& ref) {
  return trial.outcome == TrialOutcome::opened && ref.canary && trial.digest == ref.canary->digest;
}

std::vector<ObjectSeen> sorted(std::vector<ObjectSeen> objects) {
  std::sort(objects.begin(), objects.end(), [](const ObjectSeen& a, const ObjectSeen& b) {
    return std::tie(a.object_class, a.key_type, a.label, a.id, a.check_value) <
           std::tie(b.object_class, b.key_type, b.label, b.id, b.check_value);
  });
  return objects;
}

bool check_values_differ(const ObjectSeen& object, const KeyRef* ref) {
  return ref != nullptr && !ref->check_value.empty() && !object.check_value.empty() &&
         ref->check_value != object.check_value;
}

// One kind of symmetric key, as far as an enumeration tells them apart: several objects may look the same.
struct Tried {
  const ObjectSeen* object = nullptr;
  int64_t there = 0, trials = 0, failed = 0, opened = 0;
  const Trial* last = nullptr;

  // Is none of them the key? Each failed a trial (one that told is an object's last), or their check value is
  // another.
  bool excluded(const KeyRef* ref) const {
    if (opened > 0) return false;
    return failed >= there || check_values_differ(*object, ref);
  }
};

// The enumeration's symmetric keys with their trials; nullopt unless the trials are of exactly these objects,
// at least one for each.
std::optional<std::vector<Tried>> match_trials(const Enumeration& seen, const std::vector<Trial>& by) {
  std::vector<Tried> out;
  auto of = [&out](const ObjectSeen& object) -> Tried* {
    for (Tried& one : out)
      if (*one.object == object) return &one;
    return nullptr;
  };
  for (const ObjectSeen& object : seen.objects) {
    if (object.object_class != "CKO_SECRET_KEY") continue;
    Tried* one = of(object);
    if (one == nullptr) one = &out.emplace_back(), one->object = &object;
    ++one->there;
  }
  for (const Trial& trial : by) {
    Tried* one = of(trial.object);
    if (one == nullptr) return std::nullopt;
    ++one->trials;
    one->failed += trial.outcome == TrialOutcome::failed;
    one->opened += trial.outcome == TrialOutcome::opened;
    one->last = &trial;
  }
  for (const Tried& one : out)
    if (one.trials < one.there) return std::nullopt;
  return out;
}

struct Verdict {
  ProbeAnswer answer;
  std::string why;
};

Verdict unknown(std::string why) { return {ProbeAnswer::unknown, std::move(why)}; }

// What an object that is there says about the key; nullopt: nothing points to it.
std::optional<Verdict> judge_presence(const ProbeRequest& request, const ProbeReport& report,
                                      const KeyRef& ref, const ProbeKey& key) {
  for (const Trial& trial : key.by)
    if (opens(trial, ref)) {
      if (!carries(trial.object, ref))
        return Verdict{ProbeAnswer::usable, "relabelled: its canary opens under " + shown(trial.object)};
      return Verdict{ProbeAnswer::usable, key.found == 1 ? "found once, its canary opened"
                                                         : std::to_string(key.found) +
                                                               " objects carry its name, its canary opened"};
    }
  if (signs(ref) && key.canary == "opened")
    return Verdict{ProbeAnswer::usable, "found once, a signature of it verified"};
  for (size_t i = 0; i < request.samples.size() && i < report.samples.size(); ++i)
    if (request.samples[i].key == ref.version)
      for (const Trial& trial : report.samples[i].by)
        if (trial.outcome == TrialOutcome::opened)
          return Verdict{ProbeAnswer::usable,
                         "sample " + request.samples[i].id + " opens under " + shown(trial.object)};
  if (key.found > 0) {
    if (key.canary != "failed")
      for (const Trial& trial : key.by)
        if (carries(trial.object, ref) && trial.outcome == TrialOutcome::refused)
          return Verdict{ProbeAnswer::refused,
                         "it is there and the provider refuses its use: " + trial.result};
    if (key.canary == "failed") return unknown("another object stands under this label and id");
    return unknown("an object stands under this label and id, and could not be tried");
  }
  if (report.enumeration)
    for (const ObjectSeen& object : report.enumeration->objects) {
      // An adopted key may lack one of the two; then it says nothing about others that lack it.
      if (!ref.label.empty() && object.label == ref.label)
        return unknown("its label is on another object: " + shown(object));
      if (!ref.id.empty() && object.id == ref.id)
        return unknown("its id is on another object: " + shown(object));
      if (!ref.check_value.empty() && object.check_value == ref.check_value)
        return unknown("its check value is on another object: " + shown(object));
    }
  return std::nullopt;
}

Verdict judge(const ProbeRequest& request, const ProbeReport& report, const KeyRef& ref,
              const ProbeKey& key) {
  if (!report.identity) return unknown("the provider did not answer: " + report.error_message);
  if (!report.same_place || !report.identity->same_place(request.identity))
    return unknown("another place answered");
  if (auto verdict = judge_presence(request, report, ref, key)) return *verdict;
  if (!report.error_code.empty()) return unknown("the inspection failed: " + report.error_message);
  if (!report.enumeration || !report.enumeration->complete)
    return unknown("not all objects could be listed" +
                   (report.enumeration ? ": " + report.enumeration->why : ""));
  if (!request.control) return unknown("no control key was named");
  if (report.control != ProbeAnswer::usable || count_carrying(report.enumeration, *request.control) != 1)
    return unknown("the control key did not show that this login sees and uses keys");
  if (signs(ref) && (ref.label.empty() || ref.id.empty())) return unknown("it has no label or no id");
  if (signs(ref)) return {ProbeAnswer::absent, "nothing carries its label or id; the control key is there"};
  if (!request.try_remaining) return unknown("the keys that are left were not tried");
  if (!ref.canary) return unknown("it has no canary to try");
  auto tried = match_trials(*report.enumeration, key.by);
  if (!tried) return unknown("not every key that is left was tried");
  for (const Tried& one : *tried)
    if (one.object->key_type == "CKK_AES" && !one.excluded(&ref))
      return unknown("whether it is this one could not be tried: " + shown(*one.object) + ": " +
                     one.last->result);
  return {ProbeAnswer::absent,
          "nothing carries its label, id or check value; no key that is left opens its canary; "
          "the control key is there"};
}

void look_at_signing_key(Provider& provider, const KeyRef& ref, ProbeKey& key) {
  // sign() verifies a signature with the public key of the reference before it gives one.
  Bytes nothing(ref.purpose == KeyPurpose::sign_certificate ? 48 : 32);
  try {
    provider.sign(ref, nothing);
    key.canary = "opened";
  } catch (const Error& error) {
    if (error.code() == Code::key_mismatch) key.canary = "failed";
  }
}

void look_at_key(Provider& provider, const ProbeRequest& request, const KeyRef& ref, ProbeKey& key) {
  if (signs(ref)) {
    if (key.found == 1) look_at_signing_key(provider, ref, key);
    return;
  }
  if (!ref.canary) return;
  WrappedKey canary{WrapAlg::aes256_gcm, ref.canary->nonce, ref.canary->ciphertext};
  key.by = provider.try_keys(canary, as_bytes(kCanaryAad), request.try_remaining ? nullptr : &ref);
  for (const Trial& trial : key.by) {
    if (opens(trial, ref)) key.canary = "opened";
    if (carries(trial.object, ref) && trial.outcome == TrialOutcome::failed && key.canary != "opened")
      key.canary = "failed";
    if (carries(trial.object, ref) && trial.outcome == TrialOutcome::opened && !opens(trial, ref))
      key.canary = "failed";  // it authenticates, and something else was in it
  }
}

ProbeAnswer look_at_control(Provider& provider, const Enumeration& seen, const KeyRef& control) {
  if (signs(control) || !control.canary || count_carrying(seen, control) != 1) return ProbeAnswer::unknown;
  WrappedKey canary{WrapAlg::aes256_gcm, control.canary->nonce, control.canary->ciphertext};
  ProbeAnswer answer = ProbeAnswer::unknown;
  for (const Trial& trial : provider.try_keys(canary, as_bytes(kCanaryAad), &control)) {
    if (opens(trial, control)) return ProbeAnswer::usable;
    if (trial.outcome == TrialOutcome::refused) answer = ProbeAnswer::refused;
  }
  return answer;
}

void look_at_sample(Provider& provider, const ProbeRequest& request, const ProbeSample& sample,
                    ProbeSampleResult& result) {
  auto ref = std::find_if(request.keys.begin(), request.keys.end(),
                          [&sample](const KeyRef& key) { return key.version == sample.key; });
  if (!request.try_remaining && ref == request.keys.end()) return;
  result.by = provider.try_keys(sample.wrapped, sample.aad, request.try_remaining ? nullptr : &*ref);
  for (Trial& trial : result.by) trial.digest.reset();  // of a data key: not even this is kept
}

void begin(const ProbeRequest& request, ProbeReport& report) {
  report.keys.clear();
  report.samples.clear();
  for (const KeyRef& ref : request.keys) report.keys.emplace_back().version = ref.version;
  for (const ProbeSample& sample : request.samples) report.samples.emplace_back().id = sample.id;
}

// One look at everything. False: the objects changed meanwhile, so that it shows nothing.
bool look_once(Provider& provider, const ProbeRequest& request, ProbeReport& report) {
  begin(request, report);
  report.token_sessions = provider.token_sessions();
  report.enumeration = provider.enumerate();
  for (size_t i = 0; i < request.keys.size(); ++i)
    report.keys[i].found = count_carrying(report.enumeration, request.keys[i]);
  ProbeAnswer before = ProbeAnswer::unknown;
  if (request.control) before = look_at_control(provider, *report.enumeration, *request.control);
  for (size_t i = 0; i < request.keys.size(); ++i)
    look_at_key(provider, request, request.keys[i], report.keys[i]);
  for (size_t i = 0; i < request.samples.size(); ++i)
    look_at_sample(provider, request, request.samples[i], report.samples[i]);
  // All of this is worth something only if the place stayed as it was: the same objects, and the control key
  // still usable after the last trial.
  Enumeration after = provider.enumerate();
  if (request.control && before == ProbeAnswer::usable)
    before = look_at_control(provider, after, *request.control);
  report.control = before;
  Enumeration& seen = *report.enumeration;
  if (seen.complete && !after.complete) {
    seen.complete = false;
    seen.why = "listing them a second time failed: " + after.why;
  } else if (seen.complete && sorted(seen.objects) != sorted(after.objects)) {
    seen.complete = false;
    seen.why = "the objects changed while they were inspected";
    return false;
  }
  return true;
}

// Somebody else makes or destroys a key in the same token just now: the next look may be undisturbed.
void look(Provider& provider, const ProbeRequest& request, ProbeReport& report) {
  constexpr int kLooks = 8;
  for (int i = 1; !look_once(provider, request, report) && i < kLooks; ++i) {
  }
}
}  // namespace

void judge_key(const ProbeRequest& request, const ProbeReport& report, const KeyRef& ref, ProbeKey& key) {
  Verdict verdict = judge(request, report, ref, key);
  key.answer = verdict.answer;
  key.why = std::move(verdict.why);
}

std::string judge_sample(const ProbeRequest& request, const ProbeReport& report, const ProbeSample& sample,
                         const std::vector<Trial>& by) {
  for (const Trial& trial : by)
    if (trial.outcome == TrialOutcome::opened) return "opened";
  if (!request.try_remaining || !report.enumeration) return "not-tried";
  auto ref = std::find_if(request.keys.begin(), request.keys.end(),
                          [&sample](const KeyRef& key) { return key.version == sample.key; });
  auto tried = match_trials(*report.enumeration, by);
  if (!tried) return "not-tried";
  for (const Tried& one : *tried)
    if (one.object->key_type == "CKK_AES" && !one.excluded(ref == request.keys.end() ? nullptr : &*ref))
      return "not-tried";
  return "failed";
}

std::string would_remain(const ProbeRequest& request, ProbeReport report) {
  const auto going = [&request](const ObjectSeen& object) {
    return std::any_of(request.keys.begin(), request.keys.end(),
                       [&object](const KeyRef& ref) { return carries(object, ref); });
  };
  for (const KeyRef& ref : request.keys)
    if (int64_t n = count_carrying(report.enumeration, ref); n > 1)
      return std::to_string(n) + " objects carry the label and id of " + ref.version.brief();
  if (report.enumeration) std::erase_if(report.enumeration->objects, going);
  const auto forget = [&going](std::vector<Trial>& by) {
    std::erase_if(by, [&going](const Trial& trial) { return going(trial.object); });
  };
  for (ProbeKey& key : report.keys) forget(key.by);
  for (ProbeSampleResult& sample : report.samples) forget(sample.by);
  for (size_t i = 0; i < request.keys.size() && i < report.keys.size(); ++i) {
    ProbeKey& key = report.keys[i];
    if (signs(request.keys[i])) continue;
    key.found = 0;
    key.canary = "not-tried";
    judge_key(request, report, request.keys[i], key);
    if (key.answer != ProbeAnswer::absent) return key.version.brief() + ": " + key.why;
  }
  for (size_t i = 0; i < request.samples.size() && i < report.samples.size(); ++i) {
    if (const std::string answer = judge_sample(request, report, request.samples[i], report.samples[i].by);
        answer != "failed")
      return "sample " + request.samples[i].id + " of " + request.samples[i].key.brief() + " would be " +
             answer;
  }
  return "";
}

ProbeReport inspect(ProviderFactory& factory, const ProbeRequest& request) {
  ProbeReport report;
  report.program = kProbeProgram;
  begin(request, report);
  try {
    auto provider = factory.open(request.uri);
    report.identity = provider->identity();
    report.same_place = report.identity->same_place(request.identity);
    if (report.same_place) {
      look(*provider, request, report);
    } else {
      report.error_code = code_text(Code::token_absent);
      report.error_message = "another place answers: kind " + report.identity->kind + ", serial " +
                             report.identity->serial + ", manufacturer " + report.identity->manufacturer;
    }
  } catch (const Error& error) {
    report.error_code = code_text(error.code());
    report.error_message = error.message() + (error.cause().empty() ? "" : ": " + error.cause());
  } catch (const std::exception& error) {
    report.error_code = code_text(Code::failed);
    report.error_message = error.what();
  }
  for (size_t i = 0; i < request.keys.size(); ++i)
    judge_key(request, report, request.keys[i], report.keys[i]);
  for (size_t i = 0; i < request.samples.size(); ++i)
    report.samples[i].answer = judge_sample(request, report, request.samples[i], report.samples[i].by);
  return report;
}

ProbeReport read_probe(const ProbeTranscript& transcript) {
  ProbeRequest request = ProbeRequest::from_json(transcript.request);
  ProbeReport report;
  std::string why;
  if (transcript.timed_out)
    why = "the probe did not end in time";
  else if (transcript.answer.is_null())
    why = "the probe gave no answer (exit " + std::to_string(transcript.exit) + ")";
  else if (transcript.exit != 0)
    why = "the probe failed (exit " + std::to_string(transcript.exit) + ")";
  else {
    try {
      report = ProbeReport::from_json(transcript.answer);
    } catch (const Error& error) {
      why = "the probe's answer cannot be read: " + error.message();
    }
  }
  if (why.empty() &&
      (report.keys.size() != request.keys.size() || report.samples.size() != request.samples.size()))
    why = "the probe answered for other keys or samples than it was asked";
  for (size_t i = 0; why.empty() && i < request.keys.size(); ++i)
    if (report.keys[i].version != request.keys[i].version) why = "the probe answered for another key";
  for (size_t i = 0; why.empty() && i < request.samples.size(); ++i)
    if (report.samples[i].id != request.samples[i].id) why = "the probe answered for another sample";
  if (!why.empty()) {
    report = ProbeReport();
    report.error_code = code_text(Code::provider_unavailable);
    report.error_message = why;
    for (const KeyRef& ref : request.keys) {
      ProbeKey& key = report.keys.emplace_back();
      key.version = ref.version;
      key.why = why;
    }
    for (const ProbeSample& sample : request.samples) report.samples.emplace_back().id = sample.id;
    return report;
  }
  for (size_t i = 0; i < request.keys.size(); ++i) {
    ProbeKey& key = report.keys[i];
    ProbeAnswer said = key.answer;
    // The count is recomputed too: the enumeration is what was recorded, the number only repeats it.
    key.found = count_carrying(report.enumeration, request.keys[i]);
    judge_key(request, report, request.keys[i], key);
    if (key.answer != said) {
      key.why = "the probe said " + std::string(probe_text(said)) + ", its record says " +
                std::string(probe_text(key.answer)) + ": " + key.why;
      key.answer = ProbeAnswer::unknown;
    }
  }
  for (size_t i = 0; i < request.samples.size(); ++i) {
    ProbeSampleResult& result = report.samples[i];
    if (result.answer != judge_sample(request, report, request.samples[i], result.by))
      result.answer = "not-tried";
  }
  return report;
}

}  // namespace kesu
