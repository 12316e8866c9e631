// Rows of the records that remarks make: copies, holds, findings, exceptions. For lib/app/registers.cpp.
#pragma once
#include <string>
#include <vector>

#include "app/state.h"

namespace kesu::registers {

Json list(const std::vector<std::string>& items);
std::vector<std::string> strings(const Json& v);

// A record as its row's JSON, and back; read() throws Error bad_input for what is no such row.
Json row(const CopyRecord& c);
void read(const Json& j, CopyRecord& c);
Json row(const HoldRecord& h);
void read(const Json& j, HoldRecord& h);
Json row(const FindingRecord& f);
void read(const Json& j, FindingRecord& f);
Json row(const ExceptionRecord& e);
void read(const Json& j, ExceptionRecord& e);

}  // namespace kesu::registers
