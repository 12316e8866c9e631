// Many threads, many processes, and the ends that processes come to: killed, out of disk, on a medium nobody
// can write.
#include "store_fixture.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <set>
#include <thread>

namespace kesu {
namespace {

// Runs `work` in a child; gives its process id. The child ends without the test program's own endings.
pid_t in_child(const std::function<void()>& work) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  try {
    work();
    ::_exit(0);
  } catch (const Error& e) {
    std::fprintf(stderr, "child: %s: %s\n", e.message().c_str(), e.cause().c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "child: %s\n", e.what());
  }
  ::_exit(1);
}
int end_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class Concurrency : public StoreTest {};

TEST_F(Concurrency, ThreadsShareCommitsAndGetConsecutiveNumbers) {
  constexpr unsigned kThreads = 64, kEach = 50;
  auto store = create();
  std::vector<std::vector<uint64_t>> got(kThreads);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < kEach; ++i) {
        unsigned batch = 2 * (t * kEach + i);
        got[t].push_back(store->append({seal_intended(batch), seal_intended(batch + 1)}).first_seq);
      }
    });
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (unsigned t = 0; t < kThreads; ++t) {
    for (unsigned i = 0; i < kEach; ++i) {
      uint64_t seq = got[t][i];
      EXPECT_EQ(store->entry(seq).entry.header.nodes[0].id, id_of("bat", 2 * (t * kEach + i)));
      EXPECT_EQ(store->entry(seq + 1).entry.header.nodes[0].id, id_of("bat", 2 * (t * kEach + i) + 1));
      all.insert({seq, seq + 1});
      EXPECT_TRUE(i == 0 || seq > got[t][i - 1]);
    }
  }
  EXPECT_EQ(all.size(), 2u * kThreads * kEach);
  EXPECT_EQ(*all.begin(), 1u);
  EXPECT_EQ(*all.rbegin(), 2u * kThreads * kEach);
  EXPECT_EQ(store->size(), all.size() + 1);
  EXPECT_EQ(text_of(verify(*store)), "");
}

// Of all that decided on the same state, one gets through in each round; the others learn of it, and nothing
// else fails.
TEST_F(Concurrency, OneWinsOthersConflict) {
  constexpr unsigned kThreads = 16, kRounds = 20;
  auto store = create();
  std::string ds = id_of("ds", 1);
  std::atomic<unsigned> won{0}, lost{0}, bystanders{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < kRounds; ++i) {
        uint64_t version = store->stream_version(ds);
        try {
          store->append({finding(ds, "decided"), finding(ds, "and done")}, {{ds, version}});
          ++won;
        } catch (const Error& e) {
          if (e.code() == Code::conflict) ++lost;
        }
        store->append({seal_intended(t * kRounds + i)});
        ++bystanders;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won + lost, kThreads * kRounds);
  EXPECT_GT(won, 0u);
  EXPECT_EQ(bystanders, kThreads * kRounds);
  EXPECT_EQ(store->stream_version(ds), 2u * won);
  EXPECT_EQ(store->size(), 1 + 2u * won + bystanders);
  EXPECT_EQ(text_of(verify(*store)), "");
}

TEST_F(Concurrency, ARefusedAppendDoesNotHarmItsGroup) {
  constexpr unsigned kThreads = 16, kEach = 20;
  auto store = create();
  std::atomic<unsigned> refused{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < kEach; ++i) {
        Event event = seal_intended(t * kEach + i);
        if (t % 2) event.nodes[0].is = "sealed";
        try {
          store->append({seal_intended(10000 + t * kEach + i), event});
        } catch (const Error& e) {
          if (e.code() == Code::bad_input) ++refused;
        }
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refused, kThreads / 2 * kEach);
  EXPECT_EQ(store->size(), 1 + 2u * (kThreads / 2) * kEach);
  EXPECT_EQ(text_of(verify(*store)), "");
}

TEST_F(Concurrency, TwoProcessesAppendAtOnce) {
  constexpr unsigned kProcesses = 3, kThreads = 4, kEach = 60;
  create().reset();
  std::vector<pid_t> children;
  for (unsigned p = 0; p < kProcesses; ++p)
    children.push_back(in_child([&] {
      auto store = open();
      std::vector<std::thread> threads;
      std::atomic<bool> failed{false};
      for (unsigned t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
          try {
            for (unsigned i = 0; i < kEach; ++i)
              store->append({seal_intended((p * kThreads + t) * kEach + i)});
          } catch (const Error& e) {
            std::fprintf(stderr, "%s: %s\n", e.message().c_str(), e.cause().c_str());
            failed = true;
          }
        });
      for (auto& thread : threads) thread.join();
      if (failed) throw Error(Code::failed, "an append failed");
    }));
  for (pid_t pid : children) EXPECT_EQ(end_of(pid), 0);
  auto store = open();
  EXPECT_EQ(store->size(), 1u + kProcesses * kThreads * kEach);
  for (unsigned i = 0; i < kProcesses * kThreads * kEach; ++i)
    EXPECT_EQ(store->stream_version(id_of("bat", i)), 1u) << i;
  EXPECT_EQ(text_of(verify(*store)), "");
}

