// The full check names what somebody changed: each kind of tampering, done past kesu.
#include "store_fixture.h"

#include <gtest/gtest.h>

namespace kesu {
namespace {

// 12 entries, a checkpoint at 5 and at 12, a blob that entry 11 names, a segment that entry 10 names.
class Verify : public StoreTest {
 protected:
  Verify() {
    auto store = create();
    for (unsigned i = 1; i < 5; ++i) append(*store, seal_intended(i));
    store->save_checkpoint(checkpoint_of(*store));
    for (unsigned i = 5; i < 10; ++i) append(*store, seal_intended(i));
    segment_sha = store->put_segment(kDs, kBat, as_bytes("leaves"));
    Event with_segment = finding(kDs, "segment");
    with_segment.body.set("segment", kDs + "/" + kBat).set("segment_sha", segment_sha);
    append(*store, with_segment);
    blob_sha = store->put_blob(as_bytes("evidence"));
    Event with_blob = finding(kDs, "blob");
    with_blob.body.set("sha", blob_sha);
    append(*store, with_blob);
    store->save_checkpoint(checkpoint_of(*store));
  }
  void append(Store& store, Event event) {
    clock.set(clock.now() + 1000);
    store.append({std::move(event)});
  }

  // Gives the row the leaf that its bytes make, as somebody would who knows the format.
  void mend_leaf(uint64_t seq) {
    std::string header, body;
    Bytes salt;
    {
      auto store = open({.read_only = true});
      store->read_raw([](const RawState&) {},
                      [&](const RawRow& raw) {
                        if (raw.row != static_cast<int64_t>(seq)) return;
                        header = raw.header;
                        body = raw.body;
                        salt = to_bytes(raw.salt);
                      },
                      [](const RawStream&) {});
    }
    tamper("UPDATE entries SET leaf = x'" + hex(leaf_hash(header, body_hash(salt, body))) +
           "' WHERE seq = " + std::to_string(seq));
  }
  void mend_head() {
    TreeHead tree;
    Millis last = 0;
    {
      auto store = open({.read_only = true});
      store->read_raw([](const RawState&) {},
                      [&](const RawRow& raw) {
                        Digest32 leaf;
                        std::copy_n(raw.leaf.begin(), 32, leaf.begin());
                        tree.add(leaf);
                        last = Header::parse(raw.header).time;
                      },
                      [](const RawStream&) {});
    }
    Bytes subtrees;
    for (const auto& d : tree.subtrees()) subtrees.insert(subtrees.end(), d.begin(), d.end());
    tamper("UPDATE head SET size = " + std::to_string(tree.size()) + ", time = " + std::to_string(last) +
           ", subtrees = x'" + hex(subtrees) + "'");
  }

