#include "networks/user_network.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::networks {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kTun = "/dev/net/tun";

std::string find_program(const std::string& name) {
  for (const std::string_view folder : split(std::string_view(kPath).substr(5), ':'))
    if (const std::string path = os::join(folder, name); ::access(path.c_str(), X_OK) == 0) return path;
  return "";
}

// "127.0.0.1/8080:80" after -t or -u, as passt(1) has it.
std::vector<std::string> pasta_arguments(const UserNetworkRequest& request, const std::vector<PublishedPort>& ports) {
  std::vector<std::string> out = {find_program("pasta"), "--quiet", "--config-net", "--pid", os::join(request.folder, "pasta.pid"),
                                  "-T", "none", "-U", "none"};
  if (!request.reaches_host) out.emplace_back("--no-map-gw");
  for (const char* protocol : {"tcp", "udp"}) {
    bool any = false;
    for (const PublishedPort& port : ports) {
      if (port.protocol != protocol) continue;
      const std::string ip = port.host_ip.empty() ? "" : port.host_ip + "/";
      out.emplace_back(protocol == std::string_view("tcp") ? "-t" : "-u");
      out.push_back(fmt::format("{}{}:{}", ip, port.host_port, port.container_port));
      any = true;
    }
    if (!any) {
      out.emplace_back(protocol == std::string_view("tcp") ? "-t" : "-u");
      out.emplace_back("none");
    }
  }
  out.push_back(fmt::format("{}", request.process));
  return out;
}

// The lines that say something.
std::string said(const os::Output& output) {
  std::string out;
  for (const std::string_view line : lines(output.err + output.out))
    if (!trim(line).empty() && line.find("syslog") == std::string_view::npos)
      out += (out.empty() ? "" : "; ") + printable(trim(line));
  return out.empty() ? fmt::format("it ended with status {}", output.status) : out;
}

Result<pid_t> start_pasta(const UserNetworkRequest& request, const std::vector<PublishedPort>& ports) {
  // It goes into the background when it is ready.
  const os::Output done = TRY(os::run({.args = pasta_arguments(request, ports), .env = {kPath}}), "starting pasta");
  if (done.status != 0) return Error(Code::unavailable, "pasta: {}", said(done)).context("making the container's network");
  const std::string text = TRY(os::read_file(os::join(request.folder, "pasta.pid"), 100), "pasta left no pid");
  const auto pid = parse_number(trim(text));
  if (!pid || *pid < 2) return Error(Code::corrupt, "pasta left no pid");
  return static_cast<pid_t>(*pid);
}

Result<std::string> ask_slirp(const std::string& path, const std::string& question) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error(Code::invalid, "the path '{}' is too long for a socket", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(errno, "ask slirp4netns");
  TRY(os::write_all(socket, question));
  (void)::shutdown(socket.get(), SHUT_WR);
  return os::read_all(socket, 1 << 16);
}

Result<void> publish_by_slirp(const std::string& path, const PublishedPort& port) {
  boost::json::object arguments{{"proto", port.protocol}, {"host_port", port.host_port}, {"guest_port", port.container_port}};
  arguments["host_addr"] = port.host_ip.empty() ? "0.0.0.0" : port.host_ip;
  const boost::json::object question{{"execute", "add_hostfwd"}, {"arguments", std::move(arguments)}};
  const std::string answer = TRY(ask_slirp(path, boost::json::serialize(question)));
  if (answer.find("\"error\"") == std::string::npos) return {};
  return Error(Code::exists, "failed to publish port {}: slirp4netns: {}", port.host_port, printable(trim(answer)));
}

Result<pid_t> start_slirp(const UserNetworkRequest& request, const std::vector<PublishedPort>& ports) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  const os::Fd ready(ends[0]);
  os::Fd theirs(ends[1]);
  // Short: a socket's path has 108 bytes at most.
  const os::TempDir folder = TRY(os::TempDir::make("/tmp", "kist-net."));
  const std::string socket = os::join(folder.path(), "api");
  std::vector<std::string> args = {find_program("slirp4netns"), "--configure", "--mtu=65520", "--ready-fd=3",
                                   "--api-socket=" + socket, "--netns-type=path",
                                   fmt::format("--userns-path=/proc/{}/ns/user", request.process)};
  if (!request.reaches_host) args.emplace_back("--disable-host-loopback");
  args.push_back(fmt::format("/proc/{}/ns/net", request.process));
  args.emplace_back("tap0");
  std::vector<char*> words;
  for (std::string& arg : args) words.push_back(arg.data());
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "start slirp4netns");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (theirs.get() != 3) ::dup2(theirs.get(), 3);
    else ::fcntl(3, F_SETFD, 0);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  theirs = os::Fd();
  pollfd event = {ready.get(), POLLIN, 0};
  constexpr int kPatienceMs = 10'000;
  char byte = 0;
  if (::poll(&event, 1, kPatienceMs) != 1 || ::read(ready.get(), &byte, 1) != 1)
    return Error(Code::unavailable, "slirp4netns did not start").context("making the container's network");
  for (const PublishedPort& port : ports) TRY(publish_by_slirp(socket, port));
  return pid;
}

