#include "engine/image_config.h"

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/image_base.h"

namespace kist::engine {
namespace {

constexpr const char* kPath = "/opt/kist/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kUserName = "app";
constexpr const char* kHome = "/home/app";
constexpr uint32_t kUser = 10001;  // Above what distributions and hosts give to people.
constexpr std::string_view kLockInside = "opt/kist/pylock.kist.toml";
constexpr const char* kEpoch = "1980-01-01T00:00:00Z";  // store::kTreeTime
constexpr size_t kSecondsLength = 19;                   // "2024-12-04T17:35:26"

struct User {
  uint32_t uid = kUser;
  uint32_t gid = kUser;
};

User user_of(const python::ImageSettings& settings) {
  User user;
  if (settings.user.empty()) return user;
  const auto parts = split(settings.user, ':');
  user.uid = static_cast<uint32_t>(parse_number(parts[0]).value_or(kUser));
  user.gid = parts.size() > 1 ? static_cast<uint32_t>(parse_number(parts[1]).value_or(kUser)) : user.uid;
  return user;
}

Result<std::string> time_text(const std::string& epoch) {
  const auto seconds = parse_number(epoch);
  constexpr uint64_t kLastYear = 253402300799;  // 9999-12-31
  if (!seconds || *seconds > kLastYear)
    return Error(Code::invalid, "SOURCE_DATE_EPOCH is '{}', want seconds since 1970", printable(epoch));
  const time_t time = static_cast<time_t>(*seconds);
  struct tm parts = {};
  ::gmtime_r(&time, &parts);
  char text[32];
  const size_t length = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

// To the second, of a time of UTC as others have written it; empty when it is none. What is no day of a calendar
// would be the newest of all, and no program would read an image of that time.
std::string seconds_of(const std::string& time) {
  if (time.size() <= kSecondsLength || !(time.ends_with('Z') || time.ends_with("+00:00"))) return {};
  std::string text = time.substr(0, kSecondsLength);
  struct tm parts = {};
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return {};
  const time_t seconds = ::timegm(&parts);
  const auto again = seconds < 0 ? Result<std::string>(std::string()) : time_text(fmt::format("{}", seconds));
  return again && *again == text + "Z" ? text : std::string();
}

std::string newest_upload(const python::Lock& lock) {
  std::string newest;
  const auto see = [&](const python::LockedFile& file) { newest = std::max(newest, seconds_of(file.upload_time)); };
  for (const python::LockedPackage& package : lock.packages) {
    for (const python::LockedFile& wheel : package.wheels) see(wheel);
    if (package.sdist) see(*package.sdist);
    if (package.archive) see(*package.archive);
  }
  return newest.empty() ? kEpoch : newest + "Z";
}

Result<std::string> created_of(const ConfigRequest& request) {
  const auto epoch = request.variables.find("SOURCE_DATE_EPOCH");
  if (epoch != request.variables.end() && !epoch->second.empty()) return time_text(epoch->second);
  std::string newest = newest_upload(request.lock);
  if (request.base == nullptr) return newest;
  const std::string below = seconds_of(request.base->config.created);
  return below.empty() ? newest : std::max(newest, below + "Z");
}

// What a base image says of itself, which is not true of what stands on it.
bool is_about_itself(std::string_view label) {
  return label.starts_with("org.opencontainers.image.") || label.starts_with("org.label-schema.") ||
         label.starts_with("kist.");
}

Result<std::map<std::string, std::string>> labels_of(const ConfigRequest& request, const std::string& created) {
  const python::KistSection& kist = *request.lock.kist;
  const python::Target target = TRY(environment::target_of(request.lock));
  std::map<std::string, std::string> labels = {
      {"org.opencontainers.image.created", created},
      {"org.opencontainers.image.base.name", kist.base},
      {"kist.lock", oci::Sha256::of(request.lock_text).string()},
      {"kist.recipe", fmt::format("{}", kist.recipe)},
      {"kist.environment", kist.environment},
      {"kist.platform", kist.platform},
      {"kist.python", kist.python},
  };
  if (target.musl_minor != 0) labels["kist.musl"] = fmt::format("1.{}", target.musl_minor);
  else labels["kist.glibc"] = fmt::format("2.{}", target.glibc_minor);
  if (kist.image) labels["org.opencontainers.image.base.digest"] = kist.image->digest.string();
  if (request.base != nullptr)
    for (const auto& [name, value] : request.base->config.run.labels)
      if (!is_about_itself(name)) labels[name] = value;
  if (!kist.gpu.empty()) labels["kist.gpu"] = kist.gpu;
  if (request.inputs.pyproject) {
    const python::Pyproject& project = *request.inputs.pyproject;
    if (!project.name.empty()) labels["org.opencontainers.image.title"] = project.name;
    if (!project.version.empty()) labels["org.opencontainers.image.version"] = project.version;
  }
  for (const auto& [name, value] : request.inputs.project.image.labels) labels[name] = value;
  for (const auto& [name, value] : request.labels) labels[name] = value;
  return labels;
}

std::vector<std::string> env_of(const ConfigRequest& request) {
  std::map<std::string, std::string> env = {
      {"PATH", kPath},
      {"LANG", "C.UTF-8"},
      {"HOME", user_of(request.inputs.project.image).uid == 0 ? "/root" : kHome},
      {"VIRTUAL_ENV", "/opt/kist"},
      {"KIST_ENVIRONMENT", request.lock.kist->environment},
  };
  if (request.base != nullptr)
    for (const std::string& variable : environment::variables_of_image(request.base->config)) {
      const size_t equals = variable.find('=');
      env[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
  for (const auto& [name, value] : request.inputs.project.run.env) env[name] = value;
  for (const auto& [name, value] : request.inputs.project.image.env) env[name] = value;
  std::vector<std::string> out;
  for (const auto& [name, value] : env) out.push_back(fmt::format("{}={}", name, value));
  return out;
}

void inherit(const oci::RunConfig& base, oci::RunConfig& run) {
  run.stop_signal = base.stop_signal;
  run.shell = base.shell;
  run.volumes = base.volumes;
  run.exposed_ports.insert(run.exposed_ports.end(), base.exposed_ports.begin(), base.exposed_ports.end());
}

// Whether a line of passwd or group has this id in its third field.
bool has_id(std::string_view accounts, uint32_t id) {
  for (const std::string_view line : lines(accounts)) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && fields[2] == fmt::format("{}", id)) return true;
  }
  return false;
}

}  // namespace

Result<oci::ImageConfig> image_config(const ConfigRequest& request) {
  const python::ImageSettings& settings = request.inputs.project.image;
  oci::ImageConfig config;
  config.platform = TRY(oci::Platform::parse(request.lock.kist->platform));
  config.created = TRY(created_of(request));
  config.run.user = settings.user.empty() ? fmt::format("{}", kUser) : settings.user;
  config.run.working_dir = "/app";
  config.run.env = env_of(request);
  config.run.entrypoint = settings.entrypoint;
  config.run.cmd = settings.cmd;
  if (config.run.entrypoint.empty() && config.run.cmd.empty())
    config.run.cmd = {request.is_development ? request.shell : "python"};
  config.run.exposed_ports = settings.ports;
  if (request.base != nullptr) inherit(request.base->config.run, config.run);
  std::vector<std::string>& ports = config.run.exposed_ports;
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  config.run.labels = TRY(labels_of(request, config.created));
  return config;
}

Result<store::Tree> metadata_tree(const ConfigRequest& request, const store::Tree& environment,
                                  const std::function<Result<std::string>(const store::Entry&)>& read,
                                  store::ObjectSink& sink) {
  const User user = user_of(request.inputs.project.image);
  store::TreeBuilder builder(sink);
  for (const char* folder : {"etc", "home", "opt", "opt/kist"}) {
    const store::Entry* const there = environment.find(folder);
    builder.folder(folder, there == nullptr ? 0755 : there->mode);
  }
  TRY(builder.file(std::string(kLockInside), 0644, request.lock_text));
  const std::string shell = request.is_development ? request.shell : "/usr/sbin/nologin";
  const std::pair<const char*, std::string> accounts[] = {
      {"etc/passwd", fmt::format("{}:x:{}:{}::{}:{}\n", kUserName, user.uid, user.gid, kHome, shell)},
      {"etc/group", fmt::format("{}:x:{}:\n", kUserName, user.gid)}};
  for (const auto& [path, line] : accounts) {
    const store::Entry* const there = environment.find(path);
    if (there == nullptr) continue;
    const std::string text = TRY(read(*there));
    const bool is_known = has_id(text, path == std::string_view("etc/passwd") ? user.uid : user.gid);
    if (!is_known) TRY(builder.file(path, there->mode, text + line));
  }
  if (user.uid != 0) {
    store::Entry home;
    home.path = std::string(kHome).substr(1);
    home.kind = store::Kind::folder;
    home.mode = 0755;
    home.uid = user.uid;
    home.gid = user.gid;
    builder.add(std::move(home));
  }
  return std::move(builder).finish();
}

}  // namespace kist::engine
