#include "python/project_file.h"

#include <algorithm>

#include "base/text.h"
#include "http/client.h"
#include "oci/reference.h"
#include "python/requirements.h"
#include "python/tags.h"
#include "python/versions.h"

namespace kist::python {
namespace {

using toml::Fields;

constexpr std::string_view kEnvironmentKeys[] = {
    "python", "inputs", "packages",       "system",      "base",       "platforms",
    "extras", "groups", "default-groups", "gpu-variant", "interpreter"};

bool is_environment_name(std::string_view name) {
  // It becomes part of a lock's file name, where PEP 751 allows no dot and we use '@'.
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

// The frames of `inner` below what the field is; so that the message says both.
template <class T>
Result<T> in_field(Result<T> result, const Fields& fields, std::string_view key) {
  if (result) return result;
  return std::move(result.error())
      .context(fmt::format("{}'{}'", fields.where(key), fields.name(key)));
}

class EnvironmentReader {
 public:
  EnvironmentReader(Fields& fields, EnvironmentSettings& out) : fields_(fields), out_(out) {}

  Result<void> read() {
    TRY(read_python());
    if (fields_.has("inputs")) out_.inputs = TRY(fields_.optional_strings("inputs"));
    std::vector<std::string> packages = TRY(fields_.optional_strings("packages"));
    for (const std::string& package : packages)
      TRY(in_field(parse_requirement(package), fields_, "packages"));
    append(out_.packages, std::move(packages));
    TRY(read_system());
    TRY(read_base());
    TRY(read_platforms());
    TRY(read_names("extras", out_.extras));
    TRY(read_names("groups", out_.groups));
    const auto defaults = TRY(fields_.optional_boolean("default-groups"));
    if (defaults) out_.default_groups = defaults;
    const std::string gpu = TRY(fields_.optional_string("gpu-variant"));
    if (!gpu.empty()) out_.gpu = gpu;
    if (gpu.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.") != std::string::npos) {
      return fields_.error("gpu-variant", "'{}' is '{}', want a variant such as 'cu126' or 'cpu'",
                           fields_.name("gpu-variant"), printable(gpu));
    }
    return read_interpreter_setting();
  }

 private:
  // An inherited list goes on; what is already in it is not repeated.
  static void append(std::vector<std::string>& to, std::vector<std::string> more) {
    for (std::string& text : more)
      if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(std::move(text));
  }

  Result<void> read_python() {
    const std::string python = TRY(fields_.optional_string("python"));
    if (python.empty()) return {};
    TRY(in_field(make_target("linux/amd64", python, 36), fields_, "python"));
    out_.python = python;
    return {};
  }

  Result<void> read_system() {
    std::vector<std::string> system = TRY(fields_.optional_strings("system"));
    for (const std::string& name : system) TRY(in_field(check_debian(name), fields_, "system"));
    append(out_.system, std::move(system));
    return {};
  }

  // Debian policy 5.6.1; "=version" is how apt pins one.
  static Result<void> check_debian(std::string_view name) {
    const std::string_view bare = name.substr(0, name.find('='));
    const bool valid = bare.size() >= 2 &&
                       bare.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.:") ==
                           std::string_view::npos &&
                       bare.front() != '-' && bare.front() != '+' && bare.front() != '.';
    if (valid) return {};
    return Error(Code::invalid, "'{}' is not the name of a Debian package", printable(name));
  }

  Result<void> read_base() {
    const std::string base = TRY(fields_.optional_string("base"));
    if (!fields_.has("base")) return {};
    const bool spaced = base.find_first_of(" \t\n") != std::string::npos;
    if (base.empty() || spaced || base == "debian:") {
      return fields_.error("base", "'{}' is '{}', want \"debian:SUITE\" or an image reference",
                           fields_.name("base"), printable(base));
    }
    if (is_image_base(base)) TRY(in_field(oci::Reference::parse(base), fields_, "base"));
    out_.base = base;
    return {};
  }

  Result<void> read_platforms() {
    if (!fields_.has("platforms")) return {};
    out_.platforms = TRY(fields_.optional_strings("platforms"));
    for (const std::string& platform : out_.platforms)
      TRY(in_field(make_target(platform, "3.11", 36), fields_, "platforms"));
    return {};
  }

  Result<void> read_names(std::string_view key, std::vector<std::string>& to) {
    std::vector<std::string> names = TRY(fields_.optional_strings(key));
    for (std::string& name : names) {
      if (!is_valid_name(name)) {
        return fields_.error(key, "'{}' has '{}', not a name", fields_.name(key), printable(name));
      }
      name = normalize_name(name);
    }
    append(to, std::move(names));
    return {};
  }

  // A path is one of the base image's own; a table names an archive.
  Result<void> read_interpreter_setting() {
    const toml::Value* value = fields_.optional_value("interpreter");
    if (value == nullptr) return {};
    if (value->as<std::string>() == nullptr) {
      std::optional<Fields> table = TRY(fields_.optional_table("interpreter"));
      out_.image_python.clear();
      return read_interpreters(*table);
    }
    const std::string path = TRY(fields_.string("interpreter"));
    if (!is_program_path(path))
      return fields_.error("interpreter", "'{}' is '{}', want {{ url = …, sha256 = … }}, or the path of a Python "
                           "in the image that `base` names, as \"/opt/conda/bin/python\"",
                           fields_.name("interpreter"), printable(path));
    if (!is_image_base(out_.base))
      return fields_.error("interpreter", "'{}' is '{}', a path in an image, and `base` names no image",
                           fields_.name("interpreter"), printable(path));
    out_.image_python = path;
    out_.interpreters.clear();
    return {};
  }

  // One archive, or a table with one for each platform.
  Result<void> read_interpreters(Fields& fields) {
    out_.interpreters.clear();
    const auto& keys = fields.table().entries();
    const bool by_platform = std::any_of(keys.begin(), keys.end(), [](const auto& entry) {
      return entry.first.find('/') != std::string::npos;
    });
    for (const char* platform : {"linux/amd64", "linux/arm64"}) {
      std::optional<Fields> one = TRY(fields.optional_table(platform));
      if (!one) continue;
      LockedInterpreter interpreter = TRY(read_interpreter(*one));
      out_.interpreters.emplace(platform, std::move(interpreter));
    }
    if (by_platform) return fields.no_others();
    LockedInterpreter interpreter = TRY(read_interpreter(fields));
    out_.interpreters.emplace("", std::move(interpreter));
    return {};
  }

  static Result<LockedInterpreter> read_interpreter(Fields& fields) {
    LockedInterpreter interpreter;
    const std::string url = TRY(fields.string("url"));
    if (!http::split_credentials(url).second.empty())
      return fields.error("url", "'{}' holds credentials; keep them in netrc", fields.name("url"));
    const size_t scheme = url.find("://");
    (scheme == std::string::npos ? interpreter.path : interpreter.url) = url;
    const std::string_view name = std::string_view(url).substr(0, scheme);
    if (url.empty() || (scheme != std::string::npos && name != "https" && name != "http" && name != "file"))
      return fields.error("url", "'{}' is '{}', want an address of https, http or file, or a path",
                          fields.name("url"), printable(url));
    const std::string hex = TRY(fields.string("sha256"));
    interpreter.sha256 = TRY(in_field(oci::Digest::parse_hex(hex), fields, "sha256"));
    interpreter.size_bytes = TRY(fields.optional_size("size"));
    TRY(fields.no_others());
    return interpreter;
  }

  Fields& fields_;
  EnvironmentSettings& out_;
};

Result<void> read_environments(Fields& fields, ProjectFile& out) {
  EnvironmentSettings& base = out.environments["default"];
  std::optional<Fields> root = TRY(fields.optional_table("environment"));
  if (!root) return {};
  TRY(EnvironmentReader(*root, base).read());
  for (const auto& [name, value] : root->table().entries()) {
    const bool is_key = std::find(std::begin(kEnvironmentKeys), std::end(kEnvironmentKeys), name) !=
                        std::end(kEnvironmentKeys);
    if (is_key || value.as<toml::Table>() == nullptr) continue;
    if (!is_environment_name(name) || name == "default") {
      return root->error(name,
                         "'{}' is not a name for a further environment, want lower-case "
                         "letters, digits, '-', '_', and not 'default'",
                         printable(name));
    }
    std::optional<Fields> table = TRY(root->optional_table(name));
    EnvironmentSettings settings = base;
    settings.name = name;
    TRY(EnvironmentReader(*table, settings).read());
    TRY(table->no_others());
    out.environments[name] = std::move(settings);
  }
  return root->no_others();
}

Result<void> read_env(Fields& run, std::vector<std::pair<std::string, std::string>>& out) {
  std::optional<Fields> env = TRY(run.optional_table("env"));
  if (!env) return {};
  for (const auto& [name, value] : env->table().entries()) {
    if (name.empty() || name.find('=') != std::string::npos)
      return env->error(name, "'{}' is not a variable's name", printable(name));
    const std::string text = TRY(env->string(name));
    out.emplace_back(name, text);
  }
  return {};
}

Result<void> read_ports(Fields& run, RunSettings& out) {
  const toml::Value* ports = run.optional_value("ports");
  if (ports == nullptr) return {};
  const auto* array = ports->as<toml::Array>();
  if (array == nullptr)
    return run.error("ports", "'{}' is {}, want an array", run.name("ports"), ports->kind());
  for (const toml::Value& value : *array) {
    std::string text;
    if (const auto* number = value.as<int64_t>()) text = fmt::format("{}", *number);
    if (const auto* string = value.as<std::string>()) text = *string;
    const PortSetting port = TRY(in_field(parse_port(text), run, "ports"));
    out.ports.push_back(port);
  }
  return {};
}

Result<void> read_run(Fields& fields, RunSettings& out) {
  std::optional<Fields> run = TRY(fields.optional_table("run"));
  if (!run) return {};
  TRY(read_env(*run, out.env));
  const std::vector<std::string> mounts = TRY(run->optional_strings("mounts"));
  for (const std::string& text : mounts) {
    MountSetting mount = TRY(in_field(parse_mount(text), *run, "mounts"));
    out.mounts.push_back(std::move(mount));
  }
  TRY(read_ports(*run, out));
  const std::string memory = TRY(run->optional_string("memory"));
  if (run->has("memory")) out.memory_bytes = TRY(in_field(parse_memory(memory), *run, "memory"));
  out.network = TRY(run->optional_string("network"));
  return run->no_others();
}

Result<void> read_tasks(Fields& fields, ProjectFile& out) {
  std::optional<Fields> tasks = TRY(fields.optional_table("tasks"));
  if (!tasks) return {};
  for (const auto& [name, value] : tasks->table().entries()) {
    TaskSettings task{.name = name, .shell = {}, .arguments = {}};
    if (value.as<toml::Array>() != nullptr)
      task.arguments = TRY(tasks->optional_strings(name));
    else
      task.shell = TRY(tasks->string(name));
    if (name.empty() || (trim(task.shell).empty() && task.arguments.empty()))
      return tasks->error(name, "'{}' is empty, want a command", tasks->name(name));
    out.tasks.push_back(std::move(task));
  }
  return {};
}

// As an image names them: no port of a host, but a protocol.
Result<void> read_image_ports(Fields& image, std::vector<std::string>& out) {
  const toml::Value* ports = image.optional_value("ports");
  if (ports == nullptr) return {};
  const auto* array = ports->as<toml::Array>();
  if (array == nullptr)
    return image.error("ports", "'{}' is {}, want an array", image.name("ports"), ports->kind());
  for (const toml::Value& value : *array) {
    std::string text;
    if (const auto* number = value.as<int64_t>()) text = fmt::format("{}", *number);
    if (const auto* string = value.as<std::string>()) text = *string;
    const size_t slash = text.find('/');
    const auto port = parse_number(text.substr(0, slash));
    const std::string protocol = slash == std::string::npos ? "tcp" : text.substr(slash + 1);
    const bool is_known = protocol == "tcp" || protocol == "udp" || protocol == "sctp";
    if (!port || *port == 0 || *port > UINT16_MAX || !is_known)
      return image.error("ports", "'{}' has '{}', want \"PORT\" or \"PORT/udp\"", image.name("ports"),
                         printable(text));
    out.push_back(fmt::format("{}/{}", *port, protocol));
  }
  return {};
}

Result<void> read_image(Fields& fields, ImageSettings& out) {
  std::optional<Fields> image = TRY(fields.optional_table("image"));
  if (!image) return {};
  out.entrypoint = TRY(image->optional_strings("entrypoint"));
  out.cmd = TRY(image->optional_strings("cmd"));
  out.include = TRY(image->optional_strings("include"));
  TRY(read_env(*image, out.env));
  TRY(read_image_ports(*image, out.ports));
  out.labels = TRY(image->optional_string_table("labels"));
  const auto minimal = TRY(image->optional_boolean("minimal"));
  out.is_minimal = minimal.value_or(false);
  const toml::Value* user = image->optional_value("user");
  if (user == nullptr) return image->no_others();
  if (const auto* number = user->as<int64_t>()) out.user = fmt::format("{}", *number);
  if (const auto* text = user->as<std::string>()) out.user = *text;
  for (const std::string_view id : split(out.user, ':')) {
    const auto value = parse_number(id);
    if (value && *value < UINT32_MAX) continue;
    return image->error("user", "'{}' is not an id, want \"UID\" or \"UID:GID\" in numbers",
                        image->name("user"));
  }
  return image->no_others();
}

}  // namespace

bool is_image_base(std::string_view base) {
  return !base.empty() && (!base.starts_with("debian:") || base.find('@') != std::string_view::npos);
}

const LockedInterpreter* EnvironmentSettings::interpreter_for(const std::string& platform) const {
  auto found = interpreters.find(platform);
  if (found == interpreters.end()) found = interpreters.find("");
  return found == interpreters.end() ? nullptr : &found->second;
}

Result<EnvironmentSettings> ProjectFile::environment(std::string_view name) const {
  const auto found = environments.find(std::string(name));
  if (found != environments.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [candidate, settings] : environments) known.push_back(candidate);
  Error error(Code::not_found, "there is no environment '{}', only: {}", printable(name),
              fmt::join(known, ", "));
  if (const auto near = nearest(name, known))
    return std::move(error).hint(fmt::format("`--env {}`", *near));
  return error;
}

const TaskSettings* ProjectFile::task(std::string_view name) const {
  for (const TaskSettings& task : tasks)
    if (task.name == name) return &task;
  return nullptr;
}

Result<ProjectFile> parse_project_table(Fields fields) {
  ProjectFile out;
  TRY(read_environments(fields, out));
  TRY(read_run(fields, out.run));
  TRY(read_tasks(fields, out));
  TRY(read_image(fields, out.image));
  TRY(fields.no_others());
  return out;
}

Result<ProjectFile> parse_project_file(std::string_view text, std::string_view file) {
  const toml::Value root = TRY(toml::parse(text, file, {.bytes = 4u << 20}));
  Fields fields = TRY(Fields::of(root, file));
  return parse_project_table(std::move(fields));
}

Result<uint64_t> parse_memory(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  const std::string unit = to_lower(trim(text.substr(digits)));
  const size_t dot = std::min(number.find('.'), number.size());
  const auto whole = parse_number(number.substr(0, dot));
  const std::string_view fraction = dot < number.size() ? number.substr(dot + 1) : "0";
  const auto thousandths = parse_number(
      std::string(fraction.substr(0, 3)).append(3 - std::min<size_t>(3, fraction.size()), '0'));
  constexpr std::string_view kUnits = "bkmgt";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit.front());
  const bool known = unit.size() <= 1 || unit.substr(1) == "b" || unit.substr(1) == "ib";
  if (!whole || !thousandths || power == std::string_view::npos || !known ||
      *whole > (uint64_t{1} << 53)) {
    return Error(Code::invalid, "'{}' is not an amount of memory, want a number and k, m, g or t",
                 printable(text))
        .hint("write it as `8g`");
  }
  const uint64_t scale = uint64_t{1} << (10 * power);
  if (*whole > UINT64_MAX / scale / 2)
    return Error(Code::invalid, "'{}' is more memory than there can be", printable(text));
  return *whole * scale + *thousandths * scale / 1000;
}

Result<MountSetting> parse_mount(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error(Code::invalid, "'{}': {}", printable(text), why)
        .hint("write it as `SOURCE:/TARGET`, or `SOURCE:/TARGET:ro`");
  };
  std::vector<std::string_view> parts = split(text, ':');
  MountSetting out;
  if (parts.size() == 3) {
    if (parts[2] != "ro" && parts[2] != "rw")
      return wrong(fmt::format("'{}' is neither 'ro' nor 'rw'", printable(parts[2])));
    out.read_only = parts[2] == "ro";
    parts.pop_back();
  }
  if (parts.size() != 2 || parts[0].empty()) return wrong("want a source and a target");
  if (!parts[1].starts_with('/')) return wrong("the target is not absolute");
  out.source = parts[0];
  out.target = parts[1];
  return out;
}

Result<PortSetting> parse_port(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  std::vector<uint16_t> numbers;
  for (const std::string_view part : parts) {
    const auto number = parse_number(part);
    if (number && *number >= 1 && *number <= 65535)
      numbers.push_back(static_cast<uint16_t>(*number));
  }
  if (numbers.size() != parts.size() || numbers.size() > 2) {
    return Error(Code::invalid, "'{}' is not a port, want 1 to 65535, or HOST:CONTAINER",
                 printable(text));
  }
  return PortSetting{.host = numbers.front(), .container = numbers.back()};
}

}  // namespace kist::python