// Beside the program, until the container's first process is gone.
[[noreturn]] void guard(const UserNetworkRequest& request, const std::string& program,
                        const std::vector<PublishedPort>& ports, os::Fd answers) {
  ::setsid();
  // Whoever goes into the background stays ours.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, request.process, 0)));
  if (const auto null = os::open_file("/dev/null", O_RDWR))
    for (int fd = 0; fd < 3; ++fd) ::dup2(null->get(), fd);
  for (int fd = 3; fd < 1024; ++fd)
    if (fd != answers.get() && fd != process.get()) ::close(fd);
  const auto pid = program == "pasta" ? start_pasta(request, ports) : start_slirp(request, ports);
  const std::string answer = pid ? "ok" : percent_encode(pid.error().render());
  (void)os::write_all(answers, answer + "\n").has_value();
  if (pid) {
    pollfd event = {process.get(), POLLIN, 0};
    while (::poll(&event, 1, -1) < 0 && errno == EINTR) {
    }
    ::kill(*pid, SIGKILL);
    ::waitpid(*pid, nullptr, 0);
  }
  ::_exit(0);
}

std::string read_line(const os::Fd& from) {
  std::string out;
  char byte = 0;
  while (out.size() < (1 << 16)) {
    const ssize_t got = ::read(from.get(), &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || byte == '\n') break;
    out += byte;
  }
  return out;
}

Result<std::string> choose_program(const std::string& wanted) {
  if (wanted != "slirp4netns" && !find_program("pasta").empty()) return std::string("pasta");
  if (!find_program("slirp4netns").empty()) return std::string("slirp4netns");
  return Error(Code::not_found, "a plain user's network needs {}, which is not installed",
               wanted == "slirp4netns" ? "slirp4netns" : "pasta or slirp4netns")
      .hint(wanted == "slirp4netns" ? "`sudo apt-get install slirp4netns`" : "`sudo apt-get install passt`, or `--network host`");
}

}  // namespace

Result<void> check_user_network(const std::string& program) {
  TRY(choose_program(program));
  if (::geteuid() == 0)
    return Error(Code::unsupported, "--network {} is for plain users", program).hint("`--network bridge`");
  const auto tun = os::open_file(kTun, O_RDWR);
  if (tun) return {};
  if (tun.error().code() == Code::denied)
    return Error(Code::denied, "this user may not open '{}', which a network of its own needs", kTun)
        .hint("`sudo chmod 0666 /dev/net/tun`, or `--network host`");
  return Error(tun.error()).context("a network of its own needs the kernel's module tun").hint("`sudo modprobe tun`");
}

Result<UserNetwork> serve_user_network(const UserNetworkRequest& request) {
  TRY(check_user_network(request.program));
  UserNetwork out;
  out.program = TRY(choose_program(request.program));
  {
    // Only asked for: the program takes them itself.
    const TakenPorts taken = TRY(take_ports(request.ports, {}, {}));
    out.ports = taken.ports;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  os::Fd ours(ends[0]);
  os::Fd theirs(ends[1]);
  const pid_t guardian = ::fork();
  if (guardian < 0) return Error::from_errno(errno, "start {}", out.program);
  if (guardian == 0) {
    // Not a child of the supervisor, which waits for others.
    if (::fork() != 0) ::_exit(0);
    guard(request, out.program, out.ports, std::move(theirs));
  }
  theirs = os::Fd();
  ::waitpid(guardian, nullptr, 0);
  const std::string answer = read_line(ours);
  if (answer == "ok") {
    out.ending = std::move(ours);
    return out;
  }
  std::string text = percent_decode(answer).value_or("");
  constexpr std::string_view kPrefix = "error: ";
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  while (text.ends_with('\n')) text.pop_back();
  return Error(Code::unavailable, "{}", text.empty() ? out.program + " died" : text);
}

}  // namespace kist::networks