  const std::string kDs = id_of("ds", 1), kBat = id_of("bat", 1);
  std::string blob_sha, segment_sha;
};

TEST_F(Verify, NothingToSay) {
  auto store = open();
  EXPECT_EQ(text_of(verify(*store)), "");
}

TEST_F(Verify, EachPartOfAnEntry) {
  tamper("UPDATE entries SET body = '{\"batch\":77}' WHERE seq = 3");
  expect_named("entry 3", "changed");
  EXPECT_EQ(code_of([&] { open()->entry(3); }), Code::ledger_damaged);
  EXPECT_EQ(verify(*open()).size(), 1u) << "only that entry: its leaf still fits the checkpoints";
  tamper("UPDATE entries SET salt = x'00112233445566778899aabbccddeeff' WHERE seq = 6");
  expect_named("entry 6", "changed");
  tamper("UPDATE entries SET salt = x'0011' WHERE seq = 6");
  expect_named("entry 6", "salt has 2 bytes");
  tamper("UPDATE entries SET header = replace(header, '\"n\":1', '\"n\":2') WHERE seq = 7");
  expect_named("entry 7", "changed");
  tamper("UPDATE entries SET header = replace(header, 'bat-', 'cat-') WHERE seq = 8");
  expect_named("entry 8", "no identifier");
  tamper("UPDATE entries SET leaf = x'00' WHERE seq = 9");
  expect_named("entry 9", "leaf has 1 bytes");
  tamper("UPDATE entries SET body = '{ \"batch\":2}' WHERE seq = 2");
  expect_named("entry 2", "canonical");
  tamper("UPDATE entries SET body = '[]' WHERE seq = 1");
  expect_named("entry 1", "no object");
}

TEST_F(Verify, AChangeWithItsLeafMendedBreaksTheCheckpoint) {
  tamper("UPDATE entries SET body = '{\"batch\":77}' WHERE seq = 7");
  mend_leaf(7);
  expect_named("checkpoint 12", "among entries 5 to 11");
  expect_named("tree head", "entries 0 to 7");
  mend_head();
  expect_named("checkpoint 12", "another root");
  EXPECT_EQ(verify(*open()).size(), 1u);
}

TEST_F(Verify, ARemovedEntry) {
  tamper("DELETE FROM entries WHERE seq = 4");
  expect_named("entry 4", "missing");
  expect_named("checkpoint 12", "missing");
  EXPECT_EQ(code_of([&] { open()->read(0, 12, [](const StoredEntry&) { return true; }); }),
            Code::ledger_damaged);
  EXPECT_EQ(code_of([&] { open()->leaves(12); }), Code::ledger_damaged);
  tamper("DELETE FROM entries WHERE seq IN (7, 8)");
  expect_named("entries 7 to 8", "missing");
}

TEST_F(Verify, AFirstEntryRemoved) {
  tamper("DELETE FROM entries WHERE seq = 0");
  expect_named("entry 0", "missing");
}

TEST_F(Verify, EntriesRemovedFromTheEnd) {
  tamper("DELETE FROM entries WHERE seq >= 10");
  expect_named("entries 10 to 11", "removed from the end");
  EXPECT_EQ(code_of([&] { open()->append({seal_intended(99)}); }), Code::ledger_damaged);
  mend_head();
  expect_named("checkpoint 12", "entries 10 to 11 removed from the end");
}

TEST_F(Verify, AnEntryInserted) {
  tamper("INSERT INTO entries SELECT 12, header, salt, leaf, body FROM entries WHERE seq = 11");
  expect_named("entry 12", "inserted");
  expect_named("entry 12", "another place");
  tamper(
      "DELETE FROM entries WHERE seq = 12; INSERT INTO entries SELECT -1, header, salt, leaf, body FROM "
      "entries WHERE seq = 0");
  expect_named("entry -1", "inserted");
}

TEST_F(Verify, EntriesInAnotherOrder) {
  tamper(
      "UPDATE entries SET seq = 100 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 8;"
      "UPDATE entries SET seq = 8 WHERE seq = 100");
  expect_named("entry 3", "says entry 8");
  expect_named("entry 8", "says entry 3");
  expect_named("entry 4", "before that of the entry before");
  expect_named("checkpoint 5", "another root");
}

TEST_F(Verify, EntriesInAnotherOrderWithAllMended) {
  tamper(
      "UPDATE entries SET seq = 100 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 4;"
      "UPDATE entries SET seq = 4 WHERE seq = 100;"
      "UPDATE entries SET header = replace(header, '\"seq\":4', '\"seq\":3') WHERE seq = 3;"
      "UPDATE entries SET header = replace(header, '\"seq\":3', '\"seq\":4') WHERE seq = 4");
  mend_leaf(3);
  mend_leaf(4);
  mend_head();
  expect_named("entry 4", "before that of the entry before");
  expect_named("checkpoint 5", "another root");
}

TEST_F(Verify, Checkpoints) {
  note_verdict = "the signature is not that of the ledger key";
  expect_named("checkpoint 5", "signature");
  note_verdict.clear();
  tamper("UPDATE checkpoints SET note = 'no note' WHERE size = 5");
  expect_named("checkpoint 5", "no signed note");
  tamper("UPDATE checkpoints SET size = 11 WHERE size = 12");
  expect_named("checkpoint 11", "of size 12");
}

TEST_F(Verify, TheTablesThatStandForTheEntries) {
  tamper("UPDATE streams SET version = version + 1 WHERE id = '" + kBat + "'");
  expect_named("stream " + kBat, "the table says 2, the entries 1");
  tamper("DELETE FROM streams WHERE id = '" + kBat + "'; INSERT INTO streams VALUES('" + id_of("bat", 4711) +
         "', 1)");
  expect_named("stream " + kBat, "the table says 0");
  expect_named("stream " + id_of("bat", 4711), "no entry names it");
  tamper("UPDATE head SET time = time + 1");
  expect_named("tree head", "its time");
  tamper("DELETE FROM head");
  expect_named("tree head", "missing");
  EXPECT_EQ(code_of([&] { open()->append({seal_intended(99)}); }), Code::ledger_damaged);
}

TEST_F(Verify, TablesThatAreNotKesus) {
  for (auto& [sql, undo, what] :
       {std::tuple("CREATE TRIGGER t BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(IGNORE); END",
                   "DROP TRIGGER t", "trigger t of checkpoints is not one that kesu makes"),
        std::tuple("CREATE TABLE x(a)", "DROP TABLE x", "table x is not one that kesu makes"),
        std::tuple("PRAGMA user_version = 0", "PRAGMA user_version = 1", "user_version is 0")}) {
    tamper(sql);
    EXPECT_EQ(code_of([&] { open(); }), Code::ledger_damaged) << "for writing";
    auto store = open({.read_only = true});
    EXPECT_NE(text_of(verify(*store)).find(what), std::string::npos) << text_of(verify(*store));
    EXPECT_NE(store->database_problem().find(what), std::string::npos);
    tamper(undo);
  }
  EXPECT_EQ(text_of(verify(*open())), "");
  EXPECT_EQ(open()->database_problem(), "");
  tamper("DROP TABLE checkpoints");
  EXPECT_EQ(code_of([&] { open({.read_only = true}); }), Code::ledger_damaged);
}

// Appeared after the vault was opened: it never runs, and what it would have kept out is there.
TEST_F(Verify, ATriggerNeverRuns) {
  auto store = open();
  tamper("CREATE TRIGGER t BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(IGNORE); END");
  append(*store, seal_intended(60));
  const SavedCheckpoint point = checkpoint_of(*store);
  store->save_checkpoint(point);
  EXPECT_EQ(store->checkpoints().back(), point);
}

TEST_F(Verify, ValuesOfAnotherType) {
  tamper("UPDATE streams SET id = CAST(id AS BLOB) WHERE id = '" + kBat + "'");
  expect_named("stream " + kBat, "identifier is not stored as text");
  EXPECT_EQ(open()->stream_version(kBat), 0u) << "that is why it matters";
  tamper("UPDATE streams SET version = version + 0.5 WHERE id = '" + id_of("bat", 2) + "'");
  expect_named("stream " + id_of("bat", 2), "version is not stored as an integer");
  tamper("UPDATE head SET time = time + 0.4");
  expect_named("tree head", "not stored as integers");
  tamper("UPDATE entries SET body = CAST(body AS BLOB) WHERE seq = 3");
  expect_named("entry 3", "body is not stored as text");
  tamper("UPDATE checkpoints SET size = 5.5 WHERE size = 5");
  expect_named("checkpoint row 1", "not stored as an integer");
}

TEST_F(Verify, Blobs) {
  std::string path = path_join(vault, "evidence/" + blob_sha);
  write_file_durable(path, as_bytes("Evidence"));
  expect_named("blob " + blob_sha, "altered");
  remove_file(path);
  expect_named("blob " + blob_sha, "missing; entry 11");
  write_file_durable(path, as_bytes("evidence"));
  auto store = open();
  std::string other = store->put_blob(as_bytes("left by a command that was killed"));
  auto findings = verify(*store);
  ASSERT_EQ(findings.size(), 1u) << text_of(findings);
  EXPECT_EQ(findings[0].what, "blob " + other);
  EXPECT_EQ(findings[0].severity, Severity::note);
}

TEST_F(Verify, Segments) {
  std::string path = path_join(vault, "inventory/" + kDs + "/" + kBat + ".seg");
  write_file_durable(path, as_bytes("Leaves"));
  expect_named("segment " + kDs + " " + kBat, "altered");
  remove_file(path);
  expect_named("segment " + kDs + " " + kBat, "missing; entry 10");
  write_file_durable(path, as_bytes("leaves"));
  auto store = open();
  store->put_segment(kDs, id_of("bat", 2), as_bytes("x"));
  auto findings = verify(*store);
  ASSERT_EQ(findings.size(), 1u) << text_of(findings);
  EXPECT_EQ(findings[0].what, "segment " + kDs + " " + id_of("bat", 2));
  EXPECT_EQ(findings[0].severity, Severity::note);
}

TEST_F(Verify, ATornDatabase) {
  open()->append({seal_intended(50)});
  std::string file = path_join(vault, "ledger.db");
  Bytes content = read_file(file);
  for (size_t i = 4096; i < content.size(); ++i) content[i] = static_cast<uint8_t>(i);
  write_file_durable(file, content, 0600);
  try {
    auto store = open();
    auto findings = verify(*store);
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings.back().what, "ledger") << text_of(findings);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::ledger_damaged) << e.message() << e.cause();
  }
}

