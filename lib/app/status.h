// What is due, pending, open, broken: one screen.
#pragma once
#include "app/vault.h"

namespace kesu {

struct StatusReport {
  Json document;
  bool waits_for_person = false;  // an approval, a plan to run
  bool overdue = false;           // open questions that a command could settle
};
StatusReport vault_status(Vault& vault);

}  // namespace kesu
