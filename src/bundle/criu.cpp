#include "bundle/criu.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "base/text.h"
#include "bundle/cgroup_host.h"
#include "bundle/json_value.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kMostLogBytes = 256u << 20;
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

boost::json::array array_of(const std::vector<std::string>& strings) {
  boost::json::array out;
  for (const std::string& text : strings) out.emplace_back(text);
  return out;
}

// "Version: 3.17.1"; what a snapshot prints beside it does not matter.
bool is_new_enough(std::string_view text) {
  const size_t at = text.find("Version:");
  if (at == std::string_view::npos) return false;
  const auto numbers = split(trim(text.substr(at + 8)), '.');
  if (numbers.size() < 2) return false;
  const auto major = parse_number(numbers[0]);
  const size_t digits = std::min(numbers[1].find_first_not_of("0123456789"), numbers[1].size());
  const auto minor = parse_number(numbers[1].substr(0, digits));
  return major && minor && (*major > 3 || (*major == 3 && *minor >= 12));
}

}  // namespace

std::string externals_text(const Externals& externals) {
  return boost::json::serialize(boost::json::object{{"mounts", array_of(externals.mounts)},
                                                    {"streams", array_of(externals.streams)},
                                                    {"network", externals.network}});
}

Result<Externals> parse_externals(std::string_view text) {
  Externals out;
  Document document(text);
  const Value root = document.root();
  root["mounts"].to(out.mounts);
  root["streams"].to(out.streams);
  root["network"].to(out.network);
  if (out.streams.size() > 3) root["streams"].wrong("want at most 3, got {}", out.streams.size());
  for (const std::string& at : out.mounts)
    if (!at.starts_with('/')) root["mounts"].wrong("want absolute paths, got '{}'", printable(at));
  if (document.error()) return *document.error();
  return out;
}

// "ID PARENT MAJOR:MINOR ROOT AT OPTIONS … - TYPE SOURCE OPTIONS", proc(5).
std::vector<SeenMount> parse_mounts(std::string_view mountinfo) {
  std::vector<SeenMount> out;
  for (const std::string_view line : lines(mountinfo)) {
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || dash == fields.end() || dash + 1 == fields.end()) continue;
    out.push_back({.id = parse_number(fields[0]).value_or(0),
                   .device = std::string(fields[2]),
                   .root = unescaped_path(fields[3]),
                   .at = unescaped_path(fields[4]),
                   .type = std::string(dash[1])});
  }
  return out;
}

std::vector<std::string> external_mounts(const std::vector<SeenMount>& inside, const std::vector<SeenMount>& host) {
  constexpr std::string_view kKnown[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue"};
  std::set<std::string> of_host;
  for (const SeenMount& mount : host) of_host.insert(mount.device);
  std::vector<std::string> out;
  for (const SeenMount& mount : inside) {
    if (mount.at == "/") continue;
    const bool known = std::find(std::begin(kKnown), std::end(kKnown), mount.type) != std::end(kKnown);
    if (!known || of_host.contains(mount.device)) out.push_back(mount.at);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<void> check_criu(const std::string& program) {
  if (::geteuid() != 0) return Error(Code::denied, "CRIU needs root").hint("`sudo kist runtime …`");
  const auto done = os::run({.args = {program, "--version"}, .env = {kPath}});
  if (!done || done->status != 0)
    return Error(Code::unsupported, "checkpoints need CRIU, and '{}' cannot be run", printable(program))
        .hint("install it (Debian: `apt-get install criu`), or name it: `kist runtime --criu PATH …`");
  if (!is_new_enough(done->out))
    return Error(Code::unsupported, "checkpoints need CRIU 3.12 or later, and '{}' says '{}'", printable(program),
                 printable(trim(done->out)));
  return {};
}

Result<void> check_criu_feature(const std::string& program, const char* feature) {
  const auto done = os::run({.args = {program, "check", "--feature", feature}, .env = {kPath}});
  if (done && done->status == 0) return {};
  return Error(Code::unsupported, "CRIU finds no '{}' in this kernel", feature)
      .hint(fmt::format("`{} check --extra` shows all that it finds", printable(program)));
}

Result<std::string> work_folder(const CriuOptions& options) {
  const std::string& wanted = options.work_folder.empty() ? options.image_folder : options.work_folder;
  TRY(os::make_folders(wanted, 0700), "the work folder");
  return os::real_path(wanted);
}

std::vector<std::string> criu_command(const char* verb, const CriuOptions& options, const std::string& work,
                                      const std::string& log) {
  std::vector<std::string> out = {options.program, verb,       "--images-dir", options.image_folder, "--work-dir", work,
                                  "--log-file",    log,        "-v4"};
  const auto add = [&](bool wanted, const char* flag) {
    if (wanted) out.emplace_back(flag);
  };
  add(options.tcp_established, "--tcp-established");
  add(options.external_sockets, "--ext-unix-sk");
  add(options.shell_job, "--shell-job");
  add(options.file_locks, "--file-locks");
  add(options.auto_dedup, "--auto-dedup");
  add(options.lazy_pages, "--lazy-pages");
  out.push_back("--manage-cgroups=" + (options.manage_cgroups.empty() ? "ignore" : options.manage_cgroups));
  for (const std::string& name : options.empty_namespaces) {
    out.emplace_back("--empty-ns");
    out.push_back(name == "network" ? "net" : name);
  }
  return out;
}

Error criu_failed(const char* verb, const std::string& log) {
  std::string why = "it says nothing of why";
  const auto text = os::read_file(log, kMostLogBytes);
  for (const std::string_view line : text ? lines(*text) : std::vector<std::string_view>()) {
    const size_t at = line.find("Error (");
    // The first is the cause, but for limits of its own that it could not raise.
    if (at == std::string_view::npos || line.find("rlimit") != std::string_view::npos) continue;
    why = printable(line.substr(at + 6));
    break;
  }
  return Error(Code::unavailable, "criu {}: {}", verb, why).hint(fmt::format("all that it says: {}", log));
}

}  // namespace kist::bundle
