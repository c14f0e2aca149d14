#include "store/part.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "store/layout.h"
#include "store/test_home.h"

namespace kist::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PartTest : public testing::Test {
 protected:
  static std::string bytes() { return std::string(700'000, 'a') + "the end"; }
  static oci::Digest digest() { return oci::Sha256::of(bytes()); }
  std::string folder() const { return os::join(home_.path(), "cache/partial"); }
  std::string part() const { return os::join(folder(), "object-" + digest().hex()); }
  std::string object() const { return os::join(home_.path(), "objects/" + object_name(digest(), 0644)); }
  // As a process that dies leaves it.
  void begin_and_die(std::string_view first) {
    Transaction tx = must(store_.begin());
    const auto writer = must(begin_part(store_, digest(), 0644));
    if (!first.empty()) must(writer->write(first));
  }
  static std::string read_kept(PartWriter& writer) {
    std::string out;
    while (true) {
      const std::string_view piece = must(writer.read_kept());
      if (piece.empty()) return out;
      out += piece;
    }
  }

  TestHome home_;
  Store store_ = home_.open();
};

TEST_F(PartTest, GoesOnWhereTheDeadStopped) {
  const std::string whole = bytes();
  begin_and_die(whole.substr(0, 300'000));
  begin_and_die("");
  {
    Transaction tx = must(store_.begin());
    const auto writer = must(begin_part(store_, digest(), 0644));
    EXPECT_EQ(writer->kept_bytes(), 300'000u);
    EXPECT_TRUE(read_kept(*writer) == whole.substr(0, 300'000));
    must(writer->write(whole.substr(300'000)));
    const Object made = must(writer->finish());
    EXPECT_EQ(made.digest, digest());
    EXPECT_EQ(made.size_bytes, whole.size());
  }
  EXPECT_THAT(must(os::list_folder(folder())), IsEmpty());
  EXPECT_TRUE(must(os::read_file(object())) == whole);
  struct stat st = {};
  ASSERT_EQ(::stat(object().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0644u);
  EXPECT_EQ(st.st_mtime, kTreeTime);
}

TEST_F(PartTest, OneWriterAtATime) {
  Transaction tx = must(store_.begin());
  {
    const auto first = must(begin_part(store_, digest(), 0644));
    ASSERT_TRUE(first);
    EXPECT_FALSE(must(begin_part(store_, digest(), 0644)));
    EXPECT_TRUE(must(begin_part(store_, oci::Sha256::of("other"), 0644)));
  }
  EXPECT_TRUE(must(begin_part(store_, digest(), 0644)));
}

TEST_F(PartTest, NothingStaysOfNothingAndOfWhatIsDiscarded) {
  begin_and_die("");
  EXPECT_THAT(must(os::list_folder(folder())), IsEmpty());
  begin_and_die("something");
  EXPECT_THAT(must(os::list_folder(folder())), ElementsAre("object-" + digest().hex()));
  Transaction tx = must(store_.begin());
  must(begin_part(store_, digest(), 0644))->discard();
  EXPECT_THAT(must(os::list_folder(folder())), IsEmpty());
}

// It is named by what it is, whatever it was to be: nobody finds it under the digest that was wanted.
TEST_F(PartTest, AnotherContentDoesNotGetTheDigest) {
  begin_and_die(std::string(300'000, '\0'));
  Transaction tx = must(store_.begin());
  const auto writer = must(begin_part(store_, digest(), 0644));
  read_kept(*writer);
  must(writer->write(bytes().substr(300'000)));
  EXPECT_NE(must(writer->finish()).digest, digest());
  EXPECT_FALSE(os::exists(object()));
}

TEST_F(PartTest, WhatIsThereAlreadyKeepsItsInode) {
  Transaction tx = must(store_.begin());
  must(tx.put(bytes(), 0644));
  struct stat before = {};
  struct stat after = {};
  ASSERT_EQ(::stat(object().c_str(), &before), 0);
  const auto writer = must(begin_part(store_, digest(), 0644));
  must(writer->write(bytes()));
  must(writer->finish());
  ASSERT_EQ(::stat(object().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_THAT(must(os::list_folder(folder())), IsEmpty());
}

TEST_F(PartTest, ALinkElsewhereIsNotWrittenTo) {
  must(os::make_folders(folder()));
  const std::string victim = home_.beside("victim");
  must(os::write_file_atomically(victim, "precious"));
  ASSERT_EQ(::symlink(victim.c_str(), part().c_str()), 0);
  Transaction tx = must(store_.begin());
  EXPECT_FALSE(must(begin_part(store_, digest(), 0644)));
  EXPECT_EQ(must(os::read_file(victim)), "precious");
}

}  // namespace
}  // namespace kist::store
