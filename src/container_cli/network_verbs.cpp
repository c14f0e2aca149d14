// kist network …
#include <algorithm>
#include <ctime>
#include <set>

#include "base/text.h"
#include "container_cli/network_flags.h"
#include "container_cli/inspected.h"
#include "container_cli/network_json.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "networks/live.h"

namespace kist::container_cli {
namespace {

using containers::Record;
using networks::Network;

constexpr std::string_view kBuiltIn[] = {"bridge", "host", "none"};
bool is_built_in(std::string_view name) { return std::find(std::begin(kBuiltIn), std::end(kBuiltIn), name) != std::end(kBuiltIn); }

Result<std::map<std::string, std::string>> pairs_of(const cli::Parsed& parsed, const char* flag) {
  std::map<std::string, std::string> out;
  for (const std::string& text : parsed.values(flag)) {
    const size_t equals = std::min(text.find('='), text.size());
    if (equals == 0) return Error(Code::invalid, "{}: '{}' has no name before '='", flag, printable(text));
    out[text.substr(0, equals)] = equals < text.size() ? text.substr(equals + 1) : "";
  }
  return out;
}

Result<void> must_be_root() {
  if (::geteuid() == 0) return {};
  return Error(Code::denied, "networks of containers need root")
      .hint("`--network pasta` gives a plain user's container a network and published ports");
}

Result<int> create(const cli::Parsed& parsed, const Here& here) {
  TRY(must_be_root());
  if (const std::string driver = parsed.value("--driver", "bridge"); driver != "bridge")
    return Error(Code::unsupported, "--driver: '{}' is not supported, only bridge", printable(driver));
  networks::Creation wanted;
  wanted.name = parsed.positionals()[0];
  wanted.ranges = {parsed.values("--subnet"), parsed.values("--gateway"), parsed.values("--ip-range")};
  wanted.wants_v6 = parsed.has("--ipv6");
  wanted.internal = parsed.has("--internal");
  wanted.attachable = parsed.has("--attachable");
  wanted.labels = TRY(pairs_of(parsed, "--label"));
  wanted.options = TRY(pairs_of(parsed, "--opt"));
  const Network network = TRY(networks::create_network(here.networks, wanted));
  here.terminal.line(network.id);
  return 0;
}

// docker lists the two that are none of ours too.
Network stand_in(std::string_view name) {
  Network out;
  out.name = name;
  out.id = std::string(64, name == "host" ? 'b' : 'a');
  return out;
}

// As docker's: it is as if it had always been there.
Result<Network> default_of(const Here& here) {
  const auto lock = TRY(here.networks.lock());
  const auto host = TRY(networks::Netlink::open());
  return networks::default_network(here.networks, host);
}

Result<std::vector<Network>> listed(const Here& here) {
  auto all = TRY(here.networks.all());
  const bool has_default = std::any_of(all.begin(), all.end(), [](const Network& one) { return one.is_default(); });
  // A store that cannot be written to is listed all the same.
  if (!has_default && ::geteuid() == 0)
    if (auto made = default_of(here)) all.push_back(std::move(*made));
  all.push_back(stand_in("host"));
  all.push_back(stand_in("none"));
  std::sort(all.begin(), all.end(), [](const Network& a, const Network& b) { return a.name < b.name; });
  return all;
}

std::string driver_of(const Network& network) {
  return network.ranges.empty() ? (network.name == "none" ? "null" : "host") : "bridge";
}

// Names and ids of networks that containers' records name, running or not.
std::set<std::string> named_by_containers(const Here& here) {
  std::set<std::string> out;
  const auto ids = here.place.ids();
  for (const std::string& id : ids ? *ids : std::vector<std::string>())
    if (const auto record = here.place.record(id))
      for (const auto& one : record->networks) out.insert(one.name);
  return out;
}

bool is_named(const std::set<std::string>& names, const Network& network) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == network.name || (name.size() >= 4 && network.id.starts_with(name));
  });
}

bool has_label(const Network& network, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto found = network.labels.find(wanted.substr(0, equals));
  return found != network.labels.end() && (equals == std::string::npos || found->second == wanted.substr(equals + 1));
}

Result<bool> fits(const Here& here, const Network& network, const std::string& key, const std::vector<std::string>& values) {
  const auto any = [&](const auto& is) { return std::any_of(values.begin(), values.end(), is); };
  if (key == "name") return any([&](const std::string& v) { return matches(v, network.name); });
  if (key == "id") return any([&](const std::string& v) { return network.id.starts_with(v); });
  if (key == "driver") return any([&](const std::string& v) { return driver_of(network) == v; });
  if (key == "scope") return any([&](const std::string& v) { return v == "local"; });
  if (key == "type") return any([&](const std::string& v) { return v == (is_built_in(network.name) ? "builtin" : "custom"); });
  if (key == "label")
    return std::all_of(values.begin(), values.end(), [&](const std::string& v) { return has_label(network, v); });
  if (key == "dangling") {
    const bool dangling = !is_built_in(network.name) && !is_named(named_by_containers(here), network);
    return any([&](const std::string& v) { return (v == "true" || v == "1") == dangling; });
  }
  return Error(Code::invalid, "--filter: '{}' is no key, want name, id, driver, label, scope, type or dangling", printable(key));
}

