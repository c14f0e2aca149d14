// Reading locks. Everything in here comes from a file that a stranger may have written.
#include "python/pylock.h"

#include <algorithm>

#include "base/text.h"
#include "http/address.h"
#include "http/client.h"
#include "python/pylock_kist.h"
#include "python/versions.h"
#include "toml/toml.h"

namespace kist::python {
namespace {

using toml::Fields;

constexpr size_t kMaxFileNameBytes = 255;

bool is_safe_file_name(std::string_view name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' || c == '\\';
  });
  return !name.empty() && name != "." && name != ".." && name.size() <= kMaxFileNameBytes &&
         !control && is_valid_utf8(name);
}

// The user of an ssh address is part of where it leads ("git@"), not a secret.
std::string without_password(const std::string& url) {
  const auto [bare, credentials] = http::split_credentials(url);
  const size_t scheme = bare.find("ssh://");
  if (scheme == std::string::npos || credentials.empty()) return bare;
  const std::string user = credentials.substr(0, credentials.find(':'));
  return std::string(bare).insert(scheme + std::string_view("ssh://").size(), user + "@");
}

// One class, since what a package may say depends on what the lock said before it.
class Reader {
 public:
  Reader(std::string_view file, std::vector<std::string>& warnings)
      : file_(file), warnings_(warnings) {}

  Result<Lock> read(const toml::Value& root) {
    Fields fields = TRY(Fields::of(root, file_));
    TRY(check_version(fields));
    Lock lock;
    lock.environments = TRY(fields.optional_strings("environments"));
    lock.requires_python = TRY(fields.optional_string("requires-python"));
    lock.extras = TRY(read_names(fields, "extras"));
    lock.dependency_groups = TRY(read_names(fields, "dependency-groups"));
    lock.default_groups = TRY(read_names(fields, "default-groups"));
    lock.created_by = TRY(fields.optional_string("created-by"));
    if (!fields.has("packages")) return fields.error("packages", "'packages' is missing");
    std::vector<Fields> packages = TRY(fields.optional_tables("packages"));
    lock.packages.reserve(packages.size());
    for (Fields& entry : packages) {
      LockedPackage package = TRY(read_package(entry));
      lock.packages.push_back(std::move(package));
    }
    std::optional<Fields> tool = TRY(fields.optional_table("tool"));
    if (!tool) return lock;
    std::optional<Fields> kist = TRY(tool->optional_table("kist"));
    if (kist) lock.kist = TRY(read_kist_section(*kist));
    return lock;
  }

 private:
  Result<void> check_version(Fields& fields) {
    const std::string text = TRY(fields.string("lock-version"));
    const auto version = Version::parse(text);
    if (!version || version->release().size() != 2)
      return fields.error("lock-version", "'lock-version' is '{}', want \"1.0\"", printable(text));
    if (version->release()[0] != 1) {
      return Error(Code::unsupported, "{}lock-version {} is not supported, only 1.0 (PEP 751)",
                   fields.where("lock-version"), printable(text))
          .hint("update kist, or write the lock with an older tool");
    }
    if (version->release()[1] != 0) {
      warnings_.push_back(
          fmt::format("{}lock-version {} is newer than 1.0; what it adds is ignored",
                      fields.where("lock-version"), printable(text)));
    }
    return {};
  }

  Result<LockedPackage> read_package(Fields& fields) {
    LockedPackage package;
    const std::string name = TRY(fields.string("name"));
    if (!is_valid_name(name)) {
      return fields.error("name", "'{}' is '{}', not a package name", fields.name("name"),
                          printable(name));
    }
    package.name = normalize_name(name);
    package.version = TRY(fields.optional_string("version"));
    if (!package.version.empty())
      TRY(Version::parse(package.version), "{}version of {}", fields.where("version"),
          package.name);
    package.marker = TRY(fields.optional_string("marker"));
    package.requires_python = TRY(fields.optional_string("requires-python"));
    const std::string index = TRY(fields.optional_string("index"));
    package.index = http::split_credentials(index).first;
    TRY(read_sources(fields, package));
    return package;
  }

  Result<void> read_sources(Fields& fields, LockedPackage& package) {
    std::optional<Fields> vcs = TRY(fields.optional_table("vcs"));
    if (vcs) package.vcs = TRY(read_vcs(*vcs));
    std::optional<Fields> directory = TRY(fields.optional_table("directory"));
    if (directory) package.directory = TRY(read_directory(*directory));
    std::optional<Fields> archive = TRY(fields.optional_table("archive"));
    if (archive) package.archive = TRY(read_file(*archive));
    std::optional<Fields> sdist = TRY(fields.optional_table("sdist"));
    if (sdist) package.sdist = TRY(read_file(*sdist));
    std::vector<Fields> wheels = TRY(fields.optional_tables("wheels"));
    for (Fields& entry : wheels) {
      LockedFile wheel = TRY(read_file(entry));
      if (!wheel.name.ends_with(".whl")) {
        return entry.error("name", "'{}' is '{}', want a name that ends with '.whl'",
                           entry.name("name"), printable(wheel.name));
      }
      package.wheels.push_back(std::move(wheel));
    }
    std::vector<std::string_view> sources;
    if (package.vcs) sources.emplace_back("vcs");
    if (package.directory) sources.emplace_back("directory");
    if (package.archive) sources.emplace_back("archive");
    if (package.sdist || !package.wheels.empty()) sources.emplace_back("sdist and wheels");
    if (sources.size() == 1) return {};
    if (sources.empty()) {
      return fields.error("name", "{} has no source, want wheels, sdist, archive, vcs or directory",
                          package.name);
    }
    return fields.error("name", "{} has two sources, {} and {}, want one", package.name, sources[0],
                        sources[1]);
  }

