// The store's contract on one process: appending, reading, conflicts, files, registers, opening.
#include "store_fixture.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include "ledger/tree.h"

namespace kesu {
namespace {

class StoreBasics : public StoreTest {};

TEST_F(StoreBasics, WhatIsAppendedIsRead) {
  auto store = create();
  auto result = store->append({seal_intended(1), seal_intended(2)});
  EXPECT_EQ(result.first_seq, 1u);
  EXPECT_EQ(result.time, clock.now());
  EXPECT_EQ(store->size(), 3u);
  StoredEntry e = store->entry(2);
  EXPECT_EQ(e.entry.header.seq, 2u);
  EXPECT_EQ(e.entry.header.nodes[0].id, id_of("bat", 2));
  EXPECT_EQ(e.canonical_header, e.entry.header.canonical());
  EXPECT_EQ(e.canonical_body, "{\"batch\":2}");
  EXPECT_EQ(e.entry.salt.size(), kSaltBytes);
  EXPECT_NE(e.entry.salt, store->entry(1).entry.salt);
  EXPECT_EQ(e.leaf, leaf_hash(e.canonical_header, body_hash(e.entry.salt, e.canonical_body)));
  auto leaves = store->leaves(3);
  EXPECT_EQ(leaves[2], e.leaf);
  EXPECT_EQ(store->head().root(), tree_root(leaves));
  EXPECT_EQ(store->leaves(2).size(), 2u);
  EXPECT_EQ(code_of([&] { store->leaves(4); }), Code::bad_input);
  EXPECT_EQ(code_of([&] { store->entry(3); }), Code::not_found);

  store.reset();
  store = open();
  EXPECT_EQ(store->entry(2).leaf, e.leaf);
  EXPECT_EQ(store->append({seal_intended(3)}).first_seq, 3u);
}

TEST_F(StoreBasics, ReadingCanStopAndCanCallTheStore) {
  auto store = create();
  std::vector<Event> events;
  for (unsigned i = 0; i < 700; ++i) events.push_back(seal_intended(i));
  store->append(events);
  std::vector<uint64_t> seen;
  store->read(5, 1000000, [&](const StoredEntry& e) {
    seen.push_back(e.entry.header.seq);
    store->entry(0);
    return seen.size() < 600;
  });
  ASSERT_EQ(seen.size(), 600u);
  EXPECT_EQ(seen.front(), 5u);
  EXPECT_EQ(seen.back(), 604u);
  size_t all = 0;
  store->read(0, store->size(), [&](const StoredEntry&) { return ++all, true; });
  EXPECT_EQ(all, 701u);
}

TEST_F(StoreBasics, TimeNeverFalls) {
  auto store = create();
  Millis start = clock.now();
  clock.set(start - 5000);
  EXPECT_EQ(store->append({seal_intended(1)}).time, start);
  clock.set(start + 7);
  EXPECT_EQ(store->append({seal_intended(2)}).time, start + 7);
  store.reset();
  clock.set(start);
  EXPECT_EQ(open()->append({seal_intended(3)}).time, start + 7);
}

TEST_F(StoreBasics, AStreamMovesByOneForEachEntryThatNamesIt) {
  auto store = create();
  std::string key = id_of("key", 1, 1);
  EXPECT_EQ(store->stream_version(key), 0u);
  store->append({seal_intended(1), seal_intended(2)});
  EXPECT_EQ(store->stream_version(key), 2u) << "as an edge's end";
  EXPECT_EQ(store->stream_version(id_of("bat", 1)), 1u) << "as node and as edge's end of one entry";
  EXPECT_EQ(store->stream_version(id_of("ds", 1)), 0u) << "`of` does not count";
  EXPECT_EQ(store->stream_version(id_of("vlt", 1)), 1u);
}

TEST_F(StoreBasics, AnAppendThatDecidedOnAnOldStateIsRefusedWhole) {
  auto store = create();
  std::string ds = id_of("ds", 1);
  store->append({finding(ds, "a")}, {{ds, 0}});
  EXPECT_EQ(code_of([&] { store->append({finding(ds, "b"), seal_intended(9)}, {{ds, 0}}); }), Code::conflict);
  EXPECT_EQ(store->size(), 2u);
  EXPECT_EQ(store->stream_version(id_of("bat", 9)), 0u);
  EXPECT_EQ(code_of([&] {
              store->append({finding(ds, "b")}, {{id_of("ds", 2), 0}, {ds, 2}});
            }),
            Code::conflict);
  store->append({finding(ds, "b")}, {{ds, 1}, {id_of("ds", 2), 0}});
  EXPECT_EQ(store->stream_version(ds), 2u);
}

TEST_F(StoreBasics, WhatBreaksTheRulesIsNotAppended) {
  auto store = create();
  Event bad = seal_intended(1);
  bad.edges.clear();
  EXPECT_EQ(code_of([&] { store->append({seal_intended(2), bad}); }), Code::bad_input);
  EXPECT_EQ(code_of([&] { store->append({genesis()}); }), Code::bad_input);
  EXPECT_EQ(code_of([&] { store->append({}); }), Code::bad_input);
  Event text = seal_intended(3);
  text.body = Json("text");
  EXPECT_EQ(code_of([&] { store->append({text}); }), Code::bad_input);
  text.body = Json::object({{"x", std::string(kMaxBodyBytes, 'x')}});
  EXPECT_EQ(code_of([&] { store->append({text}); }), Code::bad_input);
  EXPECT_EQ(store->size(), 1u);
  EXPECT_EQ(store->append({seal_intended(2)}).first_seq, 1u);
}

TEST_F(StoreBasics, TheFirstEntryIsGenesis) {
  auto store = open({.create = true});
  EXPECT_EQ(store->size(), 0u);
  EXPECT_EQ(hex(store->head().root()), hex(sha256(ByteView())));
  EXPECT_EQ(code_of([&] { store->append({seal_intended(1)}); }), Code::bad_input);
  EXPECT_EQ(store->append({genesis()}).first_seq, 0u);
}

TEST_F(StoreBasics, OpeningAndCreating) {
  EXPECT_EQ(code_of([&] { open(); }), Code::vault_absent);
  create();
  EXPECT_EQ(code_of([&] { open({.create = true}); }), Code::already_exists);
  EXPECT_EQ(open()->size(), 1u) << "the one that was there";
  auto mode = [&](const std::string& name) {
    struct stat st {};
    EXPECT_EQ(::stat(path_join(vault, name).c_str(), &st), 0) << name;
    return st.st_mode & 0777;
  };
  auto store = open();
  std::string blob = store->put_blob(as_bytes("x"));
  store->put_segment(id_of("ds", 1), id_of("bat", 1), as_bytes("y"));
  store->save_registers({1, "ab", {{"key", "k", "{}"}}}, true);
  store->append({seal_intended(1)});
  EXPECT_EQ(mode("."), 0700u);
  for (std::string file : {std::string("ledger.db"), std::string("ledger.db-wal"),
                           std::string("ledger.db-shm"), std::string("registers.db"), "evidence/" + blob,
                           "inventory/" + id_of("ds", 1) + "/" + id_of("bat", 1) + ".seg"})
    EXPECT_EQ(mode(file), 0600u) << file;
}

TEST_F(StoreBasics, OnlyALedgerOfKesuIsOpened) {
  create();
  tamper("PRAGMA application_id=1");
  EXPECT_EQ(code_of([&] { open(); }), Code::ledger_damaged);
  write_file_durable(path_join(vault, "ledger.db"),
                     as_bytes("this is no database, and it is long enough to be read"));
  EXPECT_EQ(code_of([&] { open(); }), Code::ledger_damaged);
}

TEST_F(StoreBasics, ANewerVaultIsReadAndNotWritten) {
  create();
  tamper("PRAGMA user_version=2");
  auto store = open();
  EXPECT_TRUE(store->read_only());
  EXPECT_EQ(store->entry(0).entry.header.type, "genesis");
  try {
    store->append({seal_intended(1)});
    ADD_FAILURE() << "it wrote";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::vault_newer);
    EXPECT_NE(e.cause().find("version 2"), std::string::npos) << e.cause();
  }
  EXPECT_EQ(code_of([&] { store->put_blob(as_bytes("x")); }), Code::vault_newer);
  store.reset();
  tamper("ALTER TABLE entries RENAME TO entries2");
  EXPECT_EQ(code_of([&] { open(); }), Code::vault_newer) << "tables that this version cannot read";
}

TEST_F(StoreBasics, AnEntryOfANewerVersionSaysSo) {
  create();
  tamper("UPDATE entries SET header = replace(header, '\"v\":1', '\"v\":2')");
  EXPECT_EQ(code_of([&] { open()->entry(0); }), Code::vault_newer);
}

// Who copies ledger.db alone between two commands has all of it.
TEST_F(StoreBasics, ClosedItIsOneFile) {
  create()->append({seal_intended(1)});
  for (const char* beside : {"-wal", "-shm"})
    EXPECT_FALSE(exists(path_join(vault, "ledger.db") + beside)) << beside;
}

TEST_F(StoreBasics, ReadOnlyWhenAskedWritesNothing) {
  auto writer = create();
  std::string blob = writer->put_blob(as_bytes("evidence"));
  auto store = open({.read_only = true});
  EXPECT_TRUE(store->read_only());
  EXPECT_FALSE(writer->read_only());
  EXPECT_EQ(code_of([&] { store->append({seal_intended(1)}); }), Code::read_only);
  EXPECT_EQ(code_of([&] { store->put_blob(as_bytes("x")); }), Code::read_only);
  EXPECT_EQ(code_of([&] { store->put_segment(id_of("ds", 1), id_of("bat", 1), as_bytes("x")); }),
            Code::read_only);
  EXPECT_EQ(code_of([&] { store->save_checkpoint({1, "x"}); }), Code::read_only);
  store->save_registers({1, "ab", {{"key", "k", "{}"}}}, true);
  EXPECT_FALSE(exists(path_join(vault, "registers.db")));
  EXPECT_EQ(to_text(store->blob(blob)), "evidence");
  writer->append({seal_intended(1)});
  EXPECT_EQ(store->size(), 2u) << "it sees what others append";
}

TEST_F(StoreBasics, Checkpoints) {
  auto store = create();
  auto first = checkpoint_of(*store);
  store->save_checkpoint(first);
  store->save_checkpoint(first);
  store->append({seal_intended(1)});
  auto second = checkpoint_of(*store);
  store->save_checkpoint(second);
  SavedCheckpoint cosigned = first;
  cosigned.note += "— witness\n";
  store->save_checkpoint(cosigned);
  EXPECT_EQ(open()->checkpoints(), (std::vector<SavedCheckpoint>{first, cosigned, second}));
}

TEST_F(StoreBasics, Blobs) {
  auto store = create();
  std::string digest = store->put_blob(as_bytes("evidence"));
  EXPECT_EQ(digest, hex(sha256(as_bytes("evidence"))));
  EXPECT_EQ(store->put_blob(as_bytes("evidence")), digest);
  EXPECT_EQ(to_text(store->blob(digest)), "evidence");
  EXPECT_TRUE(store->has_blob(digest));
  EXPECT_EQ(store->blobs(), std::vector<std::string>{digest});
  std::string other(64, '0');
  EXPECT_FALSE(store->has_blob(other));
  EXPECT_EQ(code_of([&] { store->blob(other); }), Code::not_found);
  EXPECT_EQ(code_of([&] { store->blob("../ledger.db"); }), Code::bad_identifier);
  write_file_durable(path_join(vault, "evidence/" + digest), as_bytes("Evidence"));
  EXPECT_EQ(code_of([&] { store->blob(digest); }), Code::ledger_damaged);
  EXPECT_EQ(store->put_blob(as_bytes("evidence")), digest);
  EXPECT_EQ(to_text(store->blob(digest)), "evidence");
}

TEST_F(StoreBasics, Segments) {
  auto store = create();
  std::string ds = id_of("ds", 1), bat = id_of("bat", 1);
  std::string digest = store->put_segment(ds, bat, as_bytes("leaves"));
  EXPECT_EQ(digest, hex(sha256(as_bytes("leaves"))));
  EXPECT_EQ(store->put_segment(ds, bat, as_bytes("leaves")), digest);
  EXPECT_EQ(code_of([&] { store->put_segment(ds, bat, as_bytes("others")); }), Code::already_exists);
  EXPECT_EQ(to_text(store->segment(ds, bat)), "leaves");
  EXPECT_TRUE(store->has_segment(ds, bat));
  EXPECT_FALSE(store->has_segment(ds, id_of("bat", 2)));
  EXPECT_EQ(code_of([&] { store->segment(ds, id_of("bat", 2)); }), Code::not_found);
  EXPECT_EQ(code_of([&] { store->put_segment("..", bat, as_bytes("x")); }), Code::bad_identifier);
  EXPECT_EQ(code_of([&] { store->put_segment(ds, "../x", as_bytes("x")); }), Code::bad_identifier);
  EXPECT_EQ(store->segments(), (std::vector<std::pair<std::string, std::string>>{{ds, bat}}));
}

using Registers = Store::Registers;

TEST_F(StoreBasics, RegistersChangeByRows) {
  auto store = create();
  EXPECT_FALSE(store->load_registers());
  store->save_registers({1, "aa", {{"key", "k1", "{\"n\":1}"}, {"key", "k2", "{}"}, {"dataset", "d1", "{}"}}},
                        true);
  store->save_registers({2, "bb", {{"key", "k1", "{\"n\":2}"}, {"key", "k2", ""}}}, false);
  auto there = open()->load_registers();
  ASSERT_TRUE(there);
  EXPECT_EQ(there->size, 2u);
  EXPECT_EQ(there->root, "bb");
  EXPECT_EQ(there->rows, (decltype(there->rows){{"dataset", "d1", "{}"}, {"key", "k1", "{\"n\":2}"}}));
}

TEST_F(StoreBasics, RegistersMayVanishAtAnyTime) {
  auto store = create();
  std::string file = path_join(vault, "registers.db");
  Registers all{1, "aa", {{"key", "k1", "{}"}}};
  store->save_registers(all, true);
  remove_file(file);
  EXPECT_FALSE(store->load_registers());
  store->save_registers(all, true);
  EXPECT_TRUE(store->load_registers());

  write_file_durable(file, as_bytes("not a database, but long enough that somebody looks at it"));
  EXPECT_FALSE(store->load_registers());
  store->save_registers(all, true);
  ASSERT_TRUE(store->load_registers());

  tamper("PRAGMA application_id=77", "registers.db");
  EXPECT_FALSE(store->load_registers());
  store->save_registers(all, true);
  ASSERT_TRUE(store->load_registers());

  Bytes content = read_file(file);
  for (size_t i = 4096; i < content.size(); ++i) content[i] = 0x5a;
  write_file_durable(file, content);
  EXPECT_FALSE(store->load_registers());
  store->save_registers(all, true);
  ASSERT_TRUE(store->load_registers());
  EXPECT_EQ(store->load_registers()->rows, all.rows);
  EXPECT_EQ(store->size(), 1u) << "the ledger does not care";
}

// What stands there instead is told, so that a full check does not pass over it.
TEST_F(StoreBasics, RegistersThatCannotBeReadAreTold) {
  create()->save_registers({1, "aa", {{"batch", "d/b", "{}"}, {"key", "k1", "{}"}}}, true);
  const std::string file = path_join(vault, "registers.db");
  const Bytes good = read_file(file);
  auto store = open({.read_only = true, .busy_wait = 50});
  auto why = [&]() -> std::string {
    if (store->load_registers("batch")) {
      EXPECT_FALSE(store->registers_finding());
      return "readable";
    }
    auto finding = store->registers_finding();
    return finding ? (finding->severity == Severity::note ? "note " : "") + finding->why : "nothing";
  };
  auto expect = [&](std::string_view part) {
    EXPECT_NE(why().find(part), std::string::npos) << part << why();
  };
  EXPECT_EQ(why(), "readable");

  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(why(), "not compared: another process kept it locked");
  // Whoever keeps it locked keeps it, whatever it says.
  auto writer = open({.busy_wait = 50});
  writer->save_registers({2, "bb", {}}, true);
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(why(), "readable");
  EXPECT_TRUE(store->more_registers("batch", "", [](std::string_view, std::string_view) {}));

  for (auto& [sql, said] : {std::pair("PRAGMA user_version = 3", "note not compared"),
                            std::pair("PRAGMA application_id = 7", "application_id is 7"),
                            std::pair("CREATE TABLE more(x)", "table more is not one that kesu makes"),
                            std::pair("DELETE FROM standing", "does not say what it stands for"),
                            std::pair("PRAGMA journal_mode = WAL", "write-ahead log")}) {
    tamper(sql, "registers.db");
    expect(said);
    // More than what was loaded before is not believed either, and says why.
    EXPECT_FALSE(store->more_registers("batch", "", [](std::string_view, std::string_view) {}));
    write_file_durable(file, good);
  }
  EXPECT_EQ(why(), "readable");
  tamper("PRAGMA user_version = 3", "registers.db");
  EXPECT_FALSE(store->more_registers("batch", "", [](std::string_view, std::string_view) {}));
  EXPECT_TRUE(store->registers_finding());
  tamper("PRAGMA user_version = 9; UPDATE standing SET size = 2", "registers.db");
  EXPECT_FALSE(store->more_registers("batch", "", [](std::string_view, std::string_view) {}));
  EXPECT_FALSE(store->registers_finding()) << "another process saved: that is nothing wrong";
  write_file_durable(file, as_bytes("rubbish of some length, which is no database at all"));
  expect("not compared, and no command goes by it");
  write_file_durable(file, {});
  EXPECT_EQ(why(), "nothing") << "empty, as a kill leaves it";
  remove_file(file);
  EXPECT_EQ(why(), "nothing");
  // Whatever stood there, saving all makes them anew.
  write_file_durable(file, good);
  tamper("CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END", "registers.db");
  writer->save_registers({2, "bb", {{"key", "k2", "{}"}}}, true);
  ASSERT_EQ(why(), "readable");
  EXPECT_EQ(store->load_registers()->rows.size(), 1u);
}

// Changes over an older state must not be laid on a newer one.
TEST_F(StoreBasics, ChangesThatDoNotFitTheFileAreNotSaved) {
  auto a = create(), b = open();
  a->save_registers({1, "aa", {{"key", "k1", "{\"n\":1}"}}}, true);
  ASSERT_TRUE(a->load_registers());
  ASSERT_TRUE(b->load_registers());
  b->save_registers({5, "ee", {{"key", "k1", "{\"n\":5}"}}}, false);
  a->save_registers({3, "cc", {{"key", "k1", "{\"n\":3}"}}}, false);
  auto there = a->load_registers();
  ASSERT_TRUE(there);
  EXPECT_EQ(there->size, 5u);
  EXPECT_EQ(there->rows, (decltype(there->rows){{"key", "k1", "{\"n\":5}"}}));
}

}  // namespace
}  // namespace kesu