std::string time_text(int64_t ns) {
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[64];
  return std::string(text, ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &parts));
}

Result<int> list(const cli::Parsed& parsed, const Here& here) {
  if (::geteuid() == 0) TRY(networks::reconcile(here.networks));
  const auto filters = TRY(pairs_of(parsed, "--filter"));
  std::map<std::string, std::vector<std::string>> wanted;
  for (const std::string& text : parsed.values("--filter"))
    wanted[text.substr(0, text.find('='))].push_back(text.substr(std::min(text.find('=') + 1, text.size())));
  const bool whole = parsed.has("--no-trunc");
  const auto all = TRY(listed(here));
  std::vector<format::ListingRow> rows;
  for (const Network& network : all) {
    bool fit = true;
    for (const auto& [key, values] : wanted)
      if (fit) fit = TRY(fits(here, network, key, values));
    if (!fit) continue;
    const std::string id = whole ? network.id : network.short_id();
    if (parsed.has("--quiet")) {
      here.terminal.line(id);
      continue;
    }
    format::ListingRow row;
    row.fields = {{"ID", id}, {"Name", network.name}, {"Driver", driver_of(network)}, {"Scope", "local"},
                  {"IPv4", "true"}, {"IPv6", network.range(true) != nullptr ? "true" : "false"},
                  {"Internal", network.internal ? "true" : "false"}, {"Labels", labels_text(network.labels)},
                  {"CreatedAt", time_text(network.created_ns)}};
    row.labels = labels_object(network.labels);
    rows.push_back(std::move(row));
  }
  if (parsed.has("--quiet")) return 0;
  format::Listing listing{
      .usual = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
      .titles = {{"ID", "NETWORK ID"}, {"Name", "NAME"}, {"Driver", "DRIVER"}, {"Scope", "SCOPE"}, {"IPv4", "IPV4"},
                 {"IPv6", "IPV6"}, {"Internal", "INTERNAL"}, {"Labels", "LABELS"}, {"CreatedAt", "CREATED AT"}}};
  listing.has_heading = !parsed.has("--noheading");
  TRY(print_listing(listing, rows, parsed.value("--format"), here.terminal));
  return 0;
}

Result<Network> find(const Here& here, const std::string& name) {
  auto found = here.networks.find(name);
  if (found || found.error().code() != Code::not_found) return found;
  if (name == "host" || name == "none") return stand_in(name);
  if (name != networks::kDefaultNetwork || ::geteuid() != 0) return found;
  return default_of(here);
}

Result<void> remove_one(const Here& here, const Network& network) {
  if (is_built_in(network.name))
    return Error(Code::invalid, "{} is a pre-defined network and cannot be removed", network.name)
        .hint("`kist network prune` takes its bridge away until it is needed again");
  const auto lock = TRY(here.networks.lock());
  const auto host = TRY(networks::Netlink::open());
  TRY(networks::reconcile_locked(here.networks, host));
  const auto members = networks::members(here.networks, network.id);
  if (!members.empty())
    return Error(Code::invalid, "error while removing network: network {} has active endpoints (name: \"{}\" id: {})",
                 printable(network.name), printable(members.front().name), members.front().container.substr(0, 12))
        .hint(fmt::format("`kist network disconnect {} {}`, or stop the container", shell_quote(network.name),
                          shell_quote(members.front().name)));
  // The record last: while it is there, whoever comes after a crash can repeat this.
  TRY(networks::take_network_down(here.networks, host, network));
  return here.networks.remove(network);
}

Result<int> remove(const cli::Parsed& parsed, const Here& here) {
  TRY(must_be_root());
  int status = 0;
  for (const std::string& name : parsed.positionals()) {
    const auto network = find(here, name);
    if (!network && network.error().code() == Code::not_found && parsed.has("--force")) continue;
    const auto done = network ? remove_one(here, *network) : Result<void>(network.error());
    if (done) {
      here.terminal.line(name);
      continue;
    }
    here.terminal.error(done.error());
    status = 1;
  }
  return status;
}

Result<void> can_join(const Record& record) {
  // With a network namespace of its own it can, also after it was taken off the last network.
  if (record.is_networked() || record.network == "none") return {};
  return Error(Code::invalid, "container sharing network namespace with another container or host cannot be connected to any other network");
}

