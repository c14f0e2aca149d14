#include "os/child.h"

#include <gtest/gtest.h>

#include <csignal>

namespace kist::os {
namespace {

// Goal: a helper that ends without reading its input is told by its status. Method: more input than a
// pipe holds, for a program that closes it, with the signal in its default disposition.
TEST(ChildTest, OneThatDoesNotReadItsInputEndsOnlyItself) {
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  Command command;
  command.args = {"sh", "-c", "exec 0<&-; sleep 0.05; echo done; exit 3"};
  command.env = {"PATH=/usr/bin:/bin"};
  const std::string input(1 << 20, 'x');
  command.input = input;
  const auto output = run(command);
  std::signal(SIGPIPE, before);
  ASSERT_TRUE(output.has_value()) << output.error().render();
  EXPECT_EQ(output->status, 3);
  EXPECT_EQ(output->out, "done\n");
}

}  // namespace
}  // namespace kist::os
