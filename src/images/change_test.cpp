#include <gtest/gtest.h>

#include "images/import.h"

namespace kist::images {
namespace {

oci::RunConfig changed(const std::vector<std::string>& changes) {
  oci::RunConfig run;
  for (const std::string& change : changes) {
    const auto done = apply_change(change, run);
    EXPECT_TRUE(done.has_value()) << change;
  }
  return run;
}

using Texts = std::vector<std::string>;

TEST(ChangeTest, EveryInstruction) {
  const oci::RunConfig run = changed(
      {"CMD echo $HOME", "entrypoint [\"/bin/x\", \"-y\"]", "ENV A=1 B=\"x y\" C='z'\\ w", "ENV A two words",
       "EXPOSE 80 53/udp 80/tcp", "LABEL a=b \"c d\"=e", "USER 1:2", "VOLUME /a /b", "VOLUME [\"/c\"]",
       "WORKDIR /w", "WORKDIR sub", "STOPSIGNAL SIGINT", "ONBUILD RUN x",
       "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x"});
  EXPECT_EQ(run.cmd, (Texts{"/bin/sh", "-c", "echo $HOME"}));
  EXPECT_EQ(run.entrypoint, (Texts{"/bin/x", "-y"}));
  EXPECT_EQ(run.env, (Texts{"A=two words", "B=x y", "C=z w"}));
  EXPECT_EQ(run.exposed_ports, (Texts{"53/udp", "80/tcp"}));
  EXPECT_EQ(run.labels, (std::map<std::string, std::string>{{"a", "b"}, {"c d", "e"}}));
  EXPECT_EQ(run.user, "1:2");
  EXPECT_EQ(run.volumes, (Texts{"/a", "/b", "/c"}));
  EXPECT_EQ(run.working_dir, "/w/sub");
  EXPECT_EQ(run.stop_signal, "SIGINT");
  EXPECT_EQ(run.on_build, (Texts{"RUN x"}));
  EXPECT_EQ(run.healthcheck->test, (Texts{"CMD-SHELL", "curl -f x"}));
  EXPECT_EQ(run.healthcheck->interval_ns, 90'000'000'000);
  EXPECT_EQ(run.healthcheck->retries, 3);
}

TEST(ChangeTest, ShellGoesBeforeShellForms) {
  EXPECT_EQ(changed({"SHELL [\"/bin/bash\", \"-ec\"]", "CMD x"}).cmd, (Texts{"/bin/bash", "-ec", "x"}));
}

TEST(ChangeTest, RejectsWithPreciseMessage) {
  const struct {
    std::string change;
    std::string message;
  } cases[] = {
      {"FROM x", "--change 'FROM x': 'from' is no instruction of an image"},
      {"CMD", "--change 'CMD': wants an instruction and its value, such as CMD [\"sh\"]"},
      {"ENV A", "--change 'A': wants NAME=VALUE"},
      {"ENV A=1 B", "--change 'A=1 B': 'B' is not NAME=VALUE"},
      {"ENV A='x", "--change 'A='x': a quote is not closed"},
      {"EXPOSE http", "--change 'http': 'http' is no port"},
      {"SHELL bash", "--change 'SHELL bash': SHELL wants [\"program\", \"argument\"]"},
      {"HEALTHCHECK --interval=x NONE",
       "--change '--interval=x NONE': --interval wants a duration such as 30s"},
  };
  for (const auto& c : cases) {
    oci::RunConfig run;
    const auto got = apply_change(c.change, run);
    ASSERT_FALSE(got.has_value()) << c.change;
    EXPECT_EQ(got.error().message(), c.message);
  }
}

}  // namespace
}  // namespace kist::images
