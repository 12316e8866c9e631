// Memory that was freed and that the allocator still keeps.
#pragma once

namespace kesu {

// Gives it back to the system. For between two steps that each need much and share nothing of it: else the
// second's comes on top of what the first has left. Takes some milliseconds; changes nothing else.
void give_back_memory();

}  // namespace kesu
