#include "images/fetch_layer.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include "store/layer.h"
#include "store/test_home.h"

namespace kist::images {
namespace {

using store::must;
using testing::ElementsAre;
using testing::IsEmpty;

std::string gzipped(const std::string& plain) {
  std::string out(plain.size() + 1000, '\0');
  z_stream state = {};
  EXPECT_EQ(::deflateInit2(&state, 0, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  state.avail_in = static_cast<uInt>(plain.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(state.total_out);
  ::deflateEnd(&state);
  return out;
}

class FetchLayerTest : public testing::Test {
 protected:
  FetchLayerTest() {
    std::string noise(600'000, '\0');
    uint32_t state = 7;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    store::Transaction tx = must(store_.begin());
    store::TreeBuilder builder(tx);
    must(builder.file("noise", 0644, noise));
    const store::Tree tree = must(std::move(builder).finish());
    must(store::write_tar(tree, store::StoreContents(store_),
                          [&](std::string_view bytes) -> Result<void> { return plain_ += bytes, Result<void>(); }));
    packed_ = gzipped(plain_);
  }

  // Gives `bytes` up to `break_at`, where the network breaks. Notes from where it was asked.
  std::function<Result<archive::Source>(uint64_t)> network(const std::string& bytes, uint64_t break_at = UINT64_MAX) {
    return [this, &bytes, break_at](uint64_t from) -> Result<archive::Source> {
      asked_.push_back(from);
      return archive::Source([&bytes, break_at, at = from]() mutable -> Result<std::string_view> {
        if (at >= break_at) return Error(Code::unavailable, "the network broke");
        const size_t count = std::min<uint64_t>({10'000, bytes.size() - at, break_at - at});
        at += count;
        return std::string_view(bytes).substr(at - count, count);
      });
    };
  }
  Result<Layer> fetch(const std::string& bytes, uint64_t break_at = UINT64_MAX) {
    store::Transaction tx = must(store_.begin());
    const LayerClaim claim{.digest = oci::Sha256::of(bytes), .size_bytes = bytes.size(), .diff_id = oci::Sha256::of(plain_)};
    auto layer = fetch_layer(store_, tx, network(bytes, break_at), claim);
    if (layer) must(std::move(tx).commit());
    return layer;
  }
  std::vector<std::string> parts() const { return must(os::list_folder(os::join(home_.path(), "cache/partial"))); }
  void is_whole(const Layer& layer, const std::string& bytes) {
    std::string out;
    must(write_blob(store_, layer, [&](std::string_view piece) -> Result<void> { return out += piece, Result<void>(); }));
    EXPECT_TRUE(out == bytes);
    EXPECT_THAT(parts(), IsEmpty());
  }

  store::TestHome home_;
  store::Store store_ = home_.open();
  std::string plain_, packed_;
  std::vector<uint64_t> asked_;
};

TEST_F(FetchLayerTest, InOneGo) {
  const auto layer = fetch(packed_);
  ASSERT_TRUE(layer) << layer.error().render();
  EXPECT_THAT(asked_, ElementsAre(0));
  is_whole(*layer, packed_);
}

TEST_F(FetchLayerTest, WhatCameIsNotAskedForAgain) {
  for (const std::string* bytes : {&packed_, &plain_}) {
    asked_.clear();
    EXPECT_EQ(fetch(*bytes, 20'000).error().code(), Code::unavailable);
    EXPECT_EQ(fetch(*bytes, 250'000).error().code(), Code::unavailable);
    EXPECT_EQ(fetch(*bytes, bytes->size()).error().code(), Code::unavailable);
    const auto layer = fetch(*bytes);
    ASSERT_TRUE(layer) << layer.error().render();
    EXPECT_THAT(asked_, ElementsAre(0, 20'000, 250'000, bytes->size()));
    is_whole(*layer, *bytes);
  }
}

// As after a power cut: the length is right, the bytes are not.
TEST_F(FetchLayerTest, DamageOfWhatWasThereIsNobodysFault) {
  EXPECT_FALSE(fetch(packed_, 250'000));
  const std::string part = os::join(os::join(home_.path(), "cache/partial"), parts().front());
  const os::Fd file = must(os::open_file(part, O_WRONLY));
  ASSERT_EQ(::pwrite(file.get(), std::string(4096, '\0').data(), 4096, 100'000), 4096);
  const auto layer = fetch(packed_);
  ASSERT_TRUE(layer) << layer.error().render();
  EXPECT_EQ(asked_.back(), 0u);
  is_whole(*layer, packed_);
}

TEST_F(FetchLayerTest, MoreThanThereCanBeIsThrownAway) {
  EXPECT_FALSE(fetch(packed_, 250'000));
  const std::string part = os::join(os::join(home_.path(), "cache/partial"), parts().front());
  ASSERT_EQ(::truncate(part.c_str(), static_cast<off_t>(packed_.size() + 1)), 0);
  const auto layer = fetch(packed_);
  ASSERT_TRUE(layer) << layer.error().render();
  is_whole(*layer, packed_);
}

TEST_F(FetchLayerTest, WhatIsWrongDoesNotStay) {
  std::string wrong = packed_;
  wrong[300'000] ^= 1;
  store::Transaction tx = must(store_.begin());
  const LayerClaim claim{.digest = oci::Sha256::of(packed_), .size_bytes = packed_.size(), .diff_id = {}};
  const auto layer = fetch_layer(store_, tx, network(wrong), claim);
  ASSERT_FALSE(layer);
  EXPECT_EQ(layer.error().code(), Code::corrupt);
  EXPECT_THAT(asked_, ElementsAre(0)) << "nothing was there that could be to blame";
  EXPECT_THAT(parts(), IsEmpty());
}

}  // namespace
}  // namespace kist::images
