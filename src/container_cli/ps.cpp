// kist ps
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/text.h"
#include "container_cli/inspected.h"
#include "container_cli/network_json.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "networks/live.h"
#include "networks/ports.h"

namespace kist::container_cli {
namespace {

using containers::Phase;
using containers::Status;

std::string about(int64_t span_ns) { return format::docker_duration(span_ns / 1'000'000'000); }

// As docker words it: "Up 2 minutes (healthy)", "Exited (0) 3 seconds ago".
std::string status_text(const Status& status, int64_t now) {
  const std::string health = status.health.empty() ? "" : fmt::format(" ({})", status.health == "starting" ? "health: starting" : status.health);
  switch (status.phase) {
    case Phase::created: return "Created";
    case Phase::running: return "Up " + about(now - status.started_ns) + health;
    case Phase::paused: return "Up " + about(now - status.started_ns) + " (Paused)";
    case Phase::restarting: return fmt::format("Restarting ({}) {} ago", status.exit_code, about(now - status.finished_ns));
    case Phase::exited:
      return status.finished_ns == 0 ? fmt::format("Exited ({})", status.exit_code)
                                     : fmt::format("Exited ({}) {} ago", status.exit_code, about(now - status.finished_ns));
    case Phase::dead: return "Dead";
  }
  return "";
}

std::string when(int64_t ns) {
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[64];
  return std::string(text, ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &parts));
}

bool is_on(const Here& here, const containers::Record& record, const std::string& wanted) {
  if (record.network == wanted) return true;
  const auto network = here.networks.find(wanted);
  return std::any_of(record.networks.begin(), record.networks.end(), [&](const auto& one) {
    return one.name == wanted || (network && (one.name == network->name || network->id.starts_with(one.name)));
  });
}

// "80", "80/udp", "80-90": ports of the host, or of the container.
Result<bool> has_port(const Here& here, const containers::Record& record, const Status& status, bool of_host,
                      const std::vector<std::string>& values) {
  std::vector<std::string> has;
  bool has_v6 = false;
  for (const auto& port : published_ports(here, record, status, has_v6))
    has.push_back(fmt::format("{}/{}", of_host ? port.host_port : port.container_port, port.protocol));
  if (!of_host) has.insert(has.end(), record.exposed_ports.begin(), record.exposed_ports.end());
  for (const std::string& value : values) {
    const auto wanted = TRY(networks::parse_expose(value), "--filter");
    for (const std::string& one : wanted)
      if (std::find(has.begin(), has.end(), one) != has.end()) return true;
  }
  return false;
}

std::string networks_text(const containers::Record& record) {
  if (!record.is_networked()) return record.network;
  std::vector<std::string> names;
  for (const auto& one : record.networks) names.push_back(one.name);
  return fmt::format("{}", fmt::join(names, ","));
}

// Values of filters that can only be one of a few.
Result<void> check_words(const Filters& filters) {
  constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"status", "created running paused restarting removing exited stopped dead"},
      {"health", "none starting healthy unhealthy"},
  };
  for (const auto& [key, text] : kWords) {
    const auto found = filters.find(std::string(key));
    if (found == filters.end()) continue;
    const auto words = split(text, ' ');
    for (const std::string& value : found->second)
      if (std::find(words.begin(), words.end(), value) == words.end())
        return Error(Code::invalid, "invalid filter '{}={}', want one of {}", key, printable(value), fmt::join(words, ", "));
  }
  if (const auto exited = filters.find("exited"); exited != filters.end())
    for (const std::string& value : exited->second)
      if (!parse_number(value)) return Error(Code::invalid, "invalid filter 'exited={}': not a number", printable(value));
  return {};
}

// A filter of one key; those of the same key are alternatives.
Result<bool> fits(const Here& here, const Status& status, const std::string& key, const std::vector<std::string>& values) {
  const auto any = [&](const auto& is) { return std::any_of(values.begin(), values.end(), is); };
  if (key == "id") return any([&](const std::string& v) { return matches(v, status.id); });
  if (key == "name") return any([&](const std::string& v) { return matches(v, status.name) || matches(v, "/" + status.name); });
  if (key == "status") return any([&](const std::string& v) { return name_of(status.phase) == (v == "stopped" ? "exited" : v); });
  if (key == "exited") return status.phase == Phase::exited && any([&](const std::string& v) { return v == fmt::format("{}", status.exit_code); });
  if (key == "health") return any([&](const std::string& v) { return (status.health.empty() ? "none" : status.health) == v; });
  if (key == "before" || key == "since") {
    for (const std::string& v : values) {
      const auto other = TRY(here.record(v));
      if (key == "before" ? status.created_ns >= other.created_ns : status.created_ns <= other.created_ns) return false;
    }
    return true;
  }
  const auto record = TRY(here.place.record(status.id));
  if (key == "ancestor")
    return any([&](const std::string& v) { return record.image == v || record.image_id == v || launch::image_name(record.image) == launch::image_name(v) || record.image_id.substr(7).starts_with(v); });
  if (key == "network") return any([&](const std::string& v) { return is_on(here, record, v); });
  if (key == "publish" || key == "expose") return has_port(here, record, status, key == "publish", values);
  if (key == "volume")
    return any([&](const std::string& v) {
      return std::any_of(record.mounts.begin(), record.mounts.end(), [&](const auto& m) { return m.source == v || m.destination == v; });
    });
  // Labels are the one key of which all are wanted.
  return fits_labels({{key, values}}, record.labels);
}

// As docker: "1.2kB (virtual 5.6MB)".
std::string size_text(const Here& here, const Status& status) {
  const auto record = here.place.record(status.id);
  const Sizes sizes = record ? sizes_of(here, *record) : Sizes();
  return fmt::format("{} (virtual {})", format::docker_size(sizes.written), format::docker_size(sizes.written + sizes.image));
}

constexpr std::string_view kUsual =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
constexpr std::string_view kUsualWithSize =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

boost::json::object titles() {
  return {{"Command", "COMMAND"}, {"CreatedAt", "CREATED AT"}, {"ID", "CONTAINER ID"}, {"Image", "IMAGE"},
          {"Labels", "LABELS"},   {"LocalVolumes", "LOCAL VOLUMES"}, {"Mounts", "MOUNTS"}, {"Names", "NAMES"},
          {"Networks", "NETWORKS"}, {"Ports", "PORTS"}, {"RunningFor", "CREATED"}, {"Size", "SIZE"},
          {"State", "STATE"}, {"Status", "STATUS"}};
}

// What costs something to find out, and is not in every list.
struct Wanted {
  bool record = false;
  bool size = false;
};

Wanted wanted_of(const cli::Parsed& parsed) {
  const std::string format = parsed.value("--format");
  const auto names = [&](std::string_view field) { return format.find(field) != std::string::npos; };
  const bool all = names("json");
  return {.record = all || names("Label") || names("Mounts") || names("LocalVolumes") || names("Networks"),
          .size = all || parsed.has("--size") || names("Size")};
}

// The names of volumes and the folders of the host, shortened as docker does.
std::string mounts_text(const containers::Record& record, bool whole) {
  constexpr size_t kWidth = 15;
  std::string out;
  for (const auto& mount : record.mounts) {
    if (mount.type == "tmpfs") continue;
    std::string source = mount.source;
    if (!whole && source.size() > kWidth) source = source.substr(0, kWidth - 1) + "…";
    out += (out.empty() ? "" : ",") + source;
  }
  return out;
}

size_t volume_count(const containers::Record& record) {
  return static_cast<size_t>(std::count_if(record.mounts.begin(), record.mounts.end(),
                                           [](const auto& mount) { return mount.type == "volume"; }));
}

std::string command_text(const std::string& command, bool whole) {
  constexpr size_t kWidth = 20;
  std::string text = printable(command, SIZE_MAX);
  if (!whole && text.size() > kWidth) text = printable(command, kWidth - 1);
  return fmt::format("\"{}\"", text);
}

format::ListingRow row_with(const Here& here, const Status& status, const Wanted& wanted, bool whole, int64_t now) {
  format::ListingRow row;
  row.fields = {{"ID", whole ? status.id : status.id.substr(0, 12)},
                {"Image", printable(status.image)},
                {"Command", command_text(status.command, whole)},
                {"CreatedAt", when(status.created_ns)},
                {"RunningFor", about(now - status.created_ns) + " ago"},
                {"Ports", status.is_alive() ? status.ports : ""},
                {"State", std::string(name_of(status.phase))},
                {"Status", status_text(status, now)},
                {"Names", status.name},
                {"Size", wanted.size ? size_text(here, status) : "0B"},
                {"Labels", ""},
                {"LocalVolumes", "0"},
                {"Mounts", ""},
                {"Networks", ""}};
  const auto record = wanted.record ? here.place.record(status.id) : Result<containers::Record>(containers::Record());
  if (!wanted.record || !record) return row;
  row.fields["Labels"] = labels_text(record->labels);
  row.fields["LocalVolumes"] = fmt::format("{}", volume_count(*record));
  row.fields["Mounts"] = mounts_text(*record, whole);
  row.fields["Networks"] = networks_text(*record);
  row.labels = labels_object(record->labels);
  return row;
}

Result<int64_t> count_of(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return Error(Code::invalid, "--last: '{}' is not a number", printable(text));
}

// podman's --sort.
Result<void> sort_by(const std::string& field, std::vector<Status>& found) {
  const auto by = [&](const auto& key) {
    std::stable_sort(found.begin(), found.end(), [&](const Status& a, const Status& b) { return key(a) < key(b); });
    return Result<void>();
  };
  if (field == "newest") return {};
  if (field == "names") return by([](const Status& s) { return s.name; });
  if (field == "id") return by([](const Status& s) { return s.id; });
  if (field == "image") return by([](const Status& s) { return s.image; });
  if (field == "command") return by([](const Status& s) { return s.command; });
  if (field == "status") return by([](const Status& s) { return std::string(name_of(s.phase)); });
  if (field == "created") return by([](const Status& s) { return s.created_ns; });
  return Error(Code::invalid, "--sort: '{}' is not one of names, id, image, command, status, created", printable(field));
}

Result<std::vector<Status>> statuses(const cli::Parsed& parsed, const Here& here) {
  const auto filters = TRY(container_filters(parsed));
  int64_t count = parsed.has("--latest") ? 1 : -1;
  if (parsed.has("--last")) count = TRY(count_of(parsed.value("--last")));
  // As docker: none, or fewer, is no wish.
  const bool last = count > 0;
  const bool all = parsed.has("--all") || last || filters.contains("status") || filters.contains("exited");
  std::vector<Status> out;
  const auto ids = TRY(here.place.ids());
  for (const std::string& id : ids) {
    auto status = here.place.status(id);
    if (!status) continue;  // Being made, or being removed.
    if (!all && !status->is_alive() && status->phase != Phase::restarting) continue;
    const bool wanted = TRY(fits_container(here, *status, filters));
    if (wanted) out.push_back(std::move(*status));
  }
  std::stable_sort(out.begin(), out.end(), [](const Status& a, const Status& b) { return a.created_ns > b.created_ns; });
  if (!last) return out;
  if (out.size() > static_cast<size_t>(count)) out.resize(static_cast<size_t>(count));
  return out;
}

}  // namespace

