#include "networks/name_server.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "networks/dns_message.h"
#include "networks/socket_address.h"
#include "os/files.h"

namespace kist::networks {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPatience = 2 * kSecond;  // With each server.
constexpr size_t kMostAsked = 64;
constexpr unsigned kMostInASecond = 1000;
constexpr size_t kHostsBytesPerQuestion = 16 << 10;
constexpr int kMostAtOnce = 32;
constexpr size_t kMostBytes = 4096;
constexpr size_t kMostServers = 3;  // As the C library.

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

os::Fd new_socket(bool is_v6, int type) {
  return os::Fd(::socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Result<NameServer> NameServer::open(Source source, const char* address, uint16_t port) {
  const Address at = TRY(Address::parse(address));
  os::Fd socket = new_socket(at.is_v6(), SOCK_DGRAM);
  sockaddr_storage name;
  const socklen_t size = socket_address(at, port, name);
  if (!socket.is_open() || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0)
    return Error::from_errno(errno, "open the name server's port {}:{}", address, port);
  NameServer out(std::move(source), std::move(socket));
  // Somebody in the container may have the port for streams alone; then there are none.
  out.streams_ = NameStreams::open(at, out.port());
  return out;
}

uint16_t NameServer::port() const {
  sockaddr_in name = {};
  socklen_t size = sizeof name;
  (void)::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.sin_port);
}

bool NameServer::has_room() const { return heard_ < kMostInASecond; }

void NameServer::add_to(std::vector<pollfd>& events) const {
  events.push_back({socket_.get(), static_cast<short>(has_room() ? POLLIN : 0), 0});
  streams_.add_to(events, has_room());
  for (const Asked& asked : asked_) events.push_back({asked.socket.get(), static_cast<short>(asked.unsent.empty() ? POLLIN : POLLOUT), 0});
}

int64_t NameServer::deadline() const {
  int64_t out = std::min(has_room() ? INT64_MAX : second_ends_ns_, streams_.deadline());
  for (const Asked& asked : asked_) out = std::min(out, asked.give_up_ns);
  return out;
}

void NameServer::look_at(const std::vector<pollfd>& events, size_t first) {
  const int64_t now = now_ns();
  if (now >= second_ends_ns_) heard_ = 0;
  // Those that were there when events was made; a refusal (POLLERR) is an answer too.
  size_t at = first + 1 + streams_.count();
  std::erase_if(asked_, [&](Asked& asked) {
    const short happened = at < events.size() && events[at].fd == asked.socket.get() ? events[at].revents : 0;
    ++at;
    const Heard heard = happened == 0 ? Heard::nothing : look_at_asked(asked, happened);
    if (heard == Heard::answer) return true;
    if (heard == Heard::nothing && now < asked.give_up_ns) return false;
    if (ask_next(asked)) return false;
    fail(asked);
    return true;
  });
  streams_.look_at(events, first + 1, now, [&](std::string_view message, uint64_t stream) {
    if (heard_++ == 0) second_ends_ns_ = now + kSecond;
    handle(message, {{}, stream});
  });
  if (first < events.size() && events[first].revents != 0) hear();
}

void NameServer::hear() {
  std::array<char, kMostBytes> buffer;
  for (int i = 0; i < kMostAtOnce && heard_ < kMostInASecond; ++i) {
    sockaddr_storage from = {};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) return;
    if (heard_++ == 0) second_ends_ns_ = now_ns() + kSecond;
    if (static_cast<size_t>(got) > buffer.size()) continue;
    handle({buffer.data(), static_cast<size_t>(got)}, {{reinterpret_cast<const char*>(&from), size}, 0});
  }
}

// From the hosts file, as it is now. Empty: that does not know.
std::string NameServer::known_answer(std::string_view message, const Client& client) {
  constexpr uint64_t kMostHostsBytes = 1 << 20;
  const auto question = read_question(message);
  if (!question || question->of_class != kClassInternet) return {};
  const auto hosts = os::read_file(source_.hosts, kMostHostsBytes);
  // A file that the container has made large counts as many questions, also one that is too large.
  const bool is_too_large = !hosts && hosts.error().code() == Code::invalid;
  heard_ += static_cast<unsigned>((hosts ? hosts->size() : is_too_large ? kMostHostsBytes : 0) / kHostsBytesPerQuestion);
  if (!hosts) return {};
  if (question->type == kTypePtr) {
    const auto address = reverse_address(question->name);
    const std::string name = address ? name_in(*hosts, *address) : std::string();
    return name.empty() ? std::string() : name_answer_to(message, *question, name);
  }
  const auto addresses = addresses_in(*hosts, question->name);
  if (addresses.empty()) return {};
  return answer_to(message, *question, addresses, DnsCode::ok, client.stream == 0 ? kDatagramBytes : kStreamBytes);
}

void NameServer::handle(std::string_view message, const Client& client) {
  const auto question = read_question(message);
  if (!question) return;  // Whoever sends that wants no answer.
  if (const std::string known = known_answer(message, client); !known.empty()) return reply(known, client);
  Asked asked;
  asked.client_id = id_of(message);
  asked.client = client;
  asked.message = message;
  asked.end_of_question = question->end;
  if (asked_.size() < kMostAsked && pass_on(asked, servers())) asked_.push_back(std::move(asked));
  else fail(asked);
}

// To the first from asked.server on that can be sent to.
bool NameServer::pass_on(Asked& asked, const std::vector<Address>& servers) const {
  constexpr uint16_t kPort = 53;
  const bool is_stream = asked.client.stream != 0;
  for (; asked.server < servers.size(); ++asked.server) {
    asked.socket = new_socket(servers[asked.server].is_v6(), is_stream ? SOCK_STREAM : SOCK_DGRAM);
    sockaddr_storage name;
    const socklen_t size = socket_address(servers[asked.server], kPort, name);
    (void)::getrandom(&asked.id, sizeof asked.id, 0);
    set_id(asked.message, asked.id);
    asked.received.clear();
    asked.unsent = is_stream ? with_length(asked.message) : std::string();
    const bool connected = ::connect(asked.socket.get(), reinterpret_cast<const sockaddr*>(&name), size) == 0;
    if (!connected && !(is_stream && errno == EINPROGRESS)) continue;
    if (!is_stream && ::send(asked.socket.get(), asked.message.data(), asked.message.size(), 0) < 0) continue;
    asked.give_up_ns = now_ns() + kPatience;
    return true;
  }
  return false;
}

bool NameServer::ask_next(Asked& asked) const {
  ++asked.server;
  return pass_on(asked, servers());
}

NameServer::Heard NameServer::look_at_asked(Asked& asked, short happened) {
  if (!asked.unsent.empty()) {
    if ((happened & POLLOUT) == 0) return Heard::no_answer;
    const ssize_t sent = ::send(asked.socket.get(), asked.unsent.data(), asked.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? Heard::nothing : Heard::no_answer;
    asked.unsent.erase(0, static_cast<size_t>(sent));
    return Heard::nothing;
  }
  std::string answer;
  const Heard heard = asked.client.stream == 0 ? read_datagram(asked, answer) : read_stream(asked, answer);
  if (heard != Heard::answer) return heard;
  if (!is_answer(answer, asked.id)) return Heard::no_answer;
  set_id(answer, asked.client_id);
  reply(answer, asked.client);
  return Heard::answer;
}

NameServer::Heard NameServer::read_datagram(const Asked& asked, std::string& answer) {
  std::array<char, kMostBytes> buffer;
  const ssize_t got = ::recv(asked.socket.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  if (got < 0 || static_cast<size_t>(got) > buffer.size()) return Heard::no_answer;
  answer.assign(buffer.data(), static_cast<size_t>(got));
  return Heard::answer;
}

NameServer::Heard NameServer::read_stream(Asked& asked, std::string& answer) {
  std::array<char, kMostBytes> buffer;
  const ssize_t got = ::recv(asked.socket.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Heard::nothing;
  if (got <= 0) return Heard::no_answer;
  asked.received.append(buffer.data(), static_cast<size_t>(got));
  answer = first_message(asked.received);
  return answer.empty() ? Heard::nothing : Heard::answer;
}

void NameServer::fail(const Asked& asked) {
  std::string message = asked.message;
  set_id(message, asked.client_id);
  DnsQuestion question;
  question.end = asked.end_of_question;
  reply(answer_to(message, question, {}, DnsCode::server_failed), asked.client);
}

void NameServer::reply(const std::string& message, const Client& client) {
  if (client.stream != 0) return streams_.reply(client.stream, message);
  // A client that does not read loses it.
  (void)::sendto(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(client.address.data()),
                 static_cast<socklen_t>(client.address.size()));
}

std::vector<Address> NameServer::servers() const {
  constexpr uint64_t kMostConfBytes = 1 << 20;
  std::vector<Address> out;
  const auto add = [&](std::string_view text) {
    const auto address = Address::parse(trim(text));
    if (address && out.size() < kMostServers) out.push_back(*address);
  };
  for (const std::string& one : source_.servers) add(one);
  if (!source_.servers.empty()) return out;
  const auto conf = os::read_file(source_.resolv_conf, kMostConfBytes);
  constexpr std::string_view kWord = "nameserver";
  for (const std::string_view line : conf ? lines(*conf) : std::vector<std::string_view>())
    if (line.starts_with(kWord)) add(line.substr(kWord.size()));
  return out;
}

}  // namespace kist::networks
