// Fetching InRelease and Packages, with a cache that is keyed by what was checked:
//   <hash of address>.release, .etag   the last InRelease of an address, whole and unverified
//   <sha256 of index>.packages         an index, as compressed as the archive has it
// Nothing in it is believed: a Release is verified again and an index hashed again when used.
#include "base/text.h"
#include "debian/raw_stream.h"
#include "debian/release.h"
#include "os/files.h"
#include "os/mapped_file.h"

namespace kist::debian {
namespace {

constexpr uint64_t kMaxReleaseBytes = 16u << 20;
constexpr uint64_t kMaxIndexBytes = 256u << 20;
constexpr uint64_t kMaxIndexTextBytes = 1u << 30;

struct Chosen {
  const Archive* archive;
  Release release;
};

std::string cached_path(const IndexContext& context, std::string_view url, std::string_view what) {
  return os::join(context.cache_dir, oci::Sha256::of(url).hex() + "." + std::string(what));
}

// The bytes of InRelease, from the network or, when the server says that they did not change, from
// the cache.
Result<std::string> get_release(const std::string& url, const IndexContext& context) {
  const std::string path = cached_path(context, url, "release");
  const std::string etag_path = cached_path(context, url, "etag");
  const auto cached = os::read_file(path, kMaxReleaseBytes);
  if (context.offline) {
    if (cached) return *cached;
    return Error(Code::unavailable, "'{}' is not cached, and the network must not be used",
                 http::redact(url));
  }
  const auto etag = os::read_file(etag_path, 4096);
  http::GetOptions options{.limit_bytes = kMaxReleaseBytes, .headers = {}, .etag = ""};
  options.headers.push_back("Cache-Control: max-age=0");
  if (cached && etag) options.etag = *etag;
  http::Response response = TRY(context.client.get(url, options));
  if (response.status == 304 && cached) return *cached;
  // The tag last: a crash between the two leaves an old tag only with the old file gone, and an
  // unmatched tag merely fetches again.
  TRY(os::remove_tree(etag_path));
  TRY(os::write_file_atomically(path, response.body));
  if (!response.etag.empty()) TRY(os::write_file_atomically(etag_path, response.etag));
  return std::move(response.body);
}

Result<Release> load_release(const Archive& archive, const IndexContext& context) {
  const std::string url = archive.uri + "/dists/" + archive.suite + "/InRelease";
  const std::string file = TRY(get_release(url, context));
  TrustedKeys keys{.keyrings = {}, .inline_key = archive.inline_key, .fingerprints = {}};
  for (const std::string& key : archive.keyrings) {
    if (key.starts_with('/')) {
      keys.keyrings.push_back(key);
    } else {  // Signed-By may name fingerprints of keys that the machine trusts.
      keys.fingerprints.push_back(key.ends_with('!') ? key.substr(0, key.size() - 1) : key);
    }
  }
  if (keys.keyrings.empty() && keys.inline_key.empty()) keys.keyrings = context.machine_keyrings;
  const std::string text = TRY(verify_clear_signed(file, keys, context.programs),
                               "checking the signature of '{}'", http::redact(url));
  Release release = TRY(parse_release(text), "reading '{}'", http::redact(url));
  if (release.origin != "Debian")
    return Error(Code::not_found, "'{}' is of '{}', not of Debian", http::redact(url),
                 printable(release.origin));
  if (release.codename != archive.suite && release.suite != archive.suite)
    return Error(Code::denied, "'{}' is of the suite '{}', want '{}'", http::redact(url),
                 printable(release.codename), archive.suite);
  TRY(check_dates(release, archive, context.now_s));
  return release;
}

Result<Chosen> choose(const Pocket& pocket, const IndexContext& context) {
  std::optional<Error> first;
  for (const Archive& archive : pocket.archives) {
    auto release = load_release(archive, context);
    if (release) return Chosen{&archive, std::move(*release)};
    if (!first) first = std::move(release).error();
  }
  KIST_ASSERT(first.has_value());
  return std::move(*first);
}

// A whole index is compared with its hash each time: 9 MB take 7 ms, and a cache that lies is worse.
bool is_cached(const std::string& path, const IndexFile& file) {
  const auto mapped = os::MappedFile::open(path, kMaxIndexBytes);
  return mapped && mapped->bytes().size() == file.size_bytes &&
         oci::Sha256::of(mapped->bytes()) == file.sha256;
}

Result<PackagesIndex> load_index(const Chosen& from, const std::string& component,
                                 const std::string& architecture, const IndexContext& context) {
  const std::string folder = component + "/binary-" + architecture + "/";
  auto found = from.release.files.find(folder + "Packages.xz");
  if (found == from.release.files.end()) found = from.release.files.find(folder + "Packages.gz");
  if (found == from.release.files.end())
    return Error(Code::not_found, "'{}' has no packages for the architecture '{}'",
                 from.archive->suite, architecture);
  const IndexFile& file = found->second;
  PackagesIndex index{.suite = from.archive->suite,
                      .component = component,
                      .architecture = architecture,
                      .uri = from.archive->uri,
                      .sha256 = file.sha256,
                      .path = os::join(context.cache_dir, file.sha256.hex() + ".packages")};
  if (is_cached(index.path, file)) return index;
  const std::string base = from.archive->uri + "/dists/" + from.archive->suite + "/";
  std::vector<std::string> urls;
  if (from.release.by_hash) urls.push_back(base + folder + "by-hash/SHA256/" + file.sha256.hex());
  urls.push_back(base + found->first);
  if (context.offline)
    return Error(Code::unavailable, "'{}' is not cached, and the network must not be used",
                 http::redact(urls.back()));
  NoProgress quiet;
  const http::Download download{.urls = urls,
                                .sha256 = file.sha256,
                                .size_bytes = file.size_bytes,
                                .limit_bytes = kMaxIndexBytes,
                                .path = index.path,
                                .label = "package index of " + index.suite};
  TRY(context.client.download_all(
      std::span(&download, 1), [](size_t) -> Result<void> { return {}; }, 1, quiet, "index"));
  return index;
}

}  // namespace

Result<std::vector<PackagesIndex>> fetch_indexes(const std::vector<Pocket>& pockets,
                                                 const std::string& architecture,
                                                 const IndexContext& context) {
  TRY(os::make_folders(context.cache_dir));
  std::vector<PackagesIndex> out;
  for (const Pocket& pocket : pockets) {
    const Chosen chosen = TRY(choose(pocket, context));
    for (const std::string& component : chosen.archive->components) {
      PackagesIndex index = TRY(load_index(chosen, component, architecture, context));
      out.push_back(std::move(index));
    }
  }
  return out;
}

Result<std::string> read_index(const PackagesIndex& index) {
  const os::MappedFile file = TRY(os::MappedFile::open(index.path, kMaxIndexBytes));
  if (oci::Sha256::of(file.bytes()) != index.sha256)
    return Error(Code::corrupt, "the cached index '{}' has changed", index.path)
        .hint("run the command again: it is fetched anew");
  return TRY(decompress_whole(file.bytes(), kMaxIndexTextBytes), "unpacking the index of '{}'",
             index.suite);
}

}  // namespace kist::debian
