// What sealing knows of an inventory: the newest of a place and of a name, among many.
#include "app/known_objects.h"

#include <gtest/gtest.h>

#include "app/sealed_name.h"
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
  EXPECT_FALSE(known.at_place("p"));
  EXPECT_FALSE(known.named("n"));
  const SegmentObject first = object("n", "p"), moved = object("n", "q"), over = object("m", "p");
  known.add(first);
  known.add(moved);
  EXPECT_EQ(known.at_place("p")->object, first.object);
  EXPECT_EQ(known.named("n"), moved.object);
  known.add(over);
  EXPECT_EQ(known.at_place("p")->object, over.object);
  EXPECT_EQ(known.at_place("p")->name, known.tag_of("m"));
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
  EXPECT_FALSE(known.at_place("place 5000"));
}

// What no longer fits in memory is found as what does, and the newer of both counts.
TEST(KnownObjects, WhatLiesOnDiskIsTheSame) {
  KnownObjects few(3), all;
  std::vector<SegmentObject> objects;
  for (int i = 0; i < 500; ++i) {
    SegmentObject o = object("name " + std::to_string(i % 90), "place " + std::to_string(i % 70));
    o.bytes = uint64_t{1} << (i % 60);
    if (i % 7 == 0) o.inode = 0;
    if (i % 11 == 0 && i) o.supersedes = objects.back().object;
    few.add(o);
    all.add(o);
    objects.push_back(o);
  }
  for (int i = 0; i < 95; ++i) {
    const std::string name = "name " + std::to_string(i), place = "place " + std::to_string(i);
    EXPECT_EQ(few.named(name), all.named(name)) << i;
    const auto a = few.at_place(place), b = all.at_place(place);
    ASSERT_EQ(a.has_value(), b.has_value()) << i;
    ASSERT_EQ(a.has_value(), i < 70) << i;
    if (!a) continue;
    EXPECT_EQ(a->object, b->object);
    EXPECT_EQ(a->bytes, b->bytes);
    EXPECT_EQ(a->adopted, b->adopted);
    const SegmentObject& last =
        objects[static_cast<size_t>(i + 490 - 490 % 70) < 500 ? i + 490 - 490 % 70 : i + 420];
    EXPECT_EQ(a->object, last.object) << i;
    EXPECT_EQ(a->name, few.tag_of(last.name));
    EXPECT_EQ(a->place, few.tag_of(place));
    EXPECT_EQ(a->facts,
              few.facts_of(last.bytes, last.mtime, last.inode ? last.ctime : FileTime{}, last.inode));
  }
  EXPECT_NE(few.tag_of("name 1"), all.tag_of("name 1"));  // what lies on disk is keyed
}

// What lies under its identifier is told by directory and name: of two places each has its own.
TEST(KnownObjects, OfTwoPlacesEachHasItsOwn) {
  for (const size_t in_memory : {size_t{100}, size_t{0}}) {
    KnownObjects known(in_memory);
    SegmentObject a = object("s/n", ""), b = object("s/n", ""), plain = object("s/n", "/a/s/n.kesu"),
                  tree = object("s", "");
    a.place = "/a/" + file_name_of(a.object);
    b.place = "/b/" + file_name_of(b.object);
    tree.place = "/a/s/.kesu-tree-" + file_name_of(tree.object);
    for (const SegmentObject& o : {a, b, plain, tree}) known.add(o);
    EXPECT_EQ(known.named_in("/a", "s/n"), a.object);
    EXPECT_EQ(known.named_in("/b", "s/n"), b.object);
    EXPECT_EQ(known.named_in("/a/s", "s"), tree.object);
    EXPECT_FALSE(known.named_in("/a/s", "s/n"));
    EXPECT_FALSE(known.named_in("/c", "s/n"));
    EXPECT_EQ(known.named("s/n"), plain.object);
  }
}

TEST(SealedName, WhatIsTooLongIsCalledByItsObject) {
  EXPECT_FALSE(too_long_for_ending("d/" + std::string(250, 'n')));
  EXPECT_TRUE(too_long_for_ending("d/" + std::string(251, 'n')));
  EXPECT_FALSE(too_long_for_ending(std::string(255, 'd') + "/n"));
  const std::string name = "d/" + std::string(255, 'n');
  SegmentObject o = object(name, "");
  o.place = "/out/" + file_name_of(o.object);
  EXPECT_TRUE(shows_no_name(o));
  o.place = "/out/d/" + file_name_of(o.object);
  EXPECT_FALSE(shows_no_name(o));  // that of its directory
  o.name = "d/n";
  EXPECT_TRUE(shows_no_name(o));  // -o /out/d
  o.place = "/out/d/n.kesu";
  EXPECT_FALSE(shows_no_name(o));
}

TEST(KnownObjects, FactsTellEachChange) {
  KnownObjects known;
  SegmentObject o = object("n", "p");
  known.add(o);
  const auto facts = known.at_place("p")->facts;
  EXPECT_EQ(facts, known.facts_of(o.bytes, o.mtime, o.ctime, o.inode));
  EXPECT_NE(facts, known.facts_of(o.bytes + 1, o.mtime, o.ctime, o.inode));
  EXPECT_NE(facts, known.facts_of(o.bytes, {1, 3}, o.ctime, o.inode));
  EXPECT_NE(facts, known.facts_of(o.bytes, {2, 2}, o.ctime, o.inode));
  EXPECT_NE(facts, known.facts_of(o.bytes, o.mtime, {3, 5}, o.inode));
  EXPECT_NE(facts, known.facts_of(o.bytes, o.mtime, o.ctime, o.inode + 1));
  EXPECT_NE(facts, known.facts_of(o.bytes, o.mtime, o.ctime, 0));
  EXPECT_FALSE(known.at_place("p")->adopted);
  o.inode = 0;
  known.add(o);
  EXPECT_TRUE(known.at_place("p")->adopted);
  EXPECT_EQ(known.at_place("p")->facts, known.facts_of(o.bytes, o.mtime, {}, 0));
}

}  // namespace
}  // namespace kesu