TEST_F(Concurrency, OfManyThatCreateOneWins) {
  std::vector<pid_t> children;
  for (int p = 0; p < 4; ++p)
    children.push_back(in_child([&] {
      try {
        open({.create = true});
      } catch (const Error& e) {
        if (e.code() == Code::already_exists) ::_exit(7);
        throw;
      }
    }));
  std::multiset<int> ends;
  for (pid_t pid : children) ends.insert(end_of(pid));
  EXPECT_EQ(ends, (std::multiset<int>{0, 7, 7, 7}));
  EXPECT_EQ(open()->append({genesis()}).first_seq, 0u);
  for (const std::string& name : list_directory(vault))
    EXPECT_EQ(name.find(".new"), std::string::npos) << name;
}

TEST_F(Concurrency, WaitsForOthersOnlySoLong) {
  auto store = create();
  store.reset();
  store = open({.busy_wait = 150});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_join(vault, "ledger.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(code_of([&] { store->append({seal_intended(1)}); }), Code::store_busy);
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr);
  });
  EXPECT_EQ(store->append({seal_intended(1)}).first_seq, 1u) << "busy is no failure that closes the store";
  release.join();
  sqlite3_close(other);
}

// A child tells each number that an append returned; then it is killed in the middle of its work.
TEST_F(Concurrency, WhatWasAcknowledgedOutlivesAKill) {
  create().reset();
  uint64_t size = 1;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    pid_t pid = in_child([&] {
      ::close(ends[0]);
      auto store = open();
      std::vector<std::thread> threads;
      for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
          for (unsigned i = 0;; ++i) {
            unsigned batch = (static_cast<unsigned>(round) * 8 + t) * 100000 + 2 * i;
            uint64_t told[2] = {store->append({seal_intended(batch), seal_intended(batch + 1)}).first_seq,
                                batch};
            if (::write(ends[1], told, sizeof told) != sizeof told) ::_exit(2);
          }
        });
      for (auto& thread : threads) thread.join();
    });
    ::close(ends[1]);
    std::vector<std::pair<uint64_t, uint64_t>> told;
    uint64_t one[2];
    auto take = [&] { return ::read(ends[0], one, sizeof one) == sizeof one; };
    while (told.size() < 60u + 7u * static_cast<unsigned>(round) && take()) told.emplace_back(one[0], one[1]);
    ::kill(pid, SIGKILL);
    EXPECT_EQ(end_of(pid), 128 + SIGKILL);
    while (take()) told.emplace_back(one[0], one[1]);
    ::close(ends[0]);

    auto store = open();
    for (auto [seq, batch] : told) {
      EXPECT_EQ(store->entry(seq).entry.header.nodes[0].id, id_of("bat", static_cast<unsigned>(batch)));
      EXPECT_EQ(store->entry(seq + 1).entry.header.nodes[0].id,
                id_of("bat", static_cast<unsigned>(batch) + 1));
    }
    EXPECT_GE(store->size(), size + 2 * told.size());
    EXPECT_EQ(store->size() % 2, 1u) << "an append is whole or not there";
    size = store->size();
    EXPECT_EQ(text_of(verify(*store)), "");
  }
}

TEST_F(Concurrency, AFailedWriteClosesTheStoreAndNothingIsHalfDone) {
  create().reset();
  pid_t pid = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    auto store = open();
    rlimit limit{256 << 10, 256 << 10};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw Error(Code::failed, "setrlimit");
    uint64_t done = 0;
    Code code = Code::failed;
    try {
      for (unsigned i = 0; i < 1000; ++i, ++done) {
        Event event = seal_intended(i);
        event.body.set("fill", std::string(3000, 'x'));
        store->append({event});
      }
    } catch (const Error& e) {
      code = e.code();
    }
    if (code != Code::store_unavailable || done == 0) throw Error(Code::failed, "no failed write");
    try {
      store->append({seal_intended(5000)});
      throw Error(Code::failed, "it went on");
    } catch (const Error& e) {
      if (e.code() != Code::store_unavailable) throw;
    }
    if (store->size() != done + 1) throw Error(Code::failed, "a refused entry is there");
  });
  EXPECT_EQ(end_of(pid), 0);
  auto store = open();
  EXPECT_EQ(text_of(verify(*store)), "");
  uint64_t size = store->size();
  EXPECT_GT(size, 1u);
  EXPECT_EQ(store->append({seal_intended(6000)}).first_seq, size);
}

