#include "app/contacts.h"

#include <algorithm>

#include "app/actor.h"
#include "app/settle.h"

namespace kesu {

namespace {
constexpr size_t kMost = 500;

void refuse_text(const std::optional<std::string>& text, const char* option) {
  if (!text) return;
  if (text->size() <= kMost && is_utf8(*text) && std::none_of(text->begin(), text->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
      }))
    return;
  throw Error(Code::bad_input, std::string(option) + " takes one line of at most 500 bytes of UTF-8")
      .tried("recording it in the ledger");
}

Json contact_row(const State& state, const std::string& node, const std::string& name) {
  auto it = state.contacts.find(node);
  const ContactRecord c = it == state.contacts.end() ? ContactRecord{} : it->second;
  return Json::object({{"node", node},
                       {"name", name},
                       {"contact", c.contact},
                       {"place", c.place},
                       {"recorded", c.time ? Json(utc_text(c.time)) : Json()}});
}
}  // namespace

void record_contact(Vault& vault, const std::string& person, const std::optional<std::string>& contact,
                    const std::optional<std::string>& place) {
  if (!contact && !place)
    throw Error(Code::usage, "what is to be recorded?").next("--contact TEXT, --place TEXT, or both");
  refuse_text(contact, "--contact");
  refuse_text(place, "--place");
  settle(vault);
  const std::string vault_id = vault.state().vault.id;
  const std::string node = person.empty() ? vault_id : vault.find_operator(person).id;
  vault.decide({node, vault_id}, [&] {
    auto it = vault.state().contacts.find(node);
    const ContactRecord before = it == vault.state().contacts.end() ? ContactRecord{} : it->second;
    // The same again, of a run that was killed before it could say so.
    if (contact.value_or(before.contact) == before.contact && place.value_or(before.place) == before.place)
      return std::vector<Event>();
    Event event{.type = "contact-recorded",
                .nodes = {{.id = node}},
                .body = Json::object({{"contact", contact.value_or(before.contact)},
                                      {"place", place.value_or(before.place)},
                                      {"actor", this_process()}})};
    if (node != vault_id) event.nodes.push_back({.id = vault_id});
    return std::vector<Event>{std::move(event)};
  });
}

Json contacts_json(const State& state) {
  Json out(Json::Array{});
  out.push(contact_row(state, state.vault.id, state.vault.organisation));
  for (auto& [id, person] : state.operators) out.push(contact_row(state, id, person.name));
  return out;
}

}  // namespace kesu