  Result<LockedVcs> read_vcs(Fields& fields) {
    LockedVcs vcs;
    vcs.type = TRY(fields.string("type"));
    const std::string url = TRY(fields.optional_string("url"));
    vcs.url = without_password(url);
    vcs.path = TRY(fields.optional_string("path"));
    if (vcs.url.empty() && vcs.path.empty())
      return fields.error("url", "'{}' is missing", fields.name("url"));
    vcs.requested_revision = TRY(fields.optional_string("requested-revision"));
    vcs.commit_id = TRY(fields.string("commit-id"));
    vcs.subdirectory = TRY(subdirectory(fields));
    return vcs;
  }

  Result<LockedDirectory> read_directory(Fields& fields) {
    LockedDirectory directory;
    directory.path = TRY(fields.string("path"));
    if (directory.path.empty()) return fields.error("path", "'{}' is empty", fields.name("path"));
    const std::optional<bool> editable = TRY(fields.optional_boolean("editable"));
    directory.editable = editable.value_or(false);
    directory.subdirectory = TRY(subdirectory(fields));
    return directory;
  }

  // "." is how uv writes "none".
  static Result<std::string> subdirectory(Fields& fields) {
    std::string path = TRY(fields.optional_string("subdirectory"));
    for (const std::string_view part : split(path, '/')) {
      if (part != ".." && !path.starts_with('/')) continue;
      return fields.error("subdirectory", "'{}' is '{}', which leads out of the source",
                          fields.name("subdirectory"), printable(path));
    }
    return path == "." ? std::string() : path;
  }

  Result<LockedFile> read_file(Fields& fields) {
    LockedFile file;
    file.url = TRY(fields.optional_string("url"));
    file.path = TRY(fields.optional_string("path"));
    if (file.url.empty() && file.path.empty())
      return fields.error("url", "'{}' is missing", fields.name("url"));
    if (!file.url.empty()) TRY(clean_url(fields, file));
    file.name = TRY(fields.optional_string("name"));
    if (file.name.empty()) {
      file.name = file.url.empty() ? file.path.substr(file.path.rfind('/') + 1)
                                   : http::file_name_of_url(file.url);
    }
    if (!is_safe_file_name(file.name)) {
      return fields.error("name", "'{}' is '{}', not a file's name", fields.name("name"),
                          printable(file.name));
    }
    file.size_bytes = TRY(fields.optional_size("size"));
    file.upload_time = TRY(fields.optional_date_time("upload-time"));
    file.subdirectory = TRY(subdirectory(fields));
    TRY(read_hashes(fields, file));
    return file;
  }

  static Result<void> clean_url(Fields& fields, LockedFile& file) {
    file.path.clear();
    const std::string scheme = to_lower(file.url.substr(0, file.url.find(':')));
    if (scheme != "https" && scheme != "http" && scheme != "file") {
      return fields.error("url", "'{}' is '{}', want an address with https, http or file",
                          fields.name("url"), printable(http::redact(file.url)));
    }
    file.url = http::split_credentials(file.url).first;
    file.url.resize(std::min(file.url.find('#'), file.url.size()));
    return {};
  }

  static Result<void> read_hashes(Fields& fields, LockedFile& file) {
    const auto hashes = TRY(fields.optional_string_table("hashes"));
    if (hashes.empty())
      return fields.error("hashes", "'{}' is missing or empty", fields.name("hashes"));
    for (const auto& [algorithm, value] : hashes) {
      const std::string lower = to_lower(value);
      const bool hex = lower.find_first_not_of("0123456789abcdef") == std::string::npos;
      if (!hex || lower.empty() || (algorithm == "sha256" && !oci::Digest::parse_hex(lower))) {
        return fields.error("hashes", "'{}.{}' is '{}', not a hash", fields.name("hashes"),
                            printable(algorithm), printable(value));
      }
      file.hashes[to_lower(algorithm)] = lower;
    }
    return {};
  }

  std::string_view file_;
  std::vector<std::string>& warnings_;
};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::optional<oci::Digest> LockedFile::sha256() const {
  const auto found = hashes.find("sha256");
  if (found == hashes.end()) return std::nullopt;
  const auto digest = oci::Digest::parse_hex(found->second);
  return digest ? std::optional<oci::Digest>(*digest) : std::nullopt;
}

Result<Lock> parse_lock(std::string_view text, std::string_view file,
                        std::vector<std::string>& warnings) {
  const toml::Value root = TRY(toml::parse(text, file));
  return Reader(file, warnings).read(root);
}

bool is_program_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kMaxFileNameBytes * 4) return false;
  const auto parts = split(path.substr(1), '/');
  return parts.size() > 1 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() && part != "." && part != ".." &&
           std::all_of(part.begin(), part.end(), [](char c) { return c > ' ' && c < 0x7f; });
  });
}

std::string normalize_name(std::string_view name) {
  std::string out;
  for (const char c : to_lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator)
      out += c;
    else if (out.empty() || out.back() != '-')
      out += '-';
  }
  return out;
}

bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxFileNameBytes) return false;
  if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace kist::python
