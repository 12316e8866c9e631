// proofs.db: what it knows makes a proof short, and what it says wrongly makes none true.
#include "store/proof_index.h"

#include <filesystem>
#include <fstream>

#include "../store/store_fixture.h"
#include "app/inventory_prove.h"

namespace kesu {
namespace {

constexpr uint64_t kPart = ProofIndex::kPart;

class ProofIndexTest : public StoreTest {
 protected:
  std::unique_ptr<Store> store_of(uint64_t entries) {
    auto store = create();
    grow(*store, entries);
    return store;
  }
  void grow(Store& store, uint64_t entries) {
    std::vector<Event> events;
    for (uint64_t i = store.size(); i < entries; ++i) events.push_back(finding(id_of("vlt", 1), "x"));
    if (!events.empty()) store.append(std::move(events));
  }
  bool holds(Store& store, uint64_t seq, uint64_t size, const std::vector<Digest32>& path) {
    const std::vector<Digest32> all = store.leaves(size);
    return verify_inclusion(all[seq], seq, size, path, tree_root(all));
  }
  std::string file() const { return path_join(vault, "proofs.db"); }
};

TEST_F(ProofIndexTest, PathIsTheOneOverAllLeaves) {
  auto store = store_of(3 * kPart + 7);
  ProofIndex index(vault, true);
  for (uint64_t size : {uint64_t{1}, uint64_t{2}, kPart - 1, kPart, kPart + 1, 2 * kPart, 2 * kPart + 100,
                        3 * kPart, 3 * kPart + 7}) {
    const std::vector<Digest32> all = store->leaves(size);
    for (uint64_t seq : {uint64_t{0}, size / 2, size - 1, std::min(size - 1, kPart), size - 1 - size / 3}) {
      EXPECT_EQ(path_in_ledger(nullptr, *store, seq, size), inclusion_proof(all, seq)) << seq << " " << size;
      EXPECT_EQ(path_in_ledger(&index, *store, seq, size), inclusion_proof(all, seq)) << seq << " " << size;
    }
    EXPECT_EQ(index.parts().size(), size / kPart);
  }
  // Of an earlier size too, with more parts known than it has.
  EXPECT_EQ(path_in_ledger(&index, *store, 5, kPart + 3), inclusion_proof(store->leaves(kPart + 3), 5));
  EXPECT_EQ(index.parts().size(), 3u);
  EXPECT_EQ(code_of([&] { path_in_ledger(&index, *store, 9, 9); }), Code::bad_input);
}

TEST_F(ProofIndexTest, LeavesBetween) {
  auto store = store_of(40);
  const std::vector<Digest32> all = store->leaves(40);
  EXPECT_EQ(store->leaves(7, 19), std::vector<Digest32>(all.begin() + 7, all.begin() + 19));
  EXPECT_TRUE(store->leaves(40, 40).empty());
  EXPECT_EQ(code_of([&] { store->leaves(39, 41); }), Code::bad_input);
  EXPECT_EQ(code_of([&] { store->leaves(8, 7); }), Code::bad_input);
  tamper("DELETE FROM entries WHERE seq = 9");
  EXPECT_EQ(store->leaves(0, 9).size(), 9u);
  EXPECT_EQ(code_of([&] { store->leaves(8, 12); }), Code::ledger_damaged);
}

TEST_F(ProofIndexTest, IsKeptAndGrows) {
  auto store = store_of(kPart + 1);
  const DatasetId dataset = system_random().id<DatasetId>();
  const std::string batch = id_of("bat", 7);
  const ObjectId object = system_random().id<ObjectId>(), other = system_random().id<ObjectId>();
  {
    ProofIndex index(vault, true);
    EXPECT_FALSE(index.find(dataset.str(), object));
    index.add(dataset.str(), {batch, 12}, {{object, Digest32{}}});
    path_in_ledger(&index, *store, 3, kPart + 1);
    index.save();
    index.add(dataset.str(), {id_of("bat", 8), 13}, {{other, Digest32{}}});  // not saved
  }
  grow(*store, 2 * kPart + 5);
  ProofIndex index(vault, false);
  ASSERT_TRUE(index.find(dataset.str(), object));
  EXPECT_EQ(index.find(dataset.str(), object)->batch, batch);
  EXPECT_EQ(index.find(dataset.str(), object)->done_seq, 12u);
  EXPECT_FALSE(index.find(dataset.str(), other));
  EXPECT_FALSE(index.find(id_of("ds", 1), object));
  EXPECT_EQ(index.batches(dataset.str()), std::set<std::string>{batch});
  EXPECT_EQ(index.parts().size(), 1u);
  EXPECT_TRUE(holds(*store, 300, 2 * kPart + 5, path_in_ledger(&index, *store, 300, 2 * kPart + 5)));
  EXPECT_EQ(index.parts().size(), 1u);  // for reading only
}

TEST_F(ProofIndexTest, WhatIsAlteredProvesNothing) {
  auto store = store_of(3 * kPart + 7);
  const uint64_t size = store->size();
  {
    ProofIndex index(vault, true);
    EXPECT_TRUE(holds(*store, 3, size, path_in_ledger(&index, *store, 3, size)));
    index.save();
  }
  tamper("UPDATE parts SET roots = zeroblob(96)", "proofs.db");
  ProofIndex index(vault, true);
  ASSERT_EQ(index.parts().size(), 3u);
  EXPECT_FALSE(holds(*store, 3, size, path_in_ledger(&index, *store, 3, size)));
  index.discard();
  EXPECT_TRUE(index.parts().empty());
  EXPECT_TRUE(holds(*store, 3, size, path_in_ledger(&index, *store, 3, size)));
}

TEST_F(ProofIndexTest, WhatIsNotKesusIsMadeAnew) {
  auto store = store_of(kPart);
  for (const char* what : {"garbage", "other", "trigger", "empty"}) {
    std::filesystem::remove(file());
    if (std::string(what) == "garbage") {
      std::ofstream(file()) << std::string(9000, 'x');
    } else if (std::string(what) != "empty") {
      { ProofIndex made(vault, true); }
      if (std::string(what) == "other") tamper("PRAGMA user_version = 99", "proofs.db");
      if (std::string(what) == "trigger")
        tamper("CREATE TRIGGER t AFTER INSERT ON parts BEGIN DELETE FROM parts; END", "proofs.db");
    } else {
      std::ofstream{file()};
    }
    { EXPECT_TRUE(ProofIndex(vault, false).parts().empty()) << what; }
    {
      ProofIndex index(vault, true);
      path_in_ledger(&index, *store, 3, kPart);
      index.save();
    }
    EXPECT_EQ(ProofIndex(vault, false).parts().size(), 1u) << what;
  }
}

TEST_F(ProofIndexTest, WhereNothingCanBeKept) {
  auto store = store_of(kPart);
  EXPECT_TRUE(ProofIndex(vault, false).parts().empty());
  EXPECT_FALSE(exists(file()));
  ProofIndex nowhere(path_join(temp.path, "no-vault"), true);
  EXPECT_TRUE(nowhere.parts().empty());
  EXPECT_TRUE(holds(*store, 3, kPart, path_in_ledger(&nowhere, *store, 3, kPart)));
  nowhere.save();
}

}  // namespace
}  // namespace kesu
