// The reader of plain headers, for entry.cpp. Not installed.
#pragma once
#include "ledger/entry.h"

namespace kesu {

// Whether `text` is exactly what Header::canonical() gives for a header that keeps the rules; that header
// into `header`, which is empty before and holds anything after false.
bool read_plain_header(std::string_view text, Header& header);

}  // namespace kesu
