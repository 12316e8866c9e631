// kesu doctor: can tombstones be written, and does one tell of a version that came back?
#include <unistd.h>

#include "app/doctor.h"
#include "app/tombstones.h"

namespace kesu {

Check examine_tombstones(Vault& vault) {
  using enum CheckResult;
  const std::string& place = vault.tombstones();
  if (place.empty())
    return {"tombstones", ok, "not kept: an old copy of the vault would take destroyed keys for living ones",
            "tombstones = DIR under [vault] in kesu.toml"};
  if (!vault.revived().empty())
    return {"tombstones", fail,
            std::to_string(vault.revived().size()) +
                " key versions were destroyed, and this copy of the vault does not "
                "know it",
            "kesu status names them; bring back the vault's newest copy"};
  if (::access(place.c_str(), R_OK | W_OK | X_OK) != 0)
    return {"tombstones", fail, place + " cannot be written", "mount or make it, or correct kesu.toml"};
  try {
    const size_t missing = unburied(vault).size();
    return {"tombstones", missing ? warn : ok,
            place + (missing ? ", " + std::to_string(missing) + " are missing" : ", none is missing"),
            missing ? "the next command that writes writes them" : ""};
  } catch (const Error& e) {
    return {"tombstones", fail, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.next()};
  }
}

}  // namespace kesu
