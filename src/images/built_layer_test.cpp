#include "images/built_layer.h"

#include <gtest/gtest.h>

#include "store/test_home.h"

namespace kist::images {
namespace {

using store::must;

class BuiltLayerTest : public testing::Test {
 protected:
  store::Tree tree(store::Transaction& tx, const std::string& name = "etc/x") {
    store::TreeBuilder builder(tx);
    must(builder.file(name, 0644, std::string(300'000, 'x')));
    must(builder.file("bin/run", 0755, "#!/bin/sh\n"));
    builder.symlink("l", "bin/run");
    return must(std::move(builder).finish());
  }
  std::string written(const Layer& layer, bool is_plain = false) {
    std::string out;
    const store::Output output = [&](std::string_view bytes) -> Result<void> {
      out += bytes;
      return {};
    };
    must(is_plain ? write_plain(store_, layer, output) : write_blob(store_, layer, output));
    return out;
  }
  std::string object_of(const store::Tree& tree, std::string_view path) const {
    const store::Entry& entry = *tree.find(path);
    return store_.object_path(*entry.object, entry.mode);
  }

  store::TestHome home_;
  store::Store store_ = home_.open();
};

TEST_F(BuiltLayerTest, BytesAreWrittenAgainWithTheDigestsThatWereTold) {
  store::Transaction tx = must(store_.begin());
  const store::Tree files = tree(tx);
  for (const char* text : {"zstd", "gzip", "none", "zstd:9", "zstd:chunked", "zstd:chunked:9"}) {
    const auto compression = must(store::Compression::parse(text));
    const BuiltLayer built = must(build_layer(store_, tx, files, compression));
    EXPECT_FALSE(built.was_known) << text;
    const std::string bytes = written(built.layer);
    EXPECT_EQ(bytes.size(), built.layer.size_bytes) << text;
    EXPECT_EQ(oci::Sha256::of(bytes), built.layer.digest) << text;
    const std::string plain = written(built.layer, true);
    EXPECT_EQ(plain.size(), built.layer.tar_bytes) << text;
    EXPECT_EQ(oci::Sha256::of(plain), built.layer.diff_id) << text;
  }
}

TEST_F(BuiltLayerTest, WhatWasMadeOnceIsNeitherReadNorCompressedAgain) {
  std::optional<Layer> first;
  store::Tree files;
  {
    store::Transaction tx = must(store_.begin());
    files = tree(tx);
    first = must(build_layer(store_, tx, files, {})).layer;
    EXPECT_TRUE(must(build_layer(store_, tx, files, {})).was_known);  // Within the same transaction, too.
    must(std::move(tx).commit());
  }
  must(os::write_file_atomically(object_of(files, "etc/x"), "damaged: reading it would fail"));
  store::Transaction tx = must(store_.begin());
  const BuiltLayer again = must(build_layer(store_, tx, files, {}));
  EXPECT_TRUE(again.was_known);
  EXPECT_EQ(again.layer.digest, first->digest);
  EXPECT_EQ(again.layer.diff_id, first->diff_id);
  EXPECT_EQ(again.layer.blob, first->blob);
  EXPECT_FALSE(build_layer(store_, tx, files, must(store::Compression::parse("gzip"))).has_value());
  // By its digest as well, as who pushes or pulls asks.
  must(std::move(tx).commit());
  const auto found = must(find_layer(store_, nullptr, first->digest));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->tree, files.digest());
}

TEST_F(BuiltLayerTest, ATreeThatIsGoneIsPutBack) {
  store::Transaction tx = must(store_.begin());
  const store::Tree files = tree(tx);
  const Layer layer = must(build_layer(store_, tx, files, {})).layer;
  must(std::move(tx).commit());
  const std::string hex = layer.tree.hex();
  must(os::remove_tree(home_.path() + "/trees/" + hex.substr(0, 2) + "/" + hex.substr(2)));
  EXPECT_FALSE(must(find_layer(store_, nullptr, layer.digest)).has_value());
  store::Transaction later = must(store_.begin());
  EXPECT_TRUE(must(build_layer(store_, later, files, {})).was_known);
  must(std::move(later).commit());
  EXPECT_TRUE(must(find_layer(store_, nullptr, layer.digest)).has_value());
}

TEST_F(BuiltLayerTest, DamageIsTold) {
  store::Transaction tx = must(store_.begin());
  const store::Tree files = tree(tx);
  const Layer layer = must(build_layer(store_, tx, files, {})).layer;
  must(os::write_file_atomically(object_of(files, "etc/x"), std::string(300'000, 'y')));
  const auto written = write_blob(store_, layer, [](std::string_view) { return Result<void>(); });
  EXPECT_EQ(written.error().code(), Code::corrupt);
}

TEST_F(BuiltLayerTest, AnotherReleaseOfTheCompressorIsTold) {
  store::Transaction tx = must(store_.begin());
  const store::Tree files = tree(tx);
  const Layer layer = must(build_layer(store_, tx, files, {})).layer;
  store::Entry built;
  built.path = "built";
  const auto with_recipe = [&](std::string_view recipe) {
    const store::Object object = must(tx.put(recipe, 0644));
    built.object = object.digest;
    built.size_bytes = object.size_bytes;
    return write_built(store_, layer, built, false, [](std::string_view) { return Result<void>(); });
  };
  EXPECT_EQ(with_recipe("tar-1+zstd-3@0.1\n").error().code(), Code::unsupported);
  EXPECT_EQ(with_recipe("tar-0+zstd-3@1.5.4\n").error().code(), Code::unsupported);
  EXPECT_FALSE(with_recipe("").has_value());
  EXPECT_FALSE(with_recipe("tar-1").has_value());
}

TEST_F(BuiltLayerTest, ANameThatWouldRemoveAFileIsRefused) {
  store::Transaction tx = must(store_.begin());
  const auto built = build_layer(store_, tx, tree(tx, "app/.wh.passwd"), {});
  EXPECT_EQ(built.error().message(), "'app/.wh.passwd' would remove a file in an image, by its name");
}

}  // namespace
}  // namespace kist::images
