// Rows of the records that people's acts and remarks make: the vault, operators, erasures, certificates;
// copies, holds, findings, exceptions. For lib/app/registers.cpp.
#pragma once
#include <string>
#include <vector>

#include "app/state.h"

namespace kesu::registers {

Json list(const std::vector<std::string>& items);
std::vector<std::string> strings(const Json& v);

// A record as its row's JSON, and back; read() throws Error bad_input for what is no such row.
Json row(const VaultRecord& v);
void read(const Json& j, VaultRecord& v);
Json row(const OperatorRecord& o);
void read(const Json& j, OperatorRecord& o);
Json row(const ErasureRecord& e);
void read(const Json& j, ErasureRecord& e);
Json row(const CertificateRecord& c);
void read(const Json& j, CertificateRecord& c);
Json row(const CopyRecord& c);
void read(const Json& j, CopyRecord& c);
Json row(const HoldRecord& h);
void read(const Json& j, HoldRecord& h);
Json row(const FindingRecord& f);
void read(const Json& j, FindingRecord& f);
Json row(const ContactRecord& c);
void read(const Json& j, ContactRecord& c);
Json row(const NoticeRecord& n);
void read(const Json& j, NoticeRecord& n);
Json row(const ExceptionRecord& e);
void read(const Json& j, ExceptionRecord& e);
Json row(const ChangeRecord& c);
void read(const Json& j, ChangeRecord& c);

}  // namespace kesu::registers
