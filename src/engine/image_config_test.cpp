#include "engine/image_config.h"

#include <gtest/gtest.h>

#include "store/memory_sink.h"
#include "store/test_home.h"

namespace kist::engine {
namespace {

using store::must;
using Texts = std::vector<std::string>;

class ImageConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    lock_.kist.emplace();
    lock_.kist->platform = "linux/amd64";
    lock_.kist->base = "debian:bookworm";
    lock_.kist->python = "3.11.2";
    lock_.kist->recipe = 1;
  }
  void uploaded(const std::string& time) {
    python::LockedPackage package;
    package.wheels.emplace_back();
    package.wheels.back().upload_time = time;
    lock_.packages.push_back(package);
  }
  ConfigRequest request() const {
    return {.inputs = inputs_, .lock = lock_, .lock_text = "the lock", .is_development = development_,
            .base = base_ ? &*base_ : nullptr, .labels = labels_, .variables = variables_};
  }
  oci::ImageConfig config() const { return must(image_config(request())); }
  std::string file_of(const store::Tree& tree, std::string_view path) const {
    const store::Entry* const entry = tree.find(path);
    return entry == nullptr ? "" : *sink_.content(*entry->object);
  }
  store::Tree metadata(const std::string& passwd) {
    store::TreeBuilder builder(sink_);
    must(builder.file("etc/passwd", 0644, passwd));
    must(builder.file("etc/group", 0644, "root:x:0:\n"));
    const store::Tree below = must(std::move(builder).finish());
    return must(metadata_tree(request(), below, [&](const store::Entry& entry) -> Result<std::string> {
      return *sink_.content(*entry.object);
    }, sink_));
  }

  python::Inputs inputs_;
  python::Lock lock_;
  bool development_ = false;
  std::optional<images::Image> base_;
  std::map<std::string, std::string> labels_, variables_;
  store::MemorySink sink_;
};

