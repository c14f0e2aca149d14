#include "python/uv_lock_package.h"

#include <algorithm>

#include "base/text.h"
#include "http/address.h"
#include "http/client.h"
#include "python/inputs_files.h"

namespace kist::python {
namespace {

using toml::Fields;

// "url", "path" or "filename" with "hash" and "size". `source` is where the package comes from: for
// a file given directly the entry has no address of its own.
Result<LockedFile> read_file(Fields& fields, const std::string& source, bool direct) {
  LockedFile out;
  const std::string url = TRY(fields.optional_string("url"));
  const std::string path = TRY(fields.optional_string("path"));
  const std::string filename = TRY(fields.optional_string("filename"));
  if (direct) {
    const bool remote = source.find("://") != std::string::npos;
    (remote ? out.url : out.path) = source;
  } else if (!url.empty()) {
    out.url = url;
  } else {
    // Of a folder with wheels (--find-links): relative to it.
    out.path = path_from(source, path);
  }
  out.url = http::split_credentials(out.url).first;
  out.url.resize(std::min(out.url.find('#'), out.url.size()));
  out.name = !filename.empty()   ? filename
             : out.url.empty() ? out.path.substr(out.path.rfind('/') + 1)
                               : http::file_name_of_url(out.url);
  if (out.name.empty() || out.name.find('/') != std::string::npos) {
    return fields.error("url", "'{}' names no file: '{}'", fields.name("url"),
                        printable(http::redact(url)));
  }
  const std::string hash = TRY(fields.optional_string("hash"));
  const size_t colon = hash.find(':');
  const std::string algorithm = hash.substr(0, colon);
  if (colon == std::string::npos || (algorithm == "sha256" && !oci::Digest::parse(hash))) {
    return Error(Code::corrupt, "{}'{}' is '{}', want \"sha256:<64 hex digits>\"",
                 fields.where("hash"), fields.name("hash"), printable(hash))
        .hint("lock again: `uv lock`");
  }
  out.hashes[algorithm] = hash.substr(colon + 1);
  out.size_bytes = TRY(fields.optional_size("size"));
  return out;
}

// "https://…/repo?subdirectory=a&branch=main#commit"
Result<LockedVcs> read_git(Fields& source, const std::string& git) {
  LockedVcs out;
  out.type = "git";
  const size_t fragment = std::min(git.find('#'), git.size());
  const size_t query = std::min(git.find('?'), fragment);
  const std::string bare = git.substr(0, query);
  const auto [without, credentials] = http::split_credentials(bare);
  out.url = bare.starts_with("ssh://") ? bare : without;
  out.commit_id = git.substr(std::min(fragment + 1, git.size()));
  if (out.commit_id.empty()) return source.error("git", "'{}' has no commit", source.name("git"));
  if (query >= fragment) return out;
  for (const std::string_view pair :
       split(std::string_view(git).substr(query + 1, fragment - query - 1), '&')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string value =
        percent_decode(pair.substr(std::min(equals + 1, pair.size()))).value_or("");
    const std::string_view key = pair.substr(0, equals);
    if (key == "subdirectory") out.subdirectory = value;
    if (key == "rev" || key == "branch" || key == "tag") out.requested_revision = value;
  }
  for (const std::string_view part : split(out.subdirectory, '/'))
    if (part == ".." || out.subdirectory.starts_with('/'))
      return source.error("git", "'{}' leads out of the repository", source.name("git"));
  return out;
}

Result<void> read_files(Fields& fields, const std::string& source, LockedPackage& out) {
  std::optional<Fields> sdist = TRY(fields.optional_table("sdist"));
  if (sdist) out.sdist = TRY(read_file(*sdist, source, false));
  std::vector<Fields> wheels = TRY(fields.optional_tables("wheels"));
  for (Fields& entry : wheels) {
    LockedFile wheel = TRY(read_file(entry, source, false));
    out.wheels.push_back(std::move(wheel));
  }
  if (out.sdist || !out.wheels.empty()) return {};
  return fields.error("name", "{} has neither wheels nor an sdist", out.name);
}

// A wheel or an archive that was asked for by its own address.
Result<void> read_archive(Fields& fields, const std::string& address, LockedPackage& out) {
  std::optional<Fields> sdist = TRY(fields.optional_table("sdist"));
  std::vector<Fields> wheels = TRY(fields.optional_tables("wheels"));
  if (!sdist && wheels.empty())
    return fields.error("name", "{} has neither a wheel nor an sdist", out.name);
  out.archive = TRY(read_file(sdist ? *sdist : wheels.front(), address, true));
  return {};
}

}  // namespace

Result<std::optional<LockedPackage>> read_uv_package(Fields& fields) {
  LockedPackage out;
  const std::string name = TRY(fields.string("name"));
  if (!is_valid_name(name))
    return fields.error("name", "'{}' is '{}', not a package name", fields.name("name"),
                        printable(name));
  out.name = normalize_name(name);
  out.version = TRY(fields.optional_string("version"));
  std::optional<Fields> source = TRY(fields.optional_table("source"));
  if (!source) return fields.error("source", "'{}' is missing", fields.name("source"));
  if (source->has("virtual")) return std::optional<LockedPackage>();
  const std::string registry = TRY(source->optional_string("registry"));
  const std::string git = TRY(source->optional_string("git"));
  const std::string url = TRY(source->optional_string("url"));
  const std::string path = TRY(source->optional_string("path"));
  const std::string editable = TRY(source->optional_string("editable"));
  const std::string directory = TRY(source->optional_string("directory"));
  if (!registry.empty()) {
    if (registry.find("://") != std::string::npos)
      out.index = http::split_credentials(registry).first;
    TRY(read_files(fields, registry, out));
  } else if (!git.empty()) {
    out.vcs = TRY(read_git(*source, git));
  } else if (!url.empty() || !path.empty()) {
    TRY(read_archive(fields, url.empty() ? normal_path(path) : url, out));
    out.archive->subdirectory = TRY(source->optional_string("subdirectory"));
  } else if (!editable.empty() || !directory.empty()) {
    const std::string& folder = editable.empty() ? directory : editable;
    // Its version is what the folder says when it is built.
    out.version.clear();
    out.directory = LockedDirectory{
        .path = normal_path(folder), .editable = !editable.empty(), .subdirectory = {}};
  } else {
    return source->error("registry", "'{}' is of no kind that we know", fields.name("source"));
  }
  return std::optional<LockedPackage>(std::move(out));
}

}  // namespace kist::python
