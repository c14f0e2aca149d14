#include "registry/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/base64.h"
#include "os/files.h"

namespace kist::registry {
namespace {

std::string auth_of(const std::string& user, const std::string& password) {
  return R"({"auth":")" + encode_base64(user + ":" + password) + R"("})";
}

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    host_.home = dir_.path();
    host_.variables["DOCKER_CONFIG"] = os::join(dir_.path(), "docker");
    host_.variables["PATH"] = os::join(dir_.path(), "bin") + ":/usr/bin:/bin";
    host_.variables["HELPER_FOLDER"] = dir_.path();
    // A helper is found by our own PATH.
    if (const char* path = std::getenv("PATH")) old_path_ = path;
    ::setenv("PATH", host_.variables["PATH"].c_str(), 1);
  }
  ~CredentialsTest() override { ::setenv("PATH", old_path_.c_str(), 1); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = os::join(dir_.path(), name);
    EXPECT_TRUE(os::make_folders(os::parent_of(path), 0700));
    EXPECT_TRUE(os::write_file_atomically(path, text));
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string read(const std::string& name) {
    const auto text = os::read_file(os::join(dir_.path(), name));
    return text ? *text : "no such file";
  }
  /// "user:password", "token TOKEN", "none" or "error: …".
  std::string find(const std::string& registry, const std::string& repository = "team/tool") {
    const auto found = find_credentials(host_, registry, repository);
    if (!found) return "error: " + found.error().message();
    if (!*found) return "none";
    if (!(*found)->identity_token.empty()) return "token " + (*found)->identity_token.reveal();
    return (*found)->user + ":" + (*found)->password.reveal();
  }
  // Keeps one secret in a file, as docker-credential-* do.
  void write_helper(const std::string& name) {
    write("bin/docker-credential-" + name, R"(#!/bin/sh
echo "$1" >>"$HELPER_FOLDER/calls"
case $1 in
  get)
    read -r server
    case $server in
      broken.example) echo nonsense; exit 0 ;;
      locked.example) echo "the keyring is locked"; exit 1 ;;
      token.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}' ;;
      known.example) echo '{"ServerURL":"x","Username":"helped","Secret":"by-helper"}' ;;
      *) echo "credentials not found in native keychain"; exit 1 ;;
    esac ;;
  store | erase) cat >"$HELPER_FOLDER/$1d" ;;
esac
)", 0755);
  }

  os::TempDir dir_ = os::TempDir::make("/tmp", "kist-credentials.").value();
  Host host_;
  std::string old_path_;
};

TEST_F(CredentialsTest, NobodyKnowsAny) { EXPECT_EQ(find("reg.example"), "none"); }

TEST_F(CredentialsTest, DockersFile) {
  write("docker/config.json", R"({"auths":{"reg.example":)" + auth_of("joe", "s:cret") +
                                  R"(,"https://old.example/v1/":)" + auth_of("old", "url") +
                                  R"(,"plain.example":{"username":"u","password":"p"})" +
                                  R"(,"id.example":{"auth":")" + encode_base64("joe:") + R"(","identitytoken":"refresh"})" +
                                  R"(,"empty.example":{}}})");
  EXPECT_EQ(find("reg.example"), "joe:s:cret");
  EXPECT_EQ(find("old.example"), "old:url");
  EXPECT_EQ(find("plain.example"), "u:p");
  EXPECT_EQ(find("id.example"), "token refresh");
  EXPECT_EQ(find("empty.example"), "none");
  EXPECT_EQ(find("reg.example:5000"), "none");
  EXPECT_EQ(find("reg.example.org"), "none");
}

TEST_F(CredentialsTest, TheLongestNamespaceThatFitsWins) {
  write("docker/config.json", R"({"auths":{"reg.example/team/tool":)" + auth_of("tool", "3") + R"(,"reg.example/team":)" +
                                  auth_of("team", "2") + R"(,"reg.example":)" + auth_of("all", "1") + "}}");
  EXPECT_EQ(find("reg.example", "team/tool"), "tool:3");
  EXPECT_EQ(find("reg.example", "team/other"), "team:2");
  EXPECT_EQ(find("reg.example", "teams/other"), "all:1");
  EXPECT_EQ(find("reg.example", "team"), "team:2");
}

TEST_F(CredentialsTest, PodmansFilesComeBeforeDockers) {
  write("docker/config.json", R"({"auths":{"reg.example":)" + auth_of("docker", "x") + "}}");
  EXPECT_EQ(find("reg.example"), "docker:x");
  write(".config/containers/auth.json", R"({"auths":{"reg.example":)" + auth_of("podman", "x") + "}}");
  EXPECT_EQ(find("reg.example"), "podman:x");
  write("runtime/containers/auth.json", R"({"auths":{"reg.example":)" + auth_of("runtime", "x") + "}}");
  host_.variables["XDG_RUNTIME_DIR"] = os::join(dir_.path(), "runtime");
  EXPECT_EQ(find("reg.example"), "runtime:x");
  host_.variables["REGISTRY_AUTH_FILE"] = write("named.json", R"({"auths":{"reg.example":)" + auth_of("named", "x") + "}}");
  EXPECT_EQ(find("reg.example"), "named:x");
}

