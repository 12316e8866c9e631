#include "base/plain_text.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

TEST(PlainText, WhatPeopleReadIsWhatWasWritten) {
  for (const char* good : {"loans-2019", "貸付 2019", "Müller & Söhne", "a"})
    EXPECT_TRUE(is_plain_text(good)) << good;
  for (const char* bad : {"a\nb", "a\tb", "\x1b[31m", "a\x7f", "a\xc2\x85",
                          "\xe2\x80\xae"
                          "abc",
                          "\xe2\x81\xa6x", "\xe2\x80\xa8", "\xff", "\xe3\x81"})
    EXPECT_FALSE(is_plain_text(bad)) << bad;
}

TEST(PlainText, Names) {
  EXPECT_NO_THROW(refuse_bad_name("loans 2019", "a name"));
  EXPECT_NO_THROW(refuse_bad_name(std::string(128, 'a'), "a name"));
  for (const std::string& bad :
       {std::string(), std::string(" "), std::string("a "), std::string(" a"), std::string("."),
        std::string(".."), std::string("a\nb"), std::string(129, 'a')})
    EXPECT_THROW(refuse_bad_name(bad, "a name"), Error) << bad;
  EXPECT_NO_THROW(refuse_unplain(std::string(1024, 'a'), "a reason"));
  EXPECT_THROW(refuse_unplain(std::string(1025, 'a'), "a reason"), Error);
}

}  // namespace
}  // namespace kesu
