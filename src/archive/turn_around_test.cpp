#include "archive/turn_around.h"

#include <gtest/gtest.h>

namespace kist::archive {
namespace {

TEST(TurnAround, AllComesOutInOrder) {
  std::string wanted;
  for (int i = 0; i < 300'000; ++i) wanted += std::to_string(i);
  Source source = turn_around([&](const auto& output) -> Result<void> {
    for (size_t at = 0; at < wanted.size(); at += 777) TRY(output(std::string_view(wanted).substr(at, 777)));
    return {};
  });
  std::string got;
  ASSERT_TRUE(each_piece(source, [&](std::string_view piece) -> Result<void> {
                got += piece;
                return {};
              }).has_value());
  EXPECT_EQ(got, wanted);
}

TEST(TurnAround, AnErrorComesAfterWhatWasWritten) {
  Source source = turn_around([](const auto& output) -> Result<void> {
    TRY(output(std::string(1 << 20, 'x')));
    return Error(Code::corrupt, "no more");
  });
  auto piece = source();
  ASSERT_TRUE(piece.has_value());
  EXPECT_FALSE(piece->empty());
  while (piece && !piece->empty()) piece = source();
  ASSERT_FALSE(piece.has_value());
  EXPECT_EQ(piece.error().code(), Code::corrupt);
}

TEST(TurnAround, MayBeLeftAlone) {
  Source source = turn_around([](const auto& output) -> Result<void> {
    const std::string piece(100'000, 'x');
    while (true) TRY(output(piece));
  });
  ASSERT_TRUE(source().has_value());
}

}  // namespace
}  // namespace kist::archive
