// kesu key list
#include "../context.h"
#include "app/keys.h"
#include "key_group.h"

namespace kesu::cli {

void setup_key_list(CLI::App& group, Context& c) {
  CLI::App* cmd = group.add_subcommand("list", "all keys");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"NAME", "ID", "PURPOSE", "ALGORITHM", "STATE", "VERSIONS", "PROVIDER"});
    for (auto& [id, k] : v.state().keys) {
      Json j = key_json(v.state(), k);
      t.add({k.name, brief(id), j.str("role"), j.str("algorithm"), j.str("state"),
             std::to_string(k.versions.size()), j.str("provider")});
      out.push(std::move(j));
    }
    c.show(out, t.str());
  });
}

}  // namespace kesu::cli