TEST_F(ImageConfigTest, Defaults) {
  const oci::ImageConfig made = config();
  EXPECT_EQ(made.platform.string(), "linux/amd64");
  EXPECT_EQ(made.run.user, "10001");
  EXPECT_EQ(made.run.working_dir, "/app");
  EXPECT_EQ(made.run.cmd, Texts{"python"});
  EXPECT_TRUE(made.run.entrypoint.empty());
  EXPECT_EQ(made.run.env,
            (Texts{"HOME=/home/app", "KIST_ENVIRONMENT=default", "LANG=C.UTF-8",
                   "PATH=/opt/kist/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   "VIRTUAL_ENV=/opt/kist"}));
  EXPECT_EQ(made.run.labels.at("kist.glibc"), "2.36");
  EXPECT_EQ(made.run.labels.at("kist.lock"), oci::Sha256::of("the lock").string());
}

TEST_F(ImageConfigTest, TheTimeIsThatOfTheNewestPackageNeverNow) {
  EXPECT_EQ(config().created, "1980-01-01T00:00:00Z");
  uploaded("2024-12-04T17:35:26Z");
  uploaded("2025-01-02T03:04:05.678901Z");
  uploaded("2025-06-01T00:00:00");  // Of no zone: not understood.
  uploaded("");
  EXPECT_EQ(config().created, "2025-01-02T03:04:05Z");
  variables_["SOURCE_DATE_EPOCH"] = "1700000000";
  EXPECT_EQ(config().created, "2023-11-14T22:13:20Z");
  for (const char* bad : {"x", "-1", "99999999999999"}) {
    variables_["SOURCE_DATE_EPOCH"] = bad;
    EXPECT_EQ(image_config(request()).error().message(),
              std::string("SOURCE_DATE_EPOCH is '") + bad + "', want seconds since 1970");
  }
}

TEST_F(ImageConfigTest, SettingsAndTheirOrder) {
  python::ImageSettings& image = inputs_.project.image;
  image.entrypoint = {"python", "serve.py"};
  image.cmd = {"--port", "80"};
  image.env = {{"A", "image"}, {"C", "3"}};
  image.ports = {"8888/tcp", "53/udp"};
  image.labels = {{"team", "x"}, {"kind", "file"}};
  inputs_.project.run.env = {{"A", "run"}, {"B", "2"}};
  labels_ = {{"kind", "line"}};
  const oci::ImageConfig made = config();
  EXPECT_EQ(made.run.entrypoint, (Texts{"python", "serve.py"}));
  EXPECT_EQ(made.run.cmd, (Texts{"--port", "80"}));
  EXPECT_EQ(Texts(made.run.env.begin(), made.run.env.begin() + 3), (Texts{"A=image", "B=2", "C=3"}));
  EXPECT_EQ(made.run.exposed_ports, (Texts{"53/udp", "8888/tcp"}));
  EXPECT_EQ(made.run.labels.at("kind"), "line");
  EXPECT_EQ(made.run.labels.at("team"), "x");
}

TEST_F(ImageConfigTest, WhatABaseImageGivesAndWhatNot) {
  const oci::Digest digest = oci::Sha256::of("base");
  lock_.kist->base = "registry.example/python:3.12";
  lock_.kist->image = python::LockedImage{.digest = digest, .python = "/usr/local/bin/python3.12", .libc = "musl 1.2"};
  oci::RunConfig run;
  run.env = {"PATH=/usr/local/bin:/opt/kist/bin:/usr/bin", "PYTHONPATH=/x", "A=base", "B=base", "HOME=/h", "empty="};
  run.entrypoint = {"python3"};
  run.cmd = {"-i"};
  run.user = "nobody";
  run.working_dir = "/w";
  run.stop_signal = "SIGINT";
  run.volumes = {"/data"};
  run.exposed_ports = {"80/tcp", "8888/tcp"};
  run.labels = {{"team", "base"}, {"owner", "them"}, {"org.opencontainers.image.title", "python"}, {"kist.lock", "x"}};
  run.healthcheck = oci::Healthcheck{.test = {"CMD", "true"}};
  base_ = images::Image{.id = digest, .digest = digest, .manifest_bytes = {}, .config_bytes = {},
                        .manifest = {.config = {.media_type = {}, .digest = digest}},
                        .config = {.created = "2025-03-04T05:06:07.8Z", .run = run}, .layers = {}, .tree = digest,
                        .names = {}};
  inputs_.project.run.env = {{"B", "run"}};
  inputs_.project.image.ports = {"8888/tcp"};
  labels_ = {{"team", "line"}};
  const oci::ImageConfig made = config();
  EXPECT_EQ(made.run.env, (Texts{"A=base", "B=run", "HOME=/home/app", "KIST_ENVIRONMENT=default", "LANG=C.UTF-8",
                                 "PATH=/opt/kist/bin:/usr/local/bin:/usr/bin", "VIRTUAL_ENV=/opt/kist", "empty="}));
  EXPECT_TRUE(made.run.entrypoint.empty());
  EXPECT_EQ(made.run.cmd, Texts{"python"});
  EXPECT_EQ(made.run.user, "10001");
  EXPECT_EQ(made.run.working_dir, "/app");
  EXPECT_EQ(made.run.stop_signal, "SIGINT");
  EXPECT_EQ(made.run.volumes, Texts{"/data"});
  EXPECT_EQ(made.run.exposed_ports, (Texts{"80/tcp", "8888/tcp"}));
  EXPECT_FALSE(made.run.healthcheck.has_value());
  EXPECT_EQ(made.created, "2025-03-04T05:06:07Z");
  for (const char* none : {"9999-99-99T99:99:99Z", "zzzz-zz-zzTzz:zz:zz.0Z", "2099-02-31T00:00:00Z", "2099- 1- 1T 0: 0: 0Z", "2099-01-01T00:00:00"}) {
    base_->config.created = none;
    EXPECT_EQ(config().created, "1980-01-01T00:00:00Z") << none;
  }
  const auto& labels = made.run.labels;
  EXPECT_EQ(labels.at("team"), "line");
  EXPECT_EQ(labels.at("owner"), "them");
  EXPECT_FALSE(labels.contains("org.opencontainers.image.title"));
  EXPECT_EQ(labels.at("kist.lock"), oci::Sha256::of("the lock").string());
  EXPECT_EQ(labels.at("kist.musl"), "1.2");
  EXPECT_FALSE(labels.contains("kist.glibc"));
  EXPECT_EQ(labels.at("org.opencontainers.image.base.name"), "registry.example/python:3.12");
  EXPECT_EQ(labels.at("org.opencontainers.image.base.digest"), digest.string());
}

TEST_F(ImageConfigTest, TheUserHasALineAndAHome) {
  const store::Tree tree = metadata("root:x:0:0::/root:/bin/sh\n");
  EXPECT_EQ(file_of(tree, "etc/passwd"),
            "root:x:0:0::/root:/bin/sh\napp:x:10001:10001::/home/app:/usr/sbin/nologin\n");
  EXPECT_EQ(file_of(tree, "etc/group"), "root:x:0:\napp:x:10001:\n");
  ASSERT_NE(tree.find("home/app"), nullptr);
  EXPECT_EQ(tree.find("home/app")->uid, 10001u);
  EXPECT_EQ(file_of(tree, "opt/kist/pylock.kist.toml"), "the lock");
}

TEST_F(ImageConfigTest, AnIdThatIsThereIsNotNamedAgainAndRootHasItsHome) {
  inputs_.project.image.user = "33:0";
  EXPECT_EQ(metadata("www-data:x:33:33::/var/www:/bin/sh\n").find("etc/passwd"), nullptr);
  inputs_.project.image.user = "0";
  EXPECT_EQ(metadata("root:x:0:0::/root:/bin/sh\n").find("home/app"), nullptr);
  EXPECT_EQ(config().run.env.front(), "HOME=/root");
}

}  // namespace
}  // namespace kist::engine
