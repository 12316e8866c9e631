// What sealing knows of an inventory: the newest of a place and of a name, among many.
#include "app/known_objects.h"

#include <gtest/gtest.h>

#include "crypto/random.h"

namespace kesu {
namespace {

SegmentObject object(const std::string& name, const std::string& place) {
  SegmentObject o;
  o.object = system_random().id<ObjectId>();
  o.name = name;
  o.place = place;
  o.bytes = name.size();
  o.inode = 7;
  o.mtime = {1, 2};
  o.ctime = {3, 4};
  return o;
}

TEST(KnownObjects, TheLaterOneOfAPlaceAndOfANameCounts) {
  KnownObjects known;
  EXPECT_EQ(known.at_place("p"), nullptr);
  EXPECT_FALSE(known.named("n"));
  const SegmentObject first = object("n", "p"), moved = object("n", "q"), over = object("m", "p");
  known.add(first);
  known.add(moved);
  EXPECT_EQ(known.at_place("p")->object, first.object);
  EXPECT_EQ(known.named("n"), moved.object);
  known.add(over);
  EXPECT_EQ(known.at_place("p")->object, over.object);
  EXPECT_EQ(known.at_place("p")->name, KnownObjects::key_of("m"));
  EXPECT_EQ(known.at_place("q")->object, moved.object);
  EXPECT_FALSE(known.named("p"));
}

TEST(KnownObjects, EachOfManyIsFound) {
  KnownObjects known;
  std::vector<SegmentObject> all;
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 5000; ++i) {
      all.push_back(object("name " + std::to_string(i), "place " + std::to_string(i)));
      known.add(all.back());
    }
  for (size_t i = 5000; i < all.size(); ++i) {
    ASSERT_EQ(known.at_place(all[i].place)->object, all[i].object) << i;
    ASSERT_EQ(known.named(all[i].name), all[i].object) << i;
  }
  EXPECT_EQ(known.at_place("place 5000"), nullptr);
}

TEST(KnownObjects, FactsTellEachChange) {
  KnownObjects known;
  SegmentObject o = object("n", "p");
  known.add(o);
  const auto& facts = known.at_place("p")->facts;
  EXPECT_EQ(facts, KnownObjects::facts_of(o.bytes, o.mtime, o.ctime, o.inode));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes + 1, o.mtime, o.ctime, o.inode));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes, {1, 3}, o.ctime, o.inode));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes, {2, 2}, o.ctime, o.inode));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes, o.mtime, {3, 5}, o.inode));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes, o.mtime, o.ctime, o.inode + 1));
  EXPECT_NE(facts, KnownObjects::facts_of(o.bytes, o.mtime, o.ctime, 0));
  EXPECT_FALSE(known.at_place("p")->adopted);
  o.inode = 0;
  known.add(o);
  EXPECT_TRUE(known.at_place("p")->adopted);
  EXPECT_EQ(known.at_place("p")->facts, KnownObjects::facts_of(o.bytes, o.mtime, {}, 0));
}

}  // namespace
}  // namespace kesu
