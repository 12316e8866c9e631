// The end of a process whose mapped file cannot be written (SIGBUS), in words.
#pragma once
#include <string>

namespace kesu::cli {

// SQLite maps ledger.db-shm. Where each write takes new blocks (btrfs), the system finds out only when the
// mapped bytes are written that there are none left, and ends the process. From now on it ends with exit code
// 1 and an error as print_error says one, as json where that is asked for. What it did stands as after any
// kill.
void tell_bus_errors(bool json);
// The vault that is open: an error names it, and asks whether its disk is full.
void bus_errors_are_of(const std::string& directory);

}  // namespace kesu::cli
