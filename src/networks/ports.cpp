#include "networks/ports.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "networks/socket_address.h"

namespace kist::networks {
namespace {

struct PortRange {
  uint16_t first = 0, last = 0;
  size_t count() const { return static_cast<size_t>(last - first) + 1; }
};

Result<PortRange> parse_range(std::string_view text, std::string_view whole) {
  const size_t dash = std::min(text.find('-'), text.size());
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash < text.size() ? parse_number(text.substr(dash + 1)) : first;
  if (!first || !last || *first == 0 || *last > 65535 || *first > *last)
    return Error(Code::invalid, "invalid port specification: \"{}\": '{}' is no port or range, want 1 to 65535",
                 printable(whole), printable(text));
  return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

// Cuts "/udp" off.
Result<std::string> take_protocol(std::string_view& text, std::string_view whole) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::string("tcp");
  const std::string protocol = to_lower(text.substr(slash + 1));
  text = text.substr(0, slash);
  if (protocol == "tcp" || protocol == "udp") return protocol;
  return Error(Code::invalid, "invalid port specification: \"{}\": '{}' is no protocol, want tcp or udp",
               printable(whole), printable(protocol));
}

bool is_v6(const PublishedPort& port) { return port.host_ip.find(':') != std::string::npos; }
bool is_any(const PublishedPort& port) {
  return port.host_ip.empty() || port.host_ip == "0.0.0.0" || port.host_ip == "::";
}

bool collide(const PublishedPort& a, const PublishedPort& b) {
  if (a.protocol != b.protocol || a.host_port != b.host_port) return false;
  if (a.host_ip.empty() || b.host_ip.empty()) return true;
  if (is_v6(a) != is_v6(b)) return false;
  return is_any(a) || is_any(b) || a.host_ip == b.host_ip;
}

std::string shown(const PublishedPort& port) {
  const std::string ip = port.host_ip.empty() ? "0.0.0.0" : is_v6(port) ? "[" + port.host_ip + "]" : port.host_ip;
  return fmt::format("{}:{}/{}", ip, port.host_port, port.protocol);
}

Result<os::Fd> new_socket(const Address& address, const std::string& protocol) {
  os::Fd fd(::socket(address.is_v6() ? AF_INET6 : AF_INET,
                     (protocol == "udp" ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return Error::from_errno(errno, "open a socket");
  const int on = 1;
  if (address.is_v6()) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return fd;
}

// Bound, not listening: whoever reaches it is refused. Connections that have ended a moment ago hold a
// port too, and are no obstacle: then only one who listens is.
Result<os::Fd> bind_port(const Address& address, const PublishedPort& port) {
  sockaddr_storage name;
  const socklen_t size = socket_address(address, port.host_port, name);
  const auto* where = reinterpret_cast<const sockaddr*>(&name);
  os::Fd fd = TRY(new_socket(address, port.protocol));
  if (::bind(fd.get(), where, size) == 0) return fd;
  int error = errno;
  if (error == EADDRINUSE && port.protocol == "tcp") {
    const int on = 1;
    const int off = 0;
    fd = TRY(new_socket(address, port.protocol));
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), where, size) == 0 && ::listen(fd.get(), 1) == 0 && ::shutdown(fd.get(), SHUT_RD) == 0) {
      (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
      return fd;
    }
    error = errno;
  }
  if (error == EADDRINUSE)
    return Error(Code::exists, "failed to bind host port for {}: address already in use", shown(port));
  if (error == EADDRNOTAVAIL)
    return Error(Code::not_found, "failed to bind host port for {}: cannot assign requested address", shown(port));
  return Error::from_errno(error, "bind the host's port {}", shown(port));
}

Result<std::vector<os::Fd>> bind_all(const PublishedPort& port) {
  std::vector<os::Fd> out;
  std::vector<std::string> addresses = {port.host_ip};
  if (port.host_ip.empty()) addresses = {"0.0.0.0", "::"};
  for (const std::string& text : addresses) {
    const Address address = TRY(Address::parse(text));
    auto fd = bind_port(address, port);
    // A host without IPv6 has no such ports.
    if (!fd && port.host_ip.empty() && address.is_v6() && fd.error().code() != Code::exists) continue;
    if (!fd) return fd.error();
    out.push_back(std::move(*fd));
  }
  return out;
}

bool is_taken(const PublishedPort& port, const std::vector<PublishedPort>& others) {
  return std::any_of(others.begin(), others.end(), [&](const PublishedPort& other) { return collide(port, other); });
}

// Where docker takes them from: what the kernel gives to outgoing connections.
Result<std::vector<os::Fd>> bind_any(PublishedPort& port, const std::vector<PublishedPort>& others) {
  constexpr uint32_t kFirst = 32768;
  constexpr uint32_t kCount = 60999 - kFirst + 1;
  uint32_t random = 0;
  (void)!::getrandom(&random, sizeof random, 0);
  for (uint32_t i = 0; i < kCount; ++i) {
    port.host_port = static_cast<uint16_t>(kFirst + (random + i) % kCount);
    if (is_taken(port, others)) continue;
    auto bound = bind_all(port);
    if (bound || bound.error().code() != Code::exists) return bound;
  }
  return Error(Code::unavailable, "all ports of the host are taken");
}

}  // namespace

Result<std::vector<PublishedPort>> parse_publish(std::string_view whole) {
  std::string_view text = whole;
  const std::string protocol = TRY(take_protocol(text, whole));
  const auto wrong = [&] {
    return Error(Code::invalid, "invalid port specification: \"{}\", want [[IP:]HOST-PORT:]PORT[/udp]", printable(whole));
  };
  std::string ip;
  if (text.starts_with('[')) {
    const size_t end = text.find("]:");
    if (end == std::string_view::npos) return wrong();
    ip = std::string(text.substr(1, end - 1));
    text.remove_prefix(end + 2);
    if (text.find(':') == std::string_view::npos) return wrong();
  }
  auto parts = split(text, ':');
  if (ip.empty() && parts.size() == 3) {
    ip = std::string(parts[0]);
    if (ip.empty()) return wrong();
    parts.erase(parts.begin());
  }
  if (parts.size() > 2 || parts.back().empty()) return wrong();
  if (!ip.empty()) {
    const Address address = TRY(Address::parse(ip), "invalid port specification: \"{}\"", printable(whole));
    ip = address.text();
  }
  const PortRange inside = TRY(parse_range(parts.back(), whole));
  std::optional<PortRange> outside;
  if (parts.size() == 2 && !parts[0].empty()) outside = TRY(parse_range(parts[0], whole));
  if (outside && outside->count() != inside.count())
    return Error(Code::invalid, "invalid port specification: \"{}\": the ranges have {} and {} ports", printable(whole),
                 outside->count(), inside.count());
  std::vector<PublishedPort> out;
  for (size_t i = 0; i < inside.count(); ++i)
    out.push_back({ip, static_cast<uint16_t>(outside ? outside->first + i : 0),
                   static_cast<uint16_t>(inside.first + i), protocol});
  return out;
}

Result<std::vector<std::string>> parse_expose(std::string_view whole) {
  std::string_view text = whole;
  const std::string protocol = TRY(take_protocol(text, whole));
  const PortRange range = TRY(parse_range(text, whole));
  std::vector<std::string> out;
  for (size_t i = 0; i < range.count(); ++i) out.push_back(fmt::format("{}/{}", range.first + i, protocol));
  return out;
}

Result<TakenPorts> take_ports(const std::vector<PublishedPort>& wanted, const std::vector<PublishedPort>& others,
                              const std::vector<PublishedPort>& before) {
  // Descriptors are few; what cannot be held is still tried.
  constexpr size_t kMostHeld = 256;
  TakenPorts out;
  for (PublishedPort port : wanted) {
    std::vector<os::Fd> bound;
    if (port.host_port == 0) {
      const auto old = std::find_if(before.begin(), before.end(), [&](const PublishedPort& one) {
        return one.container_port == port.container_port && one.protocol == port.protocol && one.host_ip == port.host_ip;
      });
      if (old != before.end() && !is_taken(*old, others) && !is_taken(*old, out.ports))
        if (auto again = bind_all(*old)) {
          port.host_port = old->host_port;
          bound = std::move(*again);
        }
      if (port.host_port == 0) {
        std::vector<PublishedPort> all = others;
        all.insert(all.end(), out.ports.begin(), out.ports.end());
        bound = TRY(bind_any(port, all));
      }
    } else {
      if (is_taken(port, others) || is_taken(port, out.ports))
        return Error(Code::exists, "Bind for {} failed: port is already allocated", shown(port))
            .hint(fmt::format("`kist ps --filter publish={}` shows by whom", port.host_port));
      bound = TRY(bind_all(port));
    }
    out.ports.push_back(std::move(port));
    if (out.sockets.size() < kMostHeld)
      for (os::Fd& fd : bound) out.sockets.push_back(std::move(fd));
  }
  return out;
}

std::string ports_text(const std::vector<PublishedPort>& ports, const std::vector<std::string>& exposed, bool v6) {
  // As docker: neighbours become a range.
  struct Run {
    std::string ip, protocol;
    unsigned host = 0, inside = 0, count = 1;
  };
  std::vector<Run> runs;
  const auto add = [&](const std::string& ip, const PublishedPort& port) {
    for (Run& run : runs)
      if (run.ip == ip && run.protocol == port.protocol && run.host + run.count == port.host_port &&
          run.inside + run.count == port.container_port) {
        ++run.count;
        return;
      }
    runs.push_back({ip, port.protocol, port.host_port, port.container_port});
  };
  for (const PublishedPort& port : ports) {
    add(port.host_ip.empty() ? "0.0.0.0" : port.host_ip, port);
    if (port.host_ip.empty() && v6) add("::", port);
  }
  std::vector<std::string> out;
  const auto range = [](unsigned first, unsigned count) {
    return count == 1 ? fmt::format("{}", first) : fmt::format("{}-{}", first, first + count - 1);
  };
  for (const Run& run : runs)
    out.push_back(fmt::format("{}:{}->{}/{}", run.ip.find(':') == std::string::npos ? run.ip : "[" + run.ip + "]",
                              range(run.host, run.count), range(run.inside, run.count), run.protocol));
  for (const std::string& port : exposed)
    if (std::none_of(ports.begin(), ports.end(), [&](const PublishedPort& p) {
          return fmt::format("{}/{}", p.container_port, p.protocol) == port;
        }))
      out.push_back(port);
  return fmt::format("{}", fmt::join(out, ", "));
}

}  // namespace kist::networks
