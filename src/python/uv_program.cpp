#include "python/uv_program.h"

#include "python/simple_index.h"

namespace kist::python {
namespace {

// The builds against musl: static, so they run on any Linux. To renew: download both wheels of a
// new version with pip (--platform musllinux_1_1_x86_64, musllinux_1_1_aarch64) and sha256sum them;
// then run the tests of uv_live_test.cpp against it.
constexpr UvRelease kReleases[] = {
    {"0.13.9", "linux/amd64", "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
     "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25", 19295638},
    {"0.13.9", "linux/arm64",
     "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
     "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe", 18026789},
};

}  // namespace

std::string UvRelease::program() const { return fmt::format("uv-{}.data/scripts/uv", version); }

Result<UvRelease> pinned_uv(std::string_view platform) {
  for (const UvRelease& release : kReleases)
    if (release.platform == platform) return release;
  return Error(Code::unsupported, "there is no uv for {}", platform).hint("put a uv on PATH");
}

Result<http::Download> find_uv(http::Client& client, std::string_view index_url,
                               const UvRelease& release) {
  const std::vector<IndexFile> files = TRY(fetch_index_page(client, index_url, "uv"));
  for (const IndexFile& file : files) {
    const auto hash = file.hashes.find("sha256");
    const bool same =
        hash != file.hashes.end() ? hash->second == release.sha256 : file.name == release.file_name;
    if (!same) continue;
    http::Download out;
    out.urls = {file.url};
    // The index's credentials are good for its files when they lie on the same host.
    const auto [bare, credentials] = http::split_credentials(index_url);
    const auto host = [](std::string_view url) { return url.substr(0, url.find('/', 8)); };
    if (!credentials.empty() && host(bare) == host(file.url)) {
      const size_t at = file.url.find("://") + 3;
      out.urls = {file.url.substr(0, at) + credentials + "@" + file.url.substr(at)};
    }
    out.sha256 = TRY(oci::Digest::parse_hex(release.sha256));
    out.size_bytes = release.size_bytes;
    out.label = fmt::format("uv {}", release.version);
    return out;
  }
  return Error(Code::not_found, "the package index has no {}", release.file_name)
      .hint("install uv yourself and put it on PATH");
}

}  // namespace kist::python