// A random byte anywhere in a row never goes unnoticed.
TEST_F(Verify, AnyByteOfAnyEntry) {
  std::vector<RawEntry> rows;
  open()->read_raw([](const RawState&) {}, [&](const RawRow& raw) { rows.push_back(raw); },
                   [](const RawStream&) {});
  unsigned dice = 12345;
  auto roll = [&](size_t n) { return (dice = dice * 1664525u + 1013904223u) / 65536u % n; };
  for (int round = 0; round < 40; ++round) {
    const RawEntry& raw = rows[roll(rows.size())];
    Bytes header = to_bytes(as_bytes(raw.header)), body = to_bytes(as_bytes(raw.body)), salt = raw.salt;
    Bytes& part = *std::array<Bytes*, 3>{&header, &body, &salt}[roll(3)];
    part[roll(part.size())] ^= static_cast<uint8_t>(1 + roll(127));
    auto put = [&](ByteView h, ByteView b, ByteView s) {
      tamper("UPDATE entries SET header = CAST(x'" + hex(h) + "' AS TEXT), body = CAST(x'" + hex(b) +
             "' AS TEXT), salt = x'" + hex(s) + "' WHERE seq = " + std::to_string(raw.row));
    };
    put(header, body, salt);
    expect_named("entry " + std::to_string(raw.row), "");
    put(as_bytes(raw.header), as_bytes(raw.body), raw.salt);
  }
  EXPECT_EQ(text_of(verify(*open())), "");
}

}  // namespace
}  // namespace kesu