TEST_F(Concurrency, AFullDiskIsNamed) {
  ASSERT_EQ(::mkdir(vault.c_str(), 0700), 0);
  if (::mount("tmpfs", vault.c_str(), "tmpfs", 0, "size=600k") != 0)
    GTEST_SKIP() << "mounting a small file system is not permitted here: " << std::strerror(errno);
  struct Unmount {
    std::string at;
    ~Unmount() { ::umount(at.c_str()); }
  } unmount{vault};
  uint64_t done = 0;
  std::string spare = path_join(vault, "spare");
  write_file_durable(spare, Bytes(100 << 10, 1));
  {
    auto store = create();
    Code code = Code::failed;
    try {
      for (unsigned i = 0; i < 2000; ++i, ++done) {
        Event event = seal_intended(i);
        event.body.set("fill", std::string(3000, 'x'));
        store->append({event});
      }
    } catch (const Error& e) {
      code = e.code();
      EXPECT_NE(e.next(), "");
    }
    EXPECT_EQ(code, Code::disk_full);
    EXPECT_GT(done, 0u);
    EXPECT_EQ(store->size(), done + 1);
    EXPECT_EQ(code_of([&] { store->put_blob(Bytes(200 << 10, 1)); }), Code::disk_full);
    EXPECT_TRUE(store->blobs().empty());
  }
  remove_file(spare);
  auto store = open();
  EXPECT_EQ(store->size(), done + 1);
  EXPECT_EQ(text_of(verify(*store)), "");
  EXPECT_EQ(store->append({seal_intended(6000)}).first_seq, done + 1);
}

// Permission bits do not bind root, so the child becomes somebody else.
class Unwritable : public Concurrency {
 protected:
  void open_up() {
    for (const char* file : {"ledger.db", "ledger.db-wal", "ledger.db-shm"})
      ::chmod(path_join(vault, file).c_str(), 0644);
    ::chmod(temp.path.c_str(), 0755);
    for (const char* directory : {".", "evidence", "inventory"})
      ::chmod(path_join(vault, directory).c_str(), 0755);
  }
  // What somebody else finds, opening without asking for reading only.
  void expect_reads(uint64_t size) {
    pid_t pid = in_child([&] {
      if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(9);
      auto store = open();
      if (!store->read_only()) throw Error(Code::failed, "it is open for writing");
      if (store->size() != size)
        throw Error(Code::failed, "it has " + std::to_string(store->size()) + " entries");
      if (auto findings = verify(*store); !findings.empty()) throw Error(Code::failed, text_of(findings));
      try {
        store->append({seal_intended(1)});
      } catch (const Error& e) {
        if (e.code() == Code::read_only) return;
        throw;
      }
      throw Error(Code::failed, "it wrote");
    });
    EXPECT_EQ(end_of(pid), 0);
  }
  // Leaves -wal and -shm behind, as a killed writer does.
  void killed_writer(unsigned entries) {
    pid_t pid = in_child([&] {
      auto store = open();
      for (unsigned i = 0; i < entries; ++i) store->append({seal_intended(i)});
      ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(end_of(pid), 128 + SIGKILL);
    ASSERT_TRUE(exists(path_join(vault, "ledger.db-wal")));
  }
};

TEST_F(Unwritable, ADirectoryLeftInOrder) {
  create()->append({seal_intended(1)});
  open_up();
  expect_reads(2);
}

TEST_F(Unwritable, ADirectoryLeftByAKilledWriter) {
  create().reset();
  killed_writer(5);
  open_up();
  expect_reads(6);
}

TEST_F(Unwritable, ADirectoryWhoseWriterIsAtWork) {
  auto store = create();
  store->append({seal_intended(1)});
  open_up();
  expect_reads(2);
  store->append({seal_intended(2)});
  expect_reads(3);
}

// A copied vault, as on a read-only medium: the log has entries, and nobody can make the index for it there.
TEST_F(Unwritable, ALogWithoutItsIndexIsReadAside) {
  create().reset();
  killed_writer(5);
  remove_file(path_join(vault, "ledger.db-shm"));
  open_up();
  expect_reads(6);
  for (const auto& left :
       std::filesystem::directory_iterator(std::filesystem::path(temp.path).parent_path())) {
    std::string name = left.path().filename();
    EXPECT_FALSE(name.starts_with("kesu-") && !name.starts_with("kesu-store-") &&
                 exists(left.path() / "ledger.db"))
        << name << " was left behind";
  }
}

}  // namespace
}  // namespace kesu
