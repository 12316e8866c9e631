// Matching a provider's own words against docs/spec/providers.json.
#include "certificate/grade.h"

#include "certificate/tables_impl.h"

namespace kesu {

namespace {

const Json& table() {
  static const Json doc = parse_json(embedded_providers, "docs/spec/providers.json");
  return doc;
}

const std::string& named(const ProviderIdentity& identity, std::string_view member) {
  static const std::string nothing;
  if (member == "manufacturer") return identity.manufacturer;
  if (member == "model") return identity.model;
  if (member == "firmware") return identity.firmware;
  return nothing;
}

// A validated row must name the whole of each text; for the known test grades a beginning is enough.
bool matches(const Json& match, const ProviderIdentity& identity, bool whole) {
  for (const auto& [member, wanted] : match.as_object()) {
    const std::string& is = named(identity, member);
    if (whole ? is != wanted.as_string() : !is.starts_with(wanted.as_string())) return false;
  }
  return match.size() > 0;
}

void add_limits(std::vector<Limit>& out, const Json& list) {
  for (const Json& item : list.as_array()) out.push_back({item.str("id"), bilingual(item)});
}

}  // namespace

ProviderGrade grade_provider(const ProviderIdentity& identity) {
  for (const Json& row : table().at("validated").as_array())
    if (row.at("match").size() == 3 && matches(row.at("match"), identity, true))
      return {false, row.str("certificate"), row.str("cite")};
  for (const Json& row : table().at("known_test_grade").as_array())
    if (matches(row.at("match"), identity, false)) return {true, "", row.str("reason")};
  return {true, "", "no validation certificate is known for this manufacturer, model and firmware"};
}

std::vector<Limit> limits_for(const std::set<std::string>& kinds) {
  std::vector<Limit> out;
  add_limits(out, table().at("limits"));
  for (const auto& [kind, item] : table().at("kinds").as_object())
    if (kinds.contains(kind)) add_limits(out, item.at("limits"));
  return out;
}

int64_t providers_version() { return table().num("version"); }

}  // namespace kesu
