// kesu vault contact
#include "app/contacts.h"
#include "vault_group.h"

namespace kesu::cli {

void setup_vault_contact(CLI::App& group, Context& c) {
  struct Options {
    std::string person;
    std::optional<std::string> contact, place;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "contact",
      "how the organisation and its people are reached, and where they act: certificates say so; without "
      "--contact and --place it shows them\n\n  kesu vault contact --contact \"+81 3 0000 0000\" --place "
      "\"Tokyo data centre\"\n  kesu vault contact --of \"Hanako Sato\" --contact sato@bank.example");
  cmd->add_option("--of", o->person, "a person who is enrolled (default: the organisation)");
  cmd->add_option("--contact", o->contact, "telephone, mail, address");
  cmd->add_option("--place", o->place, "where it is done, or where the person works");
  on_run(cmd, [&c, o] {
    const bool writes = o->contact || o->place;
    if (!writes && !o->person.empty())
      throw Error(Code::usage, "what is to be recorded of " + o->person + "?")
          .next("--contact TEXT, --place TEXT; kesu vault contact alone shows all");
    Vault& v = c.open(writes ? Access::write : Access::read);
    if (writes) {
      record_contact(v, o->person, o->contact, o->place);
      v.checkpoint();
    }
    Json rows = contacts_json(v.state());
    Table t({"NAME", "CONTACT", "PLACE", "RECORDED"});
    for (const Json& row : rows.as_array()) {
      const Json& at = row.at("recorded");
      t.add({row.str("name"), row.str("contact").empty() ? "-" : row.str("contact"),
             row.str("place").empty() ? "-" : row.str("place"),
             at.is_null() ? "-" : local_text(*parse_utc(at.as_string()))});
    }
    c.show(rows, t.str());
  });
}

}  // namespace kesu::cli
