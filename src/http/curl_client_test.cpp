// What needs no server; tests/faults/http_faults_test.cpp has the rest.
#include "http/curl_client.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "os/files.h"

namespace kist::http {
namespace {

class LocalFilesTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = os::join(dir_.path(), name);
    EXPECT_TRUE(os::write_file_atomically(path, text));
    return path;
  }
  Download download(const std::string& from, const std::string& text, const std::string& to) {
    return {.urls = {"file://" + from},
            .sha256 = oci::Sha256::of(text),
            .size_bytes = text.size(),
            .path = os::join(dir_.path(), to),
            .label = to};
  }
  Result<void> fetch(const Download& file) {
    return client_->download_all(
        {&file, 1}, [](size_t) { return Result<void>(); }, 1, progress_, "fetch");
  }
  static std::string innermost(const Result<void>& failed) {
    return failed ? "no error" : failed.error().frames().front();
  }

  os::TempDir dir_ = os::TempDir::make("/tmp", "kist-http.").value();
  std::unique_ptr<Client> client_ = make_curl_client({}).value();
  NoProgress progress_;
};

TEST_F(LocalFilesTest, BringsEachFileAndCallsOnFileOnce) {
  std::vector<Download> files;
  for (int i = 0; i < 50; ++i) {
    const std::string text(static_cast<size_t>(i) * 1000, 'x');
    const std::string from = write(fmt::format("from{}", i), text);
    files.push_back(download(from, text, fmt::format("to{}", i)));
  }
  std::mutex mutex;
  std::multiset<size_t> seen;
  const auto done = client_->download_all(
      files,
      [&](size_t index) -> Result<void> {
        EXPECT_TRUE(os::exists(files[index].path));
        const std::lock_guard lock(mutex);
        seen.insert(index);
        return {};
      },
      4, progress_, "fetch");
  ASSERT_TRUE(done) << done.error().render();
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(std::set<size_t>(seen.begin(), seen.end()).size(), 50u);
  for (const Download& file : files) EXPECT_FALSE(os::exists(file.path + ".part"));
}

TEST_F(LocalFilesTest, WrongDigestLeavesNothing) {
  const std::string from = write("from", "text");
  Download file = download(from, "other", "to");
  file.size_bytes.reset();
  const auto failed = fetch(file);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Code::corrupt);
  EXPECT_EQ(innermost(failed),
            "to has sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1, want "
            "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
  EXPECT_FALSE(os::exists(file.path));
  EXPECT_FALSE(os::exists(file.path + ".part"));
}

TEST_F(LocalFilesTest, SecondAddressIsTriedWhenTheFirstFails) {
  const std::string from = write("from", "text");
  Download file = download(from, "text", "to");
  file.urls.insert(file.urls.begin(), "file:///nowhere/at/all");
  const auto done = fetch(file);
  ASSERT_TRUE(done) << done.error().render();
  EXPECT_EQ(os::read_file(file.path).value(), "text");
}

TEST_F(LocalFilesTest, AFailureOfOnFileEndsAllAndIsReported) {
  std::vector<Download> files;
  for (int i = 0; i < 20; ++i) {
    const std::string from = write(fmt::format("f{}", i), "text");
    files.push_back(download(from, "text", fmt::format("t{}", i)));
  }
  const auto failed = client_->download_all(
      files, [](size_t) -> Result<void> { return Error(Code::corrupt, "bad wheel"); }, 2, progress_,
      "fetch");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "bad wheel");
}

TEST_F(LocalFilesTest, BadAddressesAreRefused) {
  const struct {
    const char* url;
    std::string message;
  } cases[] = {
      {"file://other/x", "'file://other/x' names the host 'other', want none or localhost"},
      {"file:relative", "'file:relative' does not name an absolute path"},
      {"file:///a%zz", "'file:///a%zz' does not name an absolute path"},
      {"file:///a%00b", "'file:///a%00b' does not name an absolute path"},
      {"ftp://u:p@host/x",
       "'ftp://host/x' is not an address to fetch from, want http, https or file"},
      {"", "'' is not an address to fetch from, want http, https or file"},
      {"file:///dev/zero", "'/dev/zero' is not a file"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.url);
    Download file{.urls = {c.url}, .path = os::join(dir_.path(), "to"), .label = "x"};
    const auto failed = fetch(file);
    EXPECT_EQ(innermost(failed), c.message);
    EXPECT_EQ(failed.error().message(), "fetching x");
    EXPECT_FALSE(os::exists(file.path + ".part"));
  }
}

TEST_F(LocalFilesTest, GetReadsFilesWithinTheLimit) {
  const std::string from = write("with space", "text");
  const std::string url = "file://" + os::join(dir_.path(), "with%20space");
  const auto got = client_->get(url, {});
  ASSERT_TRUE(got) << got.error().render();
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "text");
  EXPECT_EQ(client_->get(url, {.limit_bytes = 3}).error().code(), Code::invalid);
}

}  // namespace
}  // namespace kist::http
