// The token that the shim shows: SoftHSM2's, gone or back, swapped, with other handles after a new login.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shim_script.h"

namespace shim {

extern CK_FUNCTION_LIST* real;

// What the script says about one call. Applied already: delays, sessions that ended, the token's state.
struct Verdict {
  std::optional<CK_RV> answer;  // the call is not made
  std::optional<CK_RV> then;    // it is made, and answers this
  bool renumber = false, short_gcm = false;
  CK_FLAGS set = 0, clear = 0;
  std::optional<std::pair<CK_ULONG, CK_ULONG>> sessions;
  std::vector<Rule> lies;
};

// Counts the call and applies the script. `items`: the template of calls that have one.
Verdict before(const char* call, const CK_ATTRIBUTE* items = nullptr, CK_ULONG count = 0);
// Reads the script; throws std::runtime_error. Without one every call goes through.
void load_script();

bool token_gone();
// The slots as the script shows them.
std::vector<CK_SLOT_ID> shown_slots(bool with_token, const std::vector<CK_SLOT_ID>& all);
// Puts on what the script says of the token's names.
void dress(CK_SLOT_ID slot, CK_TOKEN_INFO& info);

// Object handles as the caller knows them, and as SoftHSM2 does.
CK_OBJECT_HANDLE to_real(CK_OBJECT_HANDLE shown);
CK_OBJECT_HANDLE to_shown(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle);
void forget_handles();
// From here the numbers given so far name other objects of their class.
void renumber(CK_SESSION_HANDLE session);

}  // namespace shim