TEST_F(CredentialsTest, AllAreErasedWhereTheyAreWritten) {
  write("docker/config.json", R"({"detachKeys":"ctrl-x","auths":{"reg.example":)" + auth_of("a", "x") + R"(,"other.example":)" + auth_of("b", "x") + "}}");
  write(".config/containers/auth.json", R"({"auths":{"podman.example":)" + auth_of("podman", "x") + "}}");
  EXPECT_EQ(where_known(host_, "reg.example").value(), os::join(dir_.path(), "docker/config.json"));
  EXPECT_EQ(erase_all_credentials(host_).value(), 2U);
  EXPECT_EQ(erase_all_credentials(host_).value(), 0U);
  EXPECT_EQ(read("docker/config.json"), "{\"detachKeys\":\"ctrl-x\",\"auths\":{}}\n");
  EXPECT_EQ(where_known(host_, "reg.example").value(), "");
  EXPECT_EQ(where_known(host_, "podman.example").value(), os::join(dir_.path(), ".config/containers/auth.json"));
}

TEST_F(CredentialsTest, Helpers) {
  write_helper("fake");
  write("docker/config.json", R"({"credsStore":"fake","auths":{"known.example":{},"own.example":)" + auth_of("own", "1") + "}}");
  EXPECT_EQ(find("known.example"), "helped:by-helper");
  EXPECT_EQ(find("token.example"), "token refresh");
  EXPECT_EQ(find("other.example"), "none");
  EXPECT_EQ(find("own.example"), "own:1");
  EXPECT_EQ(find("locked.example"), "error: docker-credential-fake get: the keyring is locked");
  EXPECT_EQ(find("broken.example"), "error: docker-credential-fake answered something that is not JSON");
  write("docker/config.json", R"({"credHelpers":{"known.example":"fake"},"auths":{"known.example":)" + auth_of("no", "no") + "}}");
  EXPECT_EQ(find("known.example"), "helped:by-helper");
  EXPECT_EQ(find("other.example"), "none");
}

TEST_F(CredentialsTest, HelpersThatAreNoNames) {
  write("docker/config.json", R"({"credsStore":"../../bin/sh"})");
  EXPECT_EQ(find("reg.example"), "error: '../../bin/sh' is no name of a credential helper");
  write("docker/config.json", R"({"credsStore":"not-installed"})");
  EXPECT_EQ(find("reg.example").substr(0, 48), "error: the credential helper 'not-installed'");
}

TEST_F(CredentialsTest, DamagedFilesAreSaidAndNotOverwritten) {
  for (const std::string text : {"{", "[]", "7", "{\"auths\":"}) {
    write("docker/config.json", text);
    EXPECT_EQ(find("reg.example"), "error: '" + dir_.path() + "/docker/config.json' is not a JSON object") << text;
    EXPECT_FALSE(store_credentials(host_, "reg.example", {.user = "u", .password = http::Secret("p"), .identity_token = {}}));
    EXPECT_EQ(read("docker/config.json"), text);
  }
  // Other shapes than these say nothing.
  for (const char* text : {"", "{}", R"({"auths":[]})", R"({"auths":{"reg.example":7}})", R"({"auths":{"reg.example":{"auth":7}}})",
                           R"({"auths":{"reg.example":{"auth":"%%%"}}})", R"({"credHelpers":7,"credsStore":7})"}) {
    write("docker/config.json", text);
    EXPECT_EQ(find("reg.example"), "none") << text;
  }
}

TEST_F(CredentialsTest, StoredForAllToolsAndForNobodyElse) {
  write("docker/config.json", R"({"psFormat":"table","auths":{"other.example":)" + auth_of("other", "1") + "}}", 0644);
  const auto where = store_credentials(host_, "reg.example", {.user = "joe", .password = http::Secret("s:c"), .identity_token = {}});
  ASSERT_TRUE(where) << where.error().render();
  EXPECT_EQ(*where, os::join(dir_.path(), "docker/config.json"));
  struct stat st = {};
  ASSERT_EQ(::stat(where->c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(find("reg.example"), "joe:s:c");
  EXPECT_EQ(find("other.example"), "other:1");
  EXPECT_NE(read("docker/config.json").find("\"psFormat\":\"table\""), std::string::npos);
  EXPECT_TRUE(*erase_credentials(host_, "reg.example"));
  EXPECT_FALSE(*erase_credentials(host_, "reg.example"));
  EXPECT_EQ(find("reg.example"), "none");
  EXPECT_EQ(find("other.example"), "other:1");
}

TEST_F(CredentialsTest, ErasesOlderKeysToo) {
  write("docker/config.json", R"({"auths":{"https://reg.example/v1/":)" + auth_of("a", "b") + "}}");
  EXPECT_TRUE(*erase_credentials(host_, "reg.example"));
  EXPECT_EQ(find("reg.example"), "none");
}

TEST_F(CredentialsTest, StoredByAHelper) {
  write_helper("fake");
  write("docker/config.json", R"({"credsStore":"fake"})");
  const auto where = store_credentials(host_, "known.example", {.user = "joe", .password = http::Secret("hush"), .identity_token = {}});
  ASSERT_TRUE(where) << where.error().render();
  EXPECT_EQ(*where, "docker-credential-fake");
  EXPECT_EQ(read("stored"), R"({"ServerURL":"known.example","Username":"joe","Secret":"hush"})");
  EXPECT_EQ(read("docker/config.json").find("hush"), std::string::npos);
  EXPECT_TRUE(*erase_credentials(host_, "known.example"));
  EXPECT_EQ(read("erased"), "known.example");
  EXPECT_FALSE(*erase_credentials(host_, "other.example"));
}

TEST_F(CredentialsTest, WrittenWhereRegistryAuthFileSays) {
  host_.variables["REGISTRY_AUTH_FILE"] = os::join(dir_.path(), "new/auth.json");
  ASSERT_TRUE(store_credentials(host_, "reg.example", {.user = "u", .password = http::Secret("p"), .identity_token = {}}));
  EXPECT_EQ(find("reg.example"), "u:p");
  EXPECT_EQ(read("docker/config.json"), "no such file");
}

}  // namespace
}  // namespace kist::registry
