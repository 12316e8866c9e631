#include "base/process.h"

#include <gtest/gtest.h>

namespace kesu {
namespace {

TEST(Process, PassesInputAndOnlyTheNamedEnvironment) {
  ProgramResult r = run_program(
      {.argv = {"/bin/sh", "-c",
                "cat; env | sort -r | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= >&2; exit 3"},
       .environment = {"PATH=/usr/bin:/bin", "A=b"},
       .input = Bytes(300000, 'x')});
  EXPECT_EQ(r.exit, 3);
  EXPECT_EQ(r.out, Bytes(300000, 'x'));
  EXPECT_EQ(r.err, "PATH=/usr/bin:/bin\nA=b\n");
}

TEST(Process, TimeoutKillsAndMissingProgramIs127) {
  ProgramResult slow = run_program({.argv = {"/bin/sleep", "30"}, .timeout = 100});
  EXPECT_TRUE(slow.timed_out);
  EXPECT_EQ(slow.exit, 128 + 9);
  EXPECT_EQ(run_program({.argv = {"/no/such/program"}}).exit, 127);
}

TEST(Process, ChildThatDoesNotReadIsNoProblemAndTooMuchOutputKills) {
  EXPECT_EQ(run_program({.argv = {"/bin/true"}, .input = Bytes(1 << 20, 'x')}).exit, 0);
  EXPECT_EQ(run_program({.argv = {"/usr/bin/yes"}, .max_output = 100000}).exit, 128 + 9);
}

}  // namespace
}  // namespace kesu
