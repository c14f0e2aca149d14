// [tool.kist] of a lock.
#include "python/pylock_kist.h"

#include "base/text.h"
#include "http/client.h"
#include "python/tags.h"
#include "python/versions.h"

namespace kist::python {
namespace {

using toml::Fields;

Result<oci::Digest> digest(Fields& fields, std::string_view key) {
  const std::string hex = TRY(fields.string(key));
  const auto parsed = oci::Digest::parse_hex(hex);
  if (!parsed)
    return fields.error(key, "'{}' is '{}', want 64 hex digits", fields.name(key),
                        printable(hex));
  return *parsed;
}

Result<LockedInterpreter> read_interpreter(Fields& fields) {
  LockedInterpreter out;
  const std::string url = TRY(fields.optional_string("url"));
  out.url = http::split_credentials(url).first;
  out.path = TRY(fields.optional_string("path"));
  if (out.url.empty() == out.path.empty())
    return fields.error("url", "'{}' needs either 'url' or 'path'", fields.path());
  out.size_bytes = TRY(fields.optional_size("size"));
  out.sha256 = TRY(digest(fields, "sha256"));
  TRY(fields.no_others());
  return out;
}

// The path becomes one of a tree's, and a line of pyvenv.cfg.
Result<LockedImage> read_image(Fields& fields) {
  LockedImage out;
  const std::string digest = TRY(fields.string("digest"));
  const auto parsed = oci::Digest::parse(digest);
  if (!parsed) return fields.error("digest", "'{}': {}", fields.name("digest"), parsed.error().message());
  out.digest = *parsed;
  out.python = TRY(fields.optional_string("python"));
  if (!out.python.empty() && !is_program_path(out.python))
    return fields.error("python", "'{}' is '{}', want an absolute path such as \"/usr/bin/python3.11\"",
                        fields.name("python"), printable(out.python));
  out.libc = TRY(fields.string("libc"));
  Target target;
  const auto libc = set_libc(out.libc, target);
  if (!libc) return fields.error("libc", "'{}': {}", fields.name("libc"), libc.error().message());
  TRY(fields.no_others());
  return out;
}

// A text that becomes part of a file name or an address.
Result<std::string> word(Fields& fields, std::string_view key) {
  const std::string text = TRY(fields.string(key));
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~:_/";
  if (!text.empty() && text.find_first_not_of(kAllowed) == std::string::npos) return text;
  return fields.error(key, "'{}' is '{}', want letters, digits and any of .+-~:_/",
                      fields.name(key), printable(text));
}

// They become lines of a requirements file: nothing but a name and a version may be in them.
Result<LockedBuildRequirement> read_build_requirement(Fields& fields) {
  LockedBuildRequirement out;
  out.package = TRY(fields.string("package"));
  out.name = TRY(fields.string("name"));
  out.version = TRY(fields.string("version"));
  for (const auto& [key, name] : {std::pair("package", &out.package), std::pair("name", &out.name)}) {
    if (!is_valid_name(*name))
      return fields.error(key, "'{}' is '{}', want a package's name", fields.name(key), printable(*name));
    *name = normalize_name(*name);
  }
  const auto version = Version::parse(out.version);
  if (!version)
    return fields.error("version", "'{}' is '{}', want a version", fields.name("version"),
                        printable(out.version));
  out.version = version->string();
  out.sha256 = TRY(digest(fields, "sha256"));
  TRY(fields.no_others());
  return out;
}

Result<LockedDebianPackage> read_debian(Fields& fields) {
  LockedDebianPackage out;
  out.name = TRY(word(fields, "name"));
  out.version = TRY(word(fields, "version"));
  out.architecture = TRY(word(fields, "architecture"));
  out.suite = TRY(word(fields, "suite"));
  out.component = TRY(word(fields, "component"));
  out.path = TRY(word(fields, "path"));
  for (const std::string_view part : split(out.path, '/')) {
    if (!part.empty() && part != "." && part != "..") continue;
    return fields.error("path", "'{}' is '{}', want a path below the mirror", fields.name("path"),
                        printable(out.path));
  }
  const std::optional<uint64_t> size = TRY(fields.optional_size("size"));
  if (!size) return fields.error("size", "'{}' is missing", fields.name("size"));
  out.size_bytes = *size;
  out.sha256 = TRY(digest(fields, "sha256"));
  const std::optional<bool> tool = TRY(fields.optional_boolean("tool"));
  out.tool = tool.value_or(false);
  TRY(fields.no_others());
  return out;
}

Result<void> read_builds(Fields& fields, KistSection& kist) {
  kist.builds = TRY(read_names(fields, "builds"));
  std::vector<Fields> requirements = TRY(fields.optional_tables("build-requirements"));
  for (Fields& entry : requirements) {
    LockedBuildRequirement requirement = TRY(read_build_requirement(entry));
    kist.build_requirements.push_back(std::move(requirement));
  }
  std::vector<Fields> debian = TRY(fields.optional_tables("build-debian"));
  for (Fields& entry : debian) {
    LockedDebianPackage package = TRY(read_debian(entry));
    kist.build_debian.push_back(std::move(package));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> read_names(Fields& fields, std::string_view key) {
  std::vector<std::string> out = TRY(fields.optional_strings(key));
  for (std::string& name : out) {
    if (!is_valid_name(name))
      return fields.error(key, "'{}' has '{}', not a name", fields.name(key), printable(name));
    name = normalize_name(name);
  }
  return out;
}

Result<KistSection> read_kist_section(Fields& fields) {
  const std::optional<int64_t> version = TRY(fields.optional_integer("version"));
  if (!version) return fields.error("version", "'{}' is missing", fields.name("version"));
  if (*version > KistSection::kVersion) {
    return Error(Code::unsupported,
                 "{}this lock was written by a later kist: [tool.kist] has version {}, this kist "
                 "reads up to {}",
                 fields.where("version"), *version, KistSection::kVersion)
        .hint("update kist, or lock again with this one: `kist lock`");
  }
  KistSection kist;
  const std::optional<uint64_t> recipe = TRY(fields.optional_size("recipe"));
  if (recipe.value_or(0) > UINT32_MAX)
    return fields.error("recipe", "'{}' is too large", fields.name("recipe"));
  kist.recipe = static_cast<uint32_t>(recipe.value_or(0));
  kist.environment = TRY(fields.string("environment"));
  kist.platform = TRY(fields.string("platform"));
  kist.python = TRY(fields.string("python"));
  kist.base = TRY(fields.string("base"));
  kist.inputs = TRY(fields.string("inputs"));
  kist.source = TRY(fields.optional_string("source"));
  kist.gpu = TRY(fields.optional_string("gpu"));
  kist.requested = TRY(fields.optional_strings("requested"));
  kist.system = TRY(fields.optional_strings("system"));
  std::optional<Fields> image = TRY(fields.optional_table("image"));
  if (image) kist.image = TRY(read_image(*image));
  std::optional<Fields> interpreter = TRY(fields.optional_table("interpreter"));
  if (interpreter) kist.interpreter = TRY(read_interpreter(*interpreter));
  std::vector<Fields> debian = TRY(fields.optional_tables("debian"));
  for (Fields& entry : debian) {
    LockedDebianPackage package = TRY(read_debian(entry));
    kist.debian.push_back(std::move(package));
  }
  TRY(read_builds(fields, kist));
  TRY(fields.no_others());
  return kist;
}

}  // namespace kist::python
