// kist volume create, ls, inspect, exists, rm, prune
#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "container_cli/filters.h"
#include "container_cli/inspected.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "format/template.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;
using containers::Volume;

Result<void> read_pairs(const cli::Parsed& parsed, const char* flag, std::map<std::string, std::string>& out) {
  for (const std::string& text : parsed.values(flag)) {
    const size_t equals = std::min(text.find('='), text.size());
    if (equals == 0) return Error(Code::invalid, "{}: '{}' has no name before '='", flag, printable(text));
    out[text.substr(0, equals)] = equals < text.size() ? text.substr(equals + 1) : "";
  }
  return {};
}

json::value object_of(const std::map<std::string, std::string>& values) {
  if (values.empty()) return nullptr;
  json::object out;
  for (const auto& [key, value] : values) out[key] = value;
  return out;
}

json::object describe(const Here& here, const Volume& volume) {
  return {{"CreatedAt", format::rfc3339(volume.created_ns / 1'000'000'000)},
          {"Driver", volume.driver},
          {"Labels", object_of(volume.labels)},
          {"Mountpoint", here.volumes.data_path(volume)},
          {"Name", volume.name},
          {"Options", object_of(volume.options)},
          {"Scope", "local"}};
}

Result<bool> fits(const Here& here, const Volume& volume, const Filters& filters) {
  for (const auto& [key, values] : filters) {
    const auto any = [&](const auto& is) { return std::any_of(values.begin(), values.end(), is); };
    if (key == "name" && !any([&](const std::string& v) { return matches(v, volume.name); })) return false;
    if (key == "driver" && !any([&](const std::string& v) { return volume.driver == v; })) return false;
    if (key != "dangling") continue;
    if (values.back() != "true" && values.back() != "1" && values.back() != "false" && values.back() != "0")
      return Error(Code::invalid, "--filter dangling: '{}' is neither true nor false", printable(values.back()));
    const auto users = TRY(containers::users_of(here.place, volume.name));
    if (users.empty() != (values.back() == "true" || values.back() == "1")) return false;
  }
  return fits_labels(filters, volume.labels);
}

Result<void> remove_one(const Here& here, const std::string& name) {
  const auto lock = TRY(here.volumes.hold(os::FileLock::Mode::exclusive));
  const Volume volume = TRY(here.volumes.find(name));
  const auto users = TRY(containers::users_of(here.place, name));
  if (!users.empty())
    return Error(Code::invalid, "volume {} is in use - [{}]", name, fmt::join(users, ", "))
        .hint(fmt::format("`kist rm {}`", users[0].substr(0, 12)));
  TRY(here.volumes.remove(volume));
  containers::note_volume(here.place, name, "destroy", {{"driver", volume.driver}});
  return {};
}

}  // namespace

Result<int> volume_create_verb(const cli::Parsed& parsed, const Here& here) {
  Volume wanted;
  if (!parsed.positionals().empty()) wanted.name = parsed.positionals()[0];
  wanted.driver = parsed.value("--driver", "local");
  wanted.anonymous = wanted.name.empty();
  if (wanted.anonymous) wanted.labels["com.docker.volume.anonymous"] = "";
  TRY(read_pairs(parsed, "--label", wanted.labels));
  TRY(read_pairs(parsed, "--opt", wanted.options));
  const bool fresh = wanted.name.empty() || !here.volumes.exists(wanted.name);
  const auto lock = TRY(here.volumes.hold(os::FileLock::Mode::exclusive));
  const Volume volume = TRY(here.volumes.create(wanted));
  if (fresh) containers::note_volume(here.place, volume.name, "create", {{"driver", volume.driver}});
  here.terminal.line(volume.name);
  return 0;
}

Result<int> volume_list_verb(const cli::Parsed& parsed, const Here& here) {
  const Filters filters = TRY(filters_of(parsed, {"name", "label", "label!", "driver", "dangling"}));
  const auto all = TRY(here.volumes.list());
  std::vector<format::ListingRow> rows;
  for (const Volume& volume : all) {
    const bool wanted = TRY(fits(here, volume, filters));
    if (!wanted) continue;
    if (parsed.has("--quiet")) here.terminal.line(volume.name);
    format::ListingRow row;
    row.fields = {{"Availability", "N/A"},
                  {"Driver", volume.driver},
                  {"Group", "N/A"},
                  {"Labels", labels_text(volume.labels)},
                  {"Links", "N/A"},
                  {"Mountpoint", here.volumes.data_path(volume)},
                  {"Name", volume.name},
                  {"Scope", "local"},
                  {"Size", "N/A"},
                  {"Status", "N/A"}};
    row.labels = labels_object(volume.labels);
    rows.push_back(std::move(row));
  }
  if (parsed.has("--quiet")) return 0;
  format::Listing listing{
      .usual = "{{.Driver}}\t{{.Name}}",
      .titles = {{"Availability", "AVAILABILITY"}, {"Driver", "DRIVER"}, {"Group", "GROUP"}, {"Labels", "LABELS"},
                 {"Links", "LINKS"}, {"Mountpoint", "MOUNTPOINT"}, {"Name", "VOLUME NAME"}, {"Scope", "SCOPE"},
                 {"Size", "SIZE"}, {"Status", "STATUS"}}};
  listing.has_heading = !parsed.has("--noheading");
  TRY(print_listing(listing, rows, parsed.value("--format"), here.terminal));
  return 0;
}

Result<json::object> inspected_volume(const Here& here, const std::string& name) {
  const Volume volume = TRY(here.volumes.find(name));
  return describe(here, volume);
}

Result<int> volume_inspect_verb(const cli::Parsed& parsed, const Here& here) {
  return inspect_all(parsed, here, [&](const std::string& name) { return inspected_volume(here, name); });
}

Result<int> volume_exists_verb(const cli::Parsed& parsed, const Here& here) {
  return here.volumes.exists(parsed.positionals()[0]) ? 0 : 1;
}

Result<int> volume_remove_verb(const cli::Parsed& parsed, const Here& here) {
  int status = 0;
  for (const std::string& name : parsed.positionals()) {
    const bool passed_over = parsed.has("--force") && !here.volumes.exists(name);
    const auto removed = passed_over ? Result<void>() : remove_one(here, name);
    if (removed) {
      here.terminal.line(name);
      continue;
    }
    here.terminal.error(removed.error());
    status = 1;
  }
  return status;
}

Result<int> volume_prune_verb(const cli::Parsed& parsed, const Here& here) {
  const Filters filters = TRY(filters_of(parsed, {"label", "label!", "all"}));
  const auto all_filter = filters.find("all");
  const bool all = parsed.has("--all") || (all_filter != filters.end() && all_filter->second.back() != "false" &&
                                           all_filter->second.back() != "0");
  if (!confirm(parsed, here.terminal,
               all ? "This will remove all local volumes not used by at least one container."
                   : "This will remove anonymous local volumes not used by at least one container."))
    return 0;
  const Pruned pruned = TRY(prune_volumes(here, filters, all));
  print_pruned(here.terminal, "Deleted Volumes", pruned.removed, pruned.bytes);
  return 0;
}

Result<Pruned> prune_volumes(const Here& here, const Filters& filters, bool all) {
  const auto lock = TRY(here.volumes.hold(os::FileLock::Mode::exclusive));
  const auto volumes = TRY(here.volumes.list());
  Pruned out;
  for (const Volume& volume : volumes) {
    if ((!all && !volume.anonymous) || !fits_labels(filters, volume.labels)) continue;
    const auto users = TRY(containers::users_of(here.place, volume.name));
    if (!users.empty()) continue;
    // What a volume is bound to is not removed with it.
    const uint64_t bytes = volume.bound_folder().empty() ? bytes_below(here.volumes.data_path(volume)) : 0;
    if (!here.volumes.remove(volume)) continue;
    containers::note_volume(here.place, volume.name, "destroy", {{"driver", volume.driver}});
    out.removed.push_back(volume.name);
    out.bytes += bytes;
  }
  if (!out.removed.empty())
    containers::note_volume(here.place, "", "prune", {{"reclaimed", fmt::format("{}", out.bytes)}});
  return out;
}

}  // namespace kist::container_cli