Result<Filters> container_filters(const cli::Parsed& parsed) {
  auto filters = TRY(filters_of(parsed, {"id", "name", "status", "exited", "health", "label", "label!", "ancestor", "volume",
                                         "network", "publish", "expose", "before", "since"}));
  TRY(check_words(filters));
  return filters;
}

Result<bool> fits_container(const Here& here, const Status& status, const Filters& filters) {
  for (const auto& [key, values] : filters) {
    const bool fit = TRY(fits(here, status, key, values));
    if (!fit) return false;
  }
  return true;
}

boost::json::object container_fields(const Here& here, const Status& status) {
  return row_with(here, status, {.record = true, .size = false}, false, now_ns()).fields;
}

Result<int> ps_verb(const cli::Parsed& parsed, const Here& here) {
  // What killed containers have left goes when somebody looks.
  if (::geteuid() == 0) (void)networks::reconcile(here.networks).has_value();
  auto found = TRY(statuses(parsed, here));
  const bool whole = parsed.has("--no-trunc");
  if (parsed.has("--quiet")) {
    for (const Status& status : found) here.terminal.line(whole ? status.id : status.id.substr(0, 12));
    return 0;
  }
  TRY(sort_by(parsed.value("--sort", "newest"), found));
  const int64_t now = now_ns();
  const Wanted wanted = wanted_of(parsed);
  std::vector<format::ListingRow> rows;
  for (const Status& status : found) rows.push_back(row_with(here, status, wanted, whole, now));
  format::Listing listing = {.usual = kUsual, .titles = titles()};
  if (parsed.has("--size")) listing.usual = kUsualWithSize;
  listing.has_heading = !parsed.has("--noheading");
  TRY(print_listing(listing, rows, parsed.value("--format"), here.terminal));
  return 0;
}

}  // namespace kist::container_cli
