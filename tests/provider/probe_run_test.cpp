// Starting a probe: what it inherits, and what happens when it hangs, dies, floods or babbles.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "provider/probe.h"

namespace kesu {
namespace {

class ProbeRun : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "kesu-probe-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string script(const std::string& body) {
    std::string path = dir_ + "/probe";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    chmod(path.c_str(), 0700);
    return path;
  }
  ProbeTranscript run(const std::string& body, Millis timeout = 20'000,
                      const Json& request = Json::object({})) {
    return run_probe(script(body), request, timeout);
  }
  std::string dir_;
};

TEST_F(ProbeRun, CarriesRequestAndAnswerVerbatim) {
  Json request = Json::object({{"big", std::string(300'000, 'x')}, {"v", 1}});
  ProbeTranscript t = run("cat", 20'000, request);
  EXPECT_EQ(t.exit, 0);
  EXPECT_EQ(t.answer, request);
  EXPECT_EQ(t.request, request);
  EXPECT_FALSE(t.timed_out);
}

TEST_F(ProbeRun, InheritsNoDescriptorAndOnlyTheProvidersEnvironment) {
  int leak = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(::fcntl(leak, F_DUPFD, 77), 0);
  setenv("SOFTHSM2_CONF", "/x", 1);
  setenv("MY_PIN", "geheim", 1);
  setenv("OTHER_SECRET", "geheim", 1);
  Json request = Json::object({{"uri", "pkcs11:token=t?module-path=/m&pin-source=env:MY_PIN&x=1"}});
  // The shell itself adds PWD and the like: the raw block is what it was given.
  ProbeTranscript t =
      run("n=$(tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 | sort | tr '\\n' ,)\n"
          "f=$(for x in /proc/$$/fd/*; do readlink $x; done | tr '\\n' ,)\ncat >/dev/null\nprintf "
          "'{\"env\":\"%s\",\"fd\":\"%s\"}' "
          "$n $f",
          20'000, request);
  ASSERT_EQ(t.exit, 0) << t.stderr_text;
  EXPECT_EQ(t.answer.str("env"), "MY_PIN,SOFTHSM2_CONF,");
  EXPECT_NE(t.answer.str("fd").find("pipe:"), std::string::npos);  // its own
  EXPECT_EQ(t.answer.str("fd").find("/dev/null"), std::string::npos);
}

TEST_F(ProbeRun, AHangingProbeIsKilled) {
  for (const char* body : {"exec sleep 100", "exec >/dev/null 2>&1; exec sleep 100"}) {
    auto begin = std::chrono::steady_clock::now();
    ProbeTranscript t = run(body, 200);
    EXPECT_TRUE(t.timed_out);
    EXPECT_EQ(t.exit, -9);
    EXPECT_TRUE(t.answer.is_null());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  }
}

TEST_F(ProbeRun, AFailingOrBabblingProbeGivesNoAnswer) {
  ProbeTranscript t = run("cat >/dev/null; printf 'why\\001\\303' >&2; echo '{}'; exit 2");
  EXPECT_EQ(t.exit, 2);
  EXPECT_TRUE(t.answer.is_null());
  EXPECT_EQ(t.stderr_text, "why??");
  EXPECT_TRUE(run("cat >/dev/null; echo hello").answer.is_null());
  EXPECT_TRUE(run("cat >/dev/null; echo '{ }'").answer.is_null());  // not canonical
  EXPECT_EQ(run("kill -11 $$").exit, -11);
  EXPECT_EQ(run("exec 0<&-; echo '{}'").exit, 0);  // does not read: no SIGPIPE here
  EXPECT_EQ(run("head -c 100000 /dev/zero >&2; exit 3").stderr_text.size(), 8192u);
  EXPECT_EQ(run_probe(dir_ + "/none", Json::object({}), 20'000).exit, 127);
}

}  // namespace
}  // namespace kesu
