// The stack that a program runs on, whatever `ulimit -s` says.
#pragma once

namespace kesu {

// Runs `body` on this thread, with the soft limit of stacks raised as far as the hard one allows (programs
// that are started inherit that); where that is too little for kesu, on a thread with a stack of its own.
// Threads made later get enough in either case. Called first in main, whose own frame must be small.
// Returns what `body` does; 1, having said why on standard error, where no such thread can be made.
int with_enough_stack(int (*body)(int, char**), int argc, char** argv);

}  // namespace kesu
