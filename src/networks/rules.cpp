#include "networks/rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <unistd.h>

#include <set>

#include "base/text.h"
#include "os/child.h"

namespace kist::networks {
namespace {

constexpr uint64_t kMaxBytes = 16 << 20;

std::string changed_path(const Home& home) { return os::join(home.live(), "changed"); }
std::string rules_path(const Home& home) { return os::join(home.live(), "rules"); }

std::string elements(const std::set<std::string>& all) {
  return all.empty() ? "" : fmt::format(" elements = {{ {} }};", fmt::join(all, ", "));
}

// The elements of all sets and maps.
struct Elements {
  std::set<std::string> bridges, internal, same;
  std::set<std::string> own4, own6;        // Subnets.
  std::set<std::string> ports4, ports6;    // protocol . port : address . port
  std::set<std::string> ports4_at, ports6_at;  // address . protocol . port : address . port
};

void add_port(const PublishedPort& port, const Endpoint& member, Elements& out) {
  const auto line = [&](const std::string& key, const std::string& to) {
    return fmt::format("{}{} . {} : {} . {}", key, port.protocol, port.host_port, to, port.container_port);
  };
  const bool any = port.host_ip.empty() || port.host_ip == "0.0.0.0" || port.host_ip == "::";
  const bool v6 = port.host_ip.empty() || port.host_ip.find(':') != std::string::npos;
  const bool v4 = port.host_ip.empty() || !v6;
  if (v4 && !member.ipv4.empty())
    (any ? out.ports4 : out.ports4_at).insert(line(any ? "" : port.host_ip + " . ", member.ipv4));
  if (v6 && !member.ipv6.empty())
    (any ? out.ports6 : out.ports6_at).insert(line(any ? "" : port.host_ip + " . ", member.ipv6));
}

Elements elements_of(const std::vector<LiveNetwork>& networks) {
  Elements out;
  for (const LiveNetwork& live : networks) {
    const std::string name = fmt::format("\"{}\"", live.network.interface);
    out.bridges.insert(name);
    out.same.insert(name + " . " + name);
    if (live.network.internal) out.internal.insert(name);
    for (const Range& range : live.network.ranges)
      (range.subnet.is_v6() ? out.own6 : out.own4).insert(range.subnet.text());
    for (const Endpoint& member : live.members)
      for (const PublishedPort& port : member.ports) add_port(port, member, out);
  }
  return out;
}

// Why each line is there is in docs/security.md.
constexpr std::string_view kChains = R"(
  chain published {
    dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
    dnat ip to meta l4proto . th dport map @ports4
    ip6 daddr @closed6 return
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
    dnat ip6 to meta l4proto . th dport map @ports6
  }
  chain early {
    type filter hook prerouting priority -300; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
    iifname @bridges ip6 daddr ::1 drop
  }
  chain arriving {
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local jump published
  }
  chain from_here {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump published
  }
  chain passing {
    type filter hook forward priority 0; policy accept;
    iifname != @bridges oifname != @bridges accept
    ct state established,related accept
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    ct status dnat accept
    oifname @bridges drop
  }
  chain leaving {
    type nat hook postrouting priority 100; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ip6 saddr ::1 masquerade
    oifname @bridges ct status dnat ip saddr @own4 masquerade
    oifname @bridges ct status dnat ip6 saddr @own6 masquerade
    oifname != @bridges ip saddr @own4 masquerade
    oifname != @bridges ip6 saddr @own6 masquerade
  }
)";

Result<void> run_nft(const std::string& text) {
  os::Command command;
  command.args = {"nft", "-f", "-"};
  command.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  command.input = text;
  const auto done = os::run(command);
  if (!done && done.error().code() == Code::not_found)
    return Error(Code::not_found, "networks of containers need the program nft, which is not installed")
        .hint("`sudo apt-get install nftables`, or `--network host`");
  if (!done) return Error(done.error()).context("setting up the rules of the network");
  if (done->status == 0) return {};
  return Error(::geteuid() == 0 ? Code::unsupported : Code::denied, "nft: {}", printable(trim(done->err), 500))
      .context("setting up the rules of the network");
}

}  // namespace

bool leads_loopback_v6() {
  const auto filtered = os::read_file("/proc/sys/net/bridge/bridge-nf-call-ip6tables", 16);
  return !filtered || trim(*filtered) == "0";
}

std::string rules_text(const std::vector<LiveNetwork>& networks, bool loopback_v6) {
  // Named first, so that deleting never fails; all in one transaction.
  std::string out = "table inet kist\ndelete table inet kist\n";
  if (networks.empty()) return out;
  const Elements all = elements_of(networks);
  out += "table inet kist {\n";
  const auto set = [&](const char* kind, const char* name, const char* type, const std::set<std::string>& of) {
    out += fmt::format("  {} {} {{ type {};{} }}\n", kind, name, type, elements(of));
  };
  set("set", "bridges", "ifname", all.bridges);
  set("set", "internal", "ifname", all.internal);
  set("set", "same", "ifname . ifname", all.same);
  set("set", "own4", "ipv4_addr; flags interval", all.own4);
  set("set", "own6", "ipv6_addr; flags interval", all.own6);
  // Refused at once, where nothing would come back.
  set("set", "closed6", "ipv6_addr", loopback_v6 ? std::set<std::string>{} : std::set<std::string>{"::1"});
  set("map", "ports4", "inet_proto . inet_service : ipv4_addr . inet_service", all.ports4);
  set("map", "ports4_at", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service", all.ports4_at);
  set("map", "ports6", "inet_proto . inet_service : ipv6_addr . inet_service", all.ports6);
  set("map", "ports6_at", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service", all.ports6_at);
  out += kChains;
  return out + "}\n";
}

std::vector<LiveNetwork> live_networks(const Home& home) {
  std::vector<LiveNetwork> out;
  const auto names = os::list_folder(home.live());
  for (const std::string& name : names ? *names : std::vector<std::string>()) {
    if (name.size() != 64) continue;
    const auto text = os::read_file(os::join(home.live_of(name), "network"), kMaxBytes);
    if (!text) continue;
    auto network = decode_network(*text);
    if (network && network->id == name) out.push_back({std::move(*network), members(home, name)});
  }
  return out;
}

bool has_rules() {
  const auto netlink = Netlink::open(NETLINK_NETFILTER);
  if (!netlink) return false;
  Batch batch;
  const nfgenmsg family = {NFPROTO_INET, NFNETLINK_V0, 0};
  batch.begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0, family, "look for our rules");
  batch.text(NFTA_TABLE_NAME, "kist");
  bool found = false;
  const auto done = netlink->dump(batch, [&](const Answer&) { found = true; });
  return done && found;
}

Result<void> begin_change(const Home& home) {
  TRY(os::open_file(changed_path(home), O_WRONLY | O_CREAT, 0600));
  return {};
}

bool is_changing(const Home& home) { return os::exists(changed_path(home)); }

Result<void> load_rules(const Home& home) {
  const std::string text = rules_text(live_networks(home), leads_loopback_v6());
  const auto loaded = os::read_file(rules_path(home), kMaxBytes);
  const bool empty = text.find('{') == std::string::npos;
  if (!(loaded && *loaded == text && (empty || has_rules()))) {
    // Whatever was before: with neither table nor networks there is nothing to say, and nft is not missed.
    if (!empty || has_rules()) TRY(run_nft(text));
    TRY(os::write_file_atomically(rules_path(home), text, 0600));
  }
  if (::unlink(changed_path(home).c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove '{}'", changed_path(home));
  return {};
}

}  // namespace kist::networks