Result<int> connect(const cli::Parsed& parsed, const Here& here) {
  TRY(must_be_root());
  const Network network = TRY(find(here, parsed.positionals()[0]));
  if (network.ranges.empty())
    return Error(Code::invalid, "container cannot be connected to {} network after it was made", network.name);
  Record record = TRY(here.record(parsed.positionals()[1]));
  TRY(can_join(record));
  containers::NetworkRequest wish{network.name, parsed.values("--alias"), parsed.value("--ip"), parsed.value("--ip6"), ""};
  TRY(check_wish(wish));
  if (std::any_of(record.networks.begin(), record.networks.end(), [&](const auto& one) { return one.name == network.name || network.id.starts_with(one.name); }))
    return Error(Code::exists, "endpoint with name {} already exists in network {}", record.name, network.name);
  const auto status = TRY(here.place.status(record.id));
  if (status.is_alive()) {
    networks::AttachRequest request;
    request.container = record.id;
    request.name = record.name;
    request.hostname = record.hostname;
    request.folder = here.place.folder_of(record.id);
    TRY(networks::connect(here.networks, request, {wish.name, wish.aliases, wish.ipv4, wish.ipv6, wish.mac}, status.pid));
  }
  if (!record.is_networked()) record.network = wish.name;
  record.networks.push_back(std::move(wish));
  TRY(here.place.write(record));
  return 0;
}

Result<int> disconnect(const cli::Parsed& parsed, const Here& here) {
  TRY(must_be_root());
  const Network network = TRY(find(here, parsed.positionals()[0]));
  Record record = TRY(here.record(parsed.positionals()[1]));
  const auto status = TRY(here.place.status(record.id));
  bool found = std::erase_if(record.networks, [&](const auto& one) { return one.name == network.name || network.id.starts_with(one.name); }) != 0;
  for (const auto& endpoint : networks::endpoints_of(here.networks, record.id)) {
    if (endpoint.network != network.id) continue;
    found = true;
    TRY(networks::disconnect(here.networks, endpoint, status.is_alive() ? status.pid : 0));
  }
  if (!found)
    return Error(Code::not_found, "container {} is not connected to network {}", printable(record.name), printable(network.name));
  // On no network at all it is as with `none`, but for what may be connected later.
  record.network = record.networks.empty() ? "none" : record.networks.front().name;
  TRY(here.place.write(record));
  return 0;
}

}  // namespace

Result<int> network_create_verb(const cli::Parsed& parsed, const Here& here) { return create(parsed, here); }
Result<int> network_list_verb(const cli::Parsed& parsed, const Here& here) { return list(parsed, here); }
Result<int> network_inspect_verb(const cli::Parsed& parsed, const Here& here) {
  return inspect_all(parsed, here, [&](const std::string& name) { return inspected_network(here, name); });
}
Result<boost::json::object> inspected_network(const Here& here, const std::string& name) {
  const Network network = TRY(find(here, name));
  return network_json(here, network, driver_of(network));
}
Result<int> network_exists_verb(const cli::Parsed& parsed, const Here& here) {
  const std::string& name = parsed.positionals()[0];
  return is_built_in(name) ? 0 : exists_status(find(here, name));
}
Result<int> network_remove_verb(const cli::Parsed& parsed, const Here& here) { return remove(parsed, here); }
Result<Pruned> prune_networks(const Here& here, const Filters& filters) {
  const int64_t until = TRY(until_of(filters));
  const auto names = named_by_containers(here);
  const auto all = TRY(here.networks.all());
  Pruned out;
  for (const Network& network : all) {
    if (network.created_ns >= until || !fits_labels(filters, network.labels)) continue;
    if (network.is_default()) {
      const auto lock = TRY(here.networks.lock());
      const auto host = TRY(networks::Netlink::open());
      TRY(networks::reconcile_locked(here.networks, host));
      if (networks::members(here.networks, network.id).empty()) TRY(networks::take_network_down(here.networks, host, network));
    } else if (!is_named(names, network) && remove_one(here, network)) {
      out.removed.push_back(network.name);
    }
  }
  return out;
}

Result<int> network_prune_verb(const cli::Parsed& parsed, const Here& here) {
  TRY(must_be_root());
  const Filters filters = TRY(filters_of(parsed, {"label", "label!", "until"}));
  TRY(until_of(filters));
  if (!confirm(parsed, here.terminal, "This will remove all custom networks not used by at least one container.")) return 0;
  const Pruned pruned = TRY(prune_networks(here, filters));
  std::string done;
  for (const std::string& name : pruned.removed) done += name + "\n";
  if (!done.empty()) here.terminal.text("Deleted Networks:\n" + done + "\n");
  return 0;
}
Result<int> network_connect_verb(const cli::Parsed& parsed, const Here& here) { return connect(parsed, here); }
Result<int> network_disconnect_verb(const cli::Parsed& parsed, const Here& here) { return disconnect(parsed, here); }

}  // namespace kist::container_cli
