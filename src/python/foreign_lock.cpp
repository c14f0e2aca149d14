#include "python/foreign_lock.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "python/inputs_files.h"
#include "python/markers.h"
#include "python/requirements.h"
#include "python/simple_index.h"
#include "toml/toml.h"
#include "python/versions.h"

namespace kist::python {
namespace {

namespace json = boost::json;
using toml::Fields;

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

class PoetryReader {
 public:
  PoetryReader(std::string_view file, const ForeignLockOptions& options)
      : file_(file), options_(options) {
    environment_.target = options.target;
    environment_.extras.insert(options.extras.begin(), options.extras.end());
  }

  Result<ForeignLock> read(const toml::Value& root) {
    Fields fields = TRY(Fields::of(root, file_));
    std::optional<Fields> metadata = TRY(fields.optional_table("metadata"));
    if (!metadata) return fields.error("metadata", "'metadata' is missing");
    const std::string version = TRY(metadata->string("lock-version"));
    if (!version.starts_with("1.") && !version.starts_with("2.")) {
      return Error(Code::unsupported, "{}lock-version {} of poetry.lock, this kist reads 1 and 2",
                   metadata->where("lock-version"), printable(version));
    }
    // Up to version 1.1 the files stand apart from their packages.
    std::optional<Fields> files = TRY(metadata->optional_table("files"));
    std::vector<Fields> packages = TRY(fields.optional_tables("package"));
    for (Fields& package : packages) TRY(read_package(package, files ? &*files : nullptr));
    return std::move(out_);
  }

 private:
  // From version 2.1 on: `groups` and `markers` say where a package belongs. Before, `category`.
  Result<bool> is_wanted(Fields& package) {
    std::vector<std::string> groups = TRY(package.optional_strings("groups"));
    const std::string category = TRY(package.optional_string("category"));
    if (groups.empty()) groups = {category.empty() ? "main" : category};
    bool wanted = contains(groups, "main");
    for (const std::string& group : groups)
      wanted = wanted || contains(options_.groups, normalize_name(group)) ||
               (options_.default_groups && group == "dev");
    const std::optional<bool> optional = TRY(package.optional_boolean("optional"));
    const toml::Value* markers = package.optional_value("markers");
    if (!wanted || markers == nullptr) return wanted && !optional.value_or(false);
    std::string text;
    if (const auto* plain = markers->as<std::string>()) text = *plain;
    if (const auto* table = markers->as<toml::Table>()) {
      // One marker a group; the groups that are in decide.
      for (const auto& [group, value] : table->entries()) {
        const auto* marker = value.as<std::string>();
        const bool in = group == "main" || contains(options_.groups, normalize_name(group)) ||
                        (options_.default_groups && group == "dev");
        if (marker != nullptr && in)
          text += fmt::format("{}({})", text.empty() ? "" : " or ", *marker);
      }
    }
    const Marker marker = TRY(Marker::parse(text), "{}", package.where("markers"));
    // An optional package is reached by an extra, which its marker then names.
    if (optional.value_or(false) && !marker.mentions("extra")) return false;
    return marker.evaluate(environment_);
  }

  Result<void> read_package(Fields& fields, Fields* files) {
    const std::string name = TRY(fields.string("name"));
    const bool wanted = TRY(is_wanted(fields));
    if (!wanted) return {};
    LockedPackage package;
    package.name = normalize_name(name);
    package.version = TRY(fields.string("version"));
    std::optional<Fields> source = TRY(fields.optional_table("source"));
    bool direct = false;
    if (source) direct = TRY(read_source(*source, package));
    std::vector<Fields> list = TRY(
        (files != nullptr ? files : &fields)->optional_tables(files != nullptr ? name : "files"));
    std::vector<std::string>& hashes = out_.hashes[package.name];
    for (Fields& entry : list) {
      const std::string hash = TRY(entry.string("hash"));
      hashes.push_back(to_lower(hash));
    }
    if (package.archive && !hashes.empty()) {
      const size_t colon = std::min(hashes[0].find(':'), hashes[0].size());
      package.archive->hashes[hashes[0].substr(0, colon)] =
          hashes[0].substr(std::min(colon + 1, hashes[0].size()));
    }
    if (direct) out_.hashes.erase(package.name);
    out_.lock.packages.push_back(std::move(package));
    return {};
  }

  // False for an index.
  Result<bool> read_source(Fields& source, LockedPackage& package) {
    const std::string type = TRY(source.optional_string("type"));
    const std::string url = TRY(source.optional_string("url"));
    const std::string bare = http::split_credentials(url).first;
    if (type == "git") {
      LockedVcs vcs;
      vcs.type = type;
      vcs.url = bare;
      vcs.requested_revision = TRY(source.optional_string("reference"));
      vcs.commit_id = TRY(source.string("resolved_reference"));
      vcs.subdirectory = TRY(source.optional_string("subdirectory"));
      package.vcs = std::move(vcs);
    } else if (type == "directory") {
      package.directory =
          LockedDirectory{.path = normal_path(url), .editable = true, .subdirectory = {}};
      package.version.clear();
    } else if (type == "file" || type == "url") {
      LockedFile archive;
      (type == "url" ? archive.url : archive.path) = type == "url" ? bare : normal_path(url);
      archive.name = bare.substr(std::min(bare.rfind('/') + 1, bare.size()));
      package.archive = std::move(archive);
    } else {
      package.index = bare;
      return false;
    }
    return true;
  }

