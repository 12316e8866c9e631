#include "erasure/destroy_version.h"

#include "base/error.h"

namespace kesu {

namespace {
NodeMention version_node(const VersionRef& version, std::string state,
                         const std::optional<std::string>& erasure) {
  NodeMention node{.id = version.str(), .is = std::move(state)};
  if (erasure) node.of = *erasure;
  return node;
}

Event done(const VersionRef& version, const std::string& state_before,
           const std::optional<std::string>& erasure, Json body) {
  bool compromised = state_before == "compromised";
  return Event{.type = "destroy-done",
               .nodes = {version_node(version, compromised ? "destroyed-compromised" : "destroyed", erasure)},
               .body = std::move(body)};
}

// Only what says that nothing is there is an end.
bool still_there(Provider& provider, const KeyRef& ref) {
  try {
    provider.describe(ref);
    return true;
  } catch (const Error& e) {
    return e.code() == Code::object_ambiguous;
  }
}

Header header_of(const Event& event) {
  Header h;
  h.seq = 1;  // any but the first
  h.type = event.type;
  h.nodes = event.nodes;
  h.edges = event.edges;
  return h;
}
}  // namespace

DestroyOutcome destroy_version(Provider& provider, const DestroyOrder& order, const Recorder& recorder) {
  const VersionRef& version = order.ref.version;
  Json attributes = provider.describe(order.ref);  // also shows that exactly this object is there
  Json intended = Json::object({{"actor", order.actor},
                                {"attributes", attributes},
                                {"from", order.state},
                                {"ref", order.ref.to_json()}});
  if (!order.before.empty()) intended.set("before", order.before);
  recorder.append({Event{.type = "destroy-intended",
                         .nodes = {version_node(version, "destroying", order.erasure)},
                         .body = std::move(intended)}});
  // An end that could not be recorded must show before the act, not after it.
  if (std::string why = header_problem(header_of(done(version, order.state, order.erasure, Json())));
      !why.empty())
    throw Error(Code::failed, "the end of this destruction could not be recorded").cause(why);
  Receipt receipt = provider.destroy_object(order.ref);
  std::string kept = recorder.keep_evidence(as_bytes(receipt.to_json().canonical()));
  std::string result = receipt.result;
  if (receipt.accepted && still_there(provider, order.ref)) {
    receipt.accepted = false;
    result += ", and the object is there as before";
  }
  if (receipt.accepted) {
    recorder.append({done(version, order.state, order.erasure,
                          Json::object({{"receipt", kept}, {"receipt_lost", false}}))});
    return DestroyOutcome::destroyed;
  }
  provider.describe(order.ref);  // throws when it is not there any more: then the question stays open
  recorder.append({Event{.type = "destroy-failed",
                         .nodes = {version_node(version, order.state, order.erasure)},
                         .body = Json::object({{"result", result}, {"transcript", kept}})}});
  return DestroyOutcome::refused;
}

std::vector<Event> settle_destruction(const VersionRef& version, const std::string& state_before,
                                      const std::optional<std::string>& erasure, ProbeAnswer answer,
                                      const std::string& transcript) {
  switch (answer) {
    case ProbeAnswer::absent:
      return {done(version, state_before, erasure,
                   Json::object({{"receipt", Json()}, {"receipt_lost", true}, {"transcript", transcript}}))};
    case ProbeAnswer::usable:
    case ProbeAnswer::refused:
      return {Event{
          .type = "destroy-failed",
          .nodes = {version_node(version, state_before, erasure)},
          .body = Json::object({{"result", std::string("interrupted; the provider still shows the key: ") +
                                               std::string(probe_text(answer))},
                                {"transcript", transcript}})}};
    case ProbeAnswer::unknown:
      break;
  }
  return {};
}

}  // namespace kesu
