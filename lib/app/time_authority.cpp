#include "app/time_authority.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>

#include "app/actor.h"
#include "app/authority_asking.h"
#include "app/clock_watch.h"
#include "base/files.h"
#include "net/http.h"

namespace kesu {

namespace {
constexpr Millis kMaxTimeout = 120'000;
constexpr size_t kMaxAuthorities = 16;

Error config_error(const std::string& path, size_t number, const std::string& why) {
  return Error(Code::bad_input, path + ": time.authority " + std::to_string(number) + ": " + why)
      .next("correct kesu.toml; kesu doctor checks it");
}

TimeAuthority read_authority(const toml::table& table, const std::string& directory, const std::string& path,
                             size_t number) {
  TimeAuthority out;
  auto text = [&](const char* name) {
    const toml::node* node = table.get(name);
    if (node && !node->is_string()) throw config_error(path, number, std::string(name) + " is no text");
    return node ? **node->as_string() : std::string();
  };
  auto place = [&](const std::string& name) {
    return name.starts_with("/") ? name : path_join(directory, name);
  };
  for (auto&& [key, value] : table)
    if (const std::string name(key.str());
        name != "url" && name != "ca" && name != "policy" && name != "tls_ca" && name != "timeout")
      throw config_error(path, number, "unknown member " + name);
  out.url = text("url");
  if (std::string why = url_problem(out.url); !why.empty())
    throw config_error(path, number, out.url.empty() ? "has no url" : "url " + why);
  const std::string ca = text("ca");
  if (ca.empty()) throw config_error(path, number, "has no ca: a PEM file with whom its answers are checked");
  try {
    for (const Certificate& c : Certificate::parse_pem(as_text(read_file(place(ca), 1 << 20))))
      out.anchors.push_back(c.der);
  } catch (const Error& e) {
    throw config_error(path, number, "ca " + ca + ": " + e.message()).cause(e.cause());
  }
  out.policy = text("policy");
  if (!out.policy.empty() && !is_oid(out.policy))
    throw config_error(path, number, "policy is no object identifier");
  if (std::string file = text("tls_ca"); !file.empty()) out.tls_ca = place(file);
  if (const toml::node* node = table.get("timeout")) {
    const auto seconds = node->value<int64_t>();
    if (!node->is_integer() || *seconds < 1 || *seconds * 1000 > kMaxTimeout)
      throw config_error(path, number, "timeout is no number of seconds from 1 to 120");
    out.timeout = *seconds * 1000;
  }
  return out;
}
}  // namespace

std::vector<TimeAuthority> time_authorities(const std::string& directory) {
  const std::string path = path_join(directory, "kesu.toml");
  std::vector<TimeAuthority> out;
  try {
    const toml::table config = toml::parse(to_text(read_file(path, 1 << 20)), path);
    const toml::node* time = config.get("time");
    if (!time) return out;
    const toml::array* list = time->is_table() ? (*time->as_table())["authority"].as_array() : nullptr;
    if (!list || time->as_table()->size() != 1)
      throw Error(Code::bad_input, path + ": time holds something else than [[time.authority]] tables");
    if (list->size() > kMaxAuthorities)
      throw Error(Code::bad_input, path + ": more than 16 time authorities");
    for (const toml::node& item : *list) {
      if (!item.is_table()) throw config_error(path, out.size() + 1, "is no table");
      out.push_back(read_authority(*item.as_table(), directory, path, out.size() + 1));
    }
  } catch (const toml::parse_error& e) {
    throw Error(Code::bad_input, path + " is not TOML").cause(std::string(e.description()));
  }
  return out;
}

Millis Stamp::clock_off() const {
  // The token was made between the two readings of the clock.
  const Millis give = check.accuracy + kAuthoritySlack;
  if (asked > check.time + give) return asked - check.time;
  if (answered < check.time - give) return answered - check.time;
  return 0;
}

Stamp ask_authority(Environment& env, const TimeAuthority& authority, ByteView data,
                    const std::atomic<bool>* stop) {
  const TimestampRequest request =
      make_timestamp_request(data, env.random, HashAlg::sha512, authority.policy);
  Stamp out;
  out.url = authority.url;
  out.asked = env.clock.now();
  const HttpAnswer answer = http_post({.url = authority.url,
                                       .content_type = "application/timestamp-query",
                                       .body = request.der,
                                       .ca_file = authority.tls_ca,
                                       .timeout = authority.timeout,
                                       .max_answer = kMaxTimestamp,
                                       .stop = stop});
  out.answered = env.clock.now();
  auto refused = [&](const std::string& why) {
    return Error(Code::time_unavailable, "the answer of " + authority.url + " does not count").cause(why);
  };
  if (answer.status >= 300 && answer.status < 400)
    throw refused("HTTP status " + std::to_string(answer.status) + ": it redirects, which is not followed");
  if (answer.status != 200) throw refused("HTTP status " + std::to_string(answer.status));
  try {
    TimestampAnswer parsed = parse_timestamp_answer(answer.body);
    if (!parsed.granted) throw refused("it refuses: " + parsed.refusal);
    out.token = std::move(parsed.token);
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    throw refused(e.message());
  }
  TimestampExpected expected{.data = data, .nonce = request.nonce};
  if (!authority.policy.empty()) expected.policy = authority.policy;
  out.check = verify_timestamp(out.token, expected);
  if (!out.check.ok) throw refused(out.check.reason);
  ChainCheck chain = timestamp_chain(out.check, {}, authority.anchors);
  if (!chain.ok) throw refused("its certificate does not lead to ca: " + chain.reason);
  out.chain = std::move(chain.chain);
  out.answer = answer.body;
  return out;
}

namespace {
std::string off_text(const Stamp& stamp, const std::string& host) {
  const Millis off = stamp.clock_off();
  // In whole minutes: the same difference is found again, and then it is the same finding.
  return "the clock of " + host + " is about " + std::to_string((std::llabs(off) + 30'000) / 60'000) +
         " min " + (off > 0 ? "ahead of" : "behind") + " the time authority " + stamp.url;
}

void record_clock(Vault& vault, const Stamp& stamp) {
  if (!stamp.clock_off() || vault.state().vault.closed || vault.store().read_only()) return;
  const Json me = this_process();
  const std::string what = stamp.clock_off() > 0 ? "clock-jumped" : "clock-behind",
                    detail = off_text(stamp, me.str("host"));
  bool fresh = false;
  vault.decide({vault.state().vault.id}, [&] {
    const FindingRecord* last = nullptr;
    uint64_t newest = 0;
    for (auto& [seq, f] : vault.state().findings)
      if (is_clock_finding(f.what) && std::stoull(seq) >= newest) last = &f, newest = std::stoull(seq);
    fresh = !last || last->detail != detail;
    if (!fresh) return std::vector<Event>{};
    return std::vector<Event>{{.type = "finding-recorded",
                               .nodes = {{.id = vault.state().vault.id}},
                               .body = Json::object({{"what", what},
                                                     {"detail", detail},
                                                     {"authority_time", utc_text(stamp.check.time)},
                                                     {"host_time", utc_text(stamp.answered)},
                                                     {"actor", me}})}};
  });
  if (fresh) vault.env().notice(detail + "; recorded as a finding (kesu doctor shows the clock's state)");
}
}  // namespace

Stamp fetch_stamp(Vault& vault, const std::vector<TimeAuthority>& authorities, ByteView data, Millis recorded,
                  const std::string& what, AheadOnly ahead_only) {
  std::string causes;
  bool contradicted = false;
  AuthorityAsking asking(vault.env(), authorities, data, what);
  while (auto answer = asking.next()) {
    std::string why = answer->why;
    if (answer->stamp) {
      Stamp& stamp = *answer->stamp;
      if (ahead_only == AheadOnly::no || stamp.clock_off() > 0) record_clock(vault, stamp);
      const Millis latest = stamp.check.time + stamp.check.accuracy + kAuthoritySlack;
      if (recorded <= latest) return std::move(stamp);
      contradicted = true;
      why = "it is " + utc_text(stamp.check.time) + " there, and " + utc_text(recorded) +
            " in the ledger: " + length_text(recorded - stamp.check.time) + " later";
    }
    causes += (causes.empty() ? "" : "; ") + answer->authority->url + ": " + why;
  }
  if (contradicted)
    throw Error(Code::waiting, "this vault's times are ahead of the time authority's: " + what +
                                   " would bear a time that has not come")
        .cause(causes)
        .next(
            "set the clock right (kesu doctor); times in the ledger never go back, so run the same command "
            "again when the last entry's time has come");
  throw Error(Code::time_unavailable, "no time authority gave a time-stamp for " + what)
      .tried(std::to_string(authorities.size()) + (authorities.size() == 1 ? " authority" : " authorities") +
             " of kesu.toml")
      .cause(causes)
      .next("run the same command again when one answers; kesu doctor asks them");
}

std::string chain_pem(const std::vector<std::vector<Bytes>>& chains) {
  std::vector<Bytes> seen;
  std::string out;
  for (const auto& chain : chains)
    for (const Bytes& der : chain) {
      if (std::find(seen.begin(), seen.end(), der) != seen.end()) continue;
      seen.push_back(der);
      out += Certificate::parse(der).pem();
    }
  return out;
}

}  // namespace kesu
