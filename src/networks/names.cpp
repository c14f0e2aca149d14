#include "networks/names.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "networks/rules.h"

namespace kist::networks {
namespace {

constexpr std::string_view kBegin = "# kist: containers of its networks; written anew when one comes or goes\n";
constexpr uint64_t kMaxBytes = 1 << 20;  // A container may write whatever it likes into its own file.

void add_lines(const Endpoint& endpoint, const std::vector<std::string>& names, std::string& out) {
  for (const std::string* address : {&endpoint.ipv4, &endpoint.ipv6})
    if (!address->empty() && !names.empty()) out += fmt::format("{}\t{}\n", *address, fmt::join(names, " "));
}

void write_in_place(const std::string& path, const std::string& names) {
  const auto file = os::open_file(path, O_RDWR | O_NOFOLLOW);
  if (!file) return;
  const auto before = os::read_all(*file, kMaxBytes);
  if (!before) return;
  std::string after = before->substr(0, before->find(kBegin));
  if (!after.empty() && !after.ends_with('\n')) after += '\n';
  after += names;
  if (after == *before) return;
  // One write, then what is left over goes: a reader sees old lines or new ones.
  if (::pwrite(file->get(), after.data(), after.size(), 0) == static_cast<ssize_t>(after.size()))
    (void)!::ftruncate(file->get(), static_cast<off_t>(after.size()));
}

// By which `one` is known: to all of a made network, and to whom is linked to it.
std::vector<std::string> names_of(const Endpoint& one, const std::vector<Endpoint>& own) {
  const bool is_default = one.network_name == kDefaultNetwork;
  std::vector<std::string> linked;
  for (const Endpoint& me : own)
    for (const std::string& link : me.links) {
      const size_t colon = link.find(':');
      if (me.network != one.network || link.substr(0, colon) != one.container) continue;
      linked.push_back(link.substr(colon + 1));
    }
  if (is_default && linked.empty()) return {};
  std::vector<std::string> out = one.names();
  for (const std::string& alias : linked)
    if (std::find(out.begin(), out.end(), alias) == out.end()) out.push_back(alias);
  return out;
}

}  // namespace

std::string names_text(const std::vector<Endpoint>& own, const std::vector<Endpoint>& others) {
  std::string out(kBegin);
  for (const Endpoint& one : own)
    add_lines(one, one.network_name == kDefaultNetwork
                       ? std::vector<std::string>{one.hostname.empty() ? one.container.substr(0, 12) : one.hostname}
                       : one.names(), out);
  const auto gateway = std::find_if(own.begin(), own.end(), [](const Endpoint& e) { return !e.gateway4.empty(); });
  if (gateway != own.end() && !gateway->gateway_names.empty())
    out += fmt::format("{}\t{}\n", gateway->gateway4, fmt::join(gateway->gateway_names, " "));
  for (const Endpoint& one : others) add_lines(one, names_of(one, own), out);
  return out;
}

void write_own_names(const std::vector<Endpoint>& own) {
  if (!own.empty()) write_in_place(os::join(own.front().folder, "hosts"), names_text(own, {}));
}

void write_names(const Home& home) {
  const auto networks = live_networks(home);
  std::map<std::string, std::vector<const LiveNetwork*>> where;  // By container.
  for (const LiveNetwork& live : networks)
    for (const Endpoint& member : live.members) where[member.container].push_back(&live);
  for (const auto& [container, its] : where) {
    std::vector<Endpoint> own, others;
    for (const LiveNetwork* live : its)
      for (const Endpoint& member : live->members) (member.container == container ? own : others).push_back(member);
    if (!own.empty()) write_in_place(os::join(own.front().folder, "hosts"), names_text(own, others));
  }
}

}  // namespace kist::networks
