#include "launch/image.h"

#include <gtest/gtest.h>

namespace kist::launch {
namespace {

const std::string kId = "sha256:" + std::string(63, 'a') + "1";
const std::string kDigest = "sha256:" + std::string(64, 'b');

ReadyImage sample() {
  ReadyImage image;
  image.name = "registry.example:5000/team/tool:1.2";
  image.id = kId;
  image.digest = kDigest;
  image.os = "linux";
  image.architecture = "amd64";
  image.tree = "sha256:00";
  image.root_lease = "/s/lease";
  image.objects = "/s/objects";
  image.lowers = {"/s/delta", "/s/farm \xff"};
  image.env = {"PATH=/bin", "B= x=y\nz", "EMPTY="};
  image.entrypoint = {"/entry point", ""};
  image.cmd = {"a", "%"};
  image.user = "1000:1000";
  image.working_dir = "/work dir";
  image.exposed_ports = {"80/tcp"};
  image.volumes = {"/data"};
  image.labels = {{"a b=c", "x y"}, {"", ""}};
  image.stop_signal = "SIGINT";
  image.shell = {"/bin/bash", "-c"};
  image.healthcheck = {{"CMD-SHELL", "true"}, 1'000'000'000, 2, 3, 4, -5};
  return image;
}

TEST(ReadyImageTest, DecodeIsTheInverseOfEncode) {
  const auto got = decode_image(encode(sample()));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(*got, sample());
  EXPECT_EQ(*decode_image(encode(ReadyImage())), ReadyImage());
}

TEST(ReadyImageTest, EveryTruncationIsRefused) {
  const std::string whole = encode(sample());
  for (size_t length = 0; length + 1 < whole.size(); ++length)
    EXPECT_FALSE(decode_image(whole.substr(0, length)).has_value()) << length;
}

TEST(ReadyImageTest, NameGetsATagOnlyWhenItHasNone) {
  EXPECT_EQ(image_name("busybox"), "busybox:latest");
  EXPECT_EQ(image_name("busybox:1"), "busybox:1");
  EXPECT_EQ(image_name("localhost:5000/x"), "localhost:5000/x:latest");
  EXPECT_EQ(image_name("localhost:5000/x:2"), "localhost:5000/x:2");
}

void put(const os::TempDir& home, const ReadyImage& image) {
  const std::string path = image_ready_path(home.path(), image.name);
  ASSERT_TRUE(os::write_file_atomically(path, encode(image)).has_value());
  ReadyImage nameless = image;
  nameless.name.clear();
  const std::string text = encode(nameless);
  ASSERT_TRUE(os::write_file_atomically(image_id_path(home.path(), image.id.substr(7)), text));
  ASSERT_TRUE(os::write_file_atomically(image_digest_path(home.path(), image.digest.substr(7)), text));
}

TEST(ReadyImageTest, FindsByNameIdDigestAndUniquePrefix) {
  const os::TempDir home = os::TempDir::make("/tmp").value();
  ASSERT_TRUE(os::make_folders(os::join(home.path(), "images/ids")));
  ASSERT_TRUE(os::make_folders(os::join(home.path(), "images/digests")));
  ReadyImage tool = sample();
  put(home, tool);
  ReadyImage local = sample();
  local.name = "localhost/busybox:latest";
  local.id = "sha256:" + std::string(63, 'a') + "2";
  local.digest = "sha256:" + std::string(64, 'c');
  put(home, local);

  const auto id_of = [&](std::string_view text) {
    const auto found = find_image(home.path(), text);
    return found ? found->id : std::string();
  };
  EXPECT_EQ(id_of(tool.name), tool.id);
  EXPECT_EQ(id_of("registry.example:5000/team/tool"), "");
  EXPECT_EQ(id_of("busybox"), local.id);
  EXPECT_EQ(id_of("busybox:latest"), local.id);
  EXPECT_EQ(id_of("busybox:2"), "");
  EXPECT_EQ(id_of(tool.id), tool.id);
  EXPECT_EQ(id_of(tool.id.substr(7)), tool.id);
  EXPECT_EQ(id_of("anything@" + kDigest), tool.id);
  EXPECT_EQ(id_of(kDigest), tool.id);
  EXPECT_EQ(id_of("aaaa"), "") << "ambiguous";
  EXPECT_EQ(id_of(std::string(63, 'a') + "2"), local.id);
  EXPECT_EQ(id_of("../x"), "");
  EXPECT_EQ(id_of(""), "");
}

TEST(ReadyImageTest, FileOfAnotherNameIsNotTakenForThisOne) {
  const os::TempDir home = os::TempDir::make("/tmp").value();
  ASSERT_TRUE(os::make_folders(os::join(home.path(), "images")));
  const std::string path = image_ready_path(home.path(), "other:latest");
  ASSERT_TRUE(os::write_file_atomically(path, encode(sample())));
  EXPECT_FALSE(find_image(home.path(), "other").has_value());
}

}  // namespace
}  // namespace kist::launch
