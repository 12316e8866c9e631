// The three kinds of document that are no certificates. For lib/certificate itself.
#pragma once
#include "certificate/notice.h"

namespace kesu::notice {

struct Kind {
  std::string_view type, word, en, ja;
  std::string_view stages, outcomes;  // parted by blanks
  std::string_view entry;             // the ledger's type for it
};
// nullptr: of none.
const Kind* kind_of(std::string_view type);

}  // namespace kesu::notice