  std::string_view file_;
  const ForeignLockOptions& options_;
  MarkerEnvironment environment_;
  ForeignLock out_;
};

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

Result<void> read_pipfile_package(std::string_view file, const std::string& name,
                                  const json::object& entry, const MarkerEnvironment& environment,
                                  ForeignLock& out) {
  const Marker marker =
      TRY(Marker::parse(text_of(entry, "markers")), "{}: {}", printable(file), printable(name));
  if (!marker.evaluate(environment)) return {};
  LockedPackage package;
  if (!is_valid_name(name))
    return Error(Code::invalid, "{}: '{}' is not a package name", printable(file), printable(name));
  package.name = normalize_name(name);
  const std::string git = text_of(entry, "git");
  const std::string path = text_of(entry, "path");
  const json::value* editable = entry.if_contains("editable");
  if (!git.empty()) {
    LockedVcs vcs;
    vcs.type = "git";
    vcs.url = http::split_credentials(git).first;
    vcs.commit_id = text_of(entry, "ref");
    vcs.subdirectory = text_of(entry, "subdirectory");
    package.vcs = std::move(vcs);
  } else if (!path.empty()) {
    package.directory = LockedDirectory{
        .path = normal_path(path),
        .editable = editable != nullptr && editable->is_bool() && editable->get_bool(),
        .subdirectory = {}};
  } else {
    const std::string version = text_of(entry, "version");
    if (!version.starts_with("==")) {
      return Error(Code::invalid, "{}: {} has version '{}', want '==…'", printable(file),
                   package.name, printable(version))
          .hint("lock again: `pipenv lock`");
    }
    package.version = version.substr(2);
    std::vector<std::string>& hashes = out.hashes[package.name];
    const json::value* list = entry.if_contains("hashes");
    if (list != nullptr && list->is_array())
      for (const json::value& hash : list->get_array())
        if (const json::string* text = hash.if_string())
          hashes.push_back(to_lower({text->data(), text->size()}));
  }
  out.lock.packages.push_back(std::move(package));
  return {};
}

// Takes what of the page may be installed.
void take_files(const std::vector<IndexFile>& files, const std::vector<std::string>& hashes,
                LockedPackage& package) {
  for (const IndexFile& file : files) {
    const bool allowed = std::any_of(file.hashes.begin(), file.hashes.end(), [&](const auto& hash) {
      return contains(hashes, fmt::format("{}:{}", hash.first, hash.second));
    });
    if (!allowed) continue;
    if (file.name.ends_with(".whl"))
      package.wheels.push_back(file.locked());
    else if (!package.sdist)
      package.sdist = file.locked();
  }
}

}  // namespace

Result<ForeignLock> read_poetry_lock(std::string_view text, std::string_view file,
                                     const ForeignLockOptions& options) {
  const toml::Value root = TRY(toml::parse(text, file));
  return PoetryReader(file, options).read(root);
}

Result<ForeignLock> read_pipfile_lock(std::string_view text, std::string_view file,
                                      const ForeignLockOptions& options) {
  boost::system::error_code failed;
  const json::value root = json::parse({text.data(), text.size()}, failed);
  if (failed || !root.is_object()) {
    return Error(Code::invalid, "{}: not valid JSON: {}", printable(file),
                 failed ? failed.message() : "no object");
  }
  const json::value* meta = root.get_object().if_contains("_meta");
  if (meta == nullptr || !meta->is_object())
    return Error(Code::invalid, "{}: has no '_meta'", printable(file));
  MarkerEnvironment environment;
  environment.target = options.target;
  ForeignLock out;
  for (const char* section : {"default", "develop"}) {
    // A package of both sections is in both with the same version.
    if (std::string_view(section) == "develop" && !options.default_groups &&
        !contains(options.groups, "develop"))
      continue;
    const json::value* list = root.get_object().if_contains(section);
    if (list == nullptr || !list->is_object()) continue;
    for (const auto& entry : list->get_object()) {
      if (!entry.value().is_object()) continue;
      const std::string name(entry.key());
      const bool known =
          std::any_of(out.lock.packages.begin(), out.lock.packages.end(),
                      [&](const LockedPackage& p) { return p.name == normalize_name(name); });
      if (known) continue;
      TRY(read_pipfile_package(file, name, entry.value().get_object(), environment, out));
    }
  }
  return out;
}

Result<Lock> find_addresses(const ForeignLock& foreign, http::Client* client,
                            std::string_view index_url) {
  Lock out = foreign.lock;
  for (LockedPackage& package : out.packages) {
    const auto hashes = foreign.hashes.find(package.name);
    if (hashes == foreign.hashes.end()) continue;
    if (hashes->second.empty()) {
      return Error(Code::corrupt, "{} {} has no hashes in the lock", package.name, package.version);
    }
    if (client == nullptr || index_url.empty()) {
      return Error(Code::unavailable, "the lock does not say where {} {} is, and no index is known",
                   package.name, package.version)
          .hint("set UV_DEFAULT_INDEX, or leave out --offline");
    }
    const std::string& index = package.index.empty() ? std::string(index_url) : package.index;
    const std::vector<IndexFile> files = TRY(fetch_index_page(*client, index, package.name));
    take_files(files, hashes->second, package);
    if (package.wheels.empty() && !package.sdist) {
      return Error(Code::corrupt, "the index has no file of {} {} with a hash of the lock",
                   package.name, package.version);
    }
  }
  return out;
}

}  // namespace kist::python
