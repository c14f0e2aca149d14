#include "http_server/server.h"

#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <thread>

#include "base/text.h"
#include "http_server/loop.h"
#include "http_server/request_text.h"
#include "os/files.h"
#include "os/workers.h"

namespace kist::http_server {
namespace {

using asio::ip::tcp;
constexpr std::chrono::milliseconds kSweepEvery{250};
constexpr std::chrono::seconds kLookAtFilesEvery{5};
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

struct HostAndPort {
  std::string host;
  std::string port;
};

Result<HostAndPort> parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_number(text.substr(colon + 1)) || *parse_number(text.substr(colon + 1)) > 65535)
    return Error(Code::invalid, "'{}' is not HOST:PORT", printable(text)).hint("`--listen 127.0.0.1:5000`");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "*") host = "";
  return HostAndPort{std::string(host), std::string(text.substr(colon + 1))};
}

// Each connection is a descriptor, and each body that is sent another.
void raise_descriptor_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct Server::State {
  State(Options options, Handler& handler) : shared(std::move(options), handler) {}

  Shared shared;
  std::deque<Loop> loops;
  std::vector<tcp::acceptor> acceptors;
  std::optional<asio::signal_set> signals;
  std::optional<asio::steady_timer> file_timer;
  std::array<std::optional<os::Stamp>, 2> tls_stamps;
  size_t next_loop = 0;

  Result<void> open(const std::string& address);
  Result<void> listen_at(const tcp::endpoint& endpoint, const std::string& address);
  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  asio::awaitable<void> take_signals();
  asio::awaitable<void> look_at_files();
  static asio::awaitable<void> sweep_until_done(Loop& loop);
  void take(tcp::socket socket, Loop& loop);
  Result<void> load_tls();
  void reload();
  void stop();
};

Result<void> Server::State::listen_at(const tcp::endpoint& endpoint, const std::string& address) {
  boost::system::error_code error;
  tcp::acceptor acceptor(loops.front().context);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  // So that "[::]:5000" and "0.0.0.0:5000" may both be given.
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error == asio::error::address_in_use)
    return Error::from_errno(error.value(), "listen at '{}'", address)
        .hint(fmt::format("`ss -ltnp 'sport = :{}'` shows who does; choose another with --listen", endpoint.port()));
  if (error == asio::error::access_denied)
    return Error::from_errno(error.value(), "listen at '{}'", address).hint("ports below 1024 are root's: `--listen :5000`");
  if (error) return Error::from_errno(error.value(), "listen at '{}'", address);
  acceptors.push_back(std::move(acceptor));
  return {};
}

Result<void> Server::State::open(const std::string& address) {
  const HostAndPort wanted = TRY(parse_address(address));
  boost::system::error_code error;
  tcp::resolver resolver(loops.front().context);
  const auto found = resolver.resolve(wanted.host, wanted.port, tcp::resolver::passive, error);
  if (error) return Error(Code::not_found, "no address for '{}': {}", printable(wanted.host), error.message());
  const size_t before = acceptors.size();
  std::optional<Error> failure;
  for (const auto& entry : found) {
    auto listening = listen_at(entry.endpoint(), address);
    if (!listening) failure = std::move(listening.error());
    // Two addresses of one name cannot share a port that is chosen for them.
    else if (wanted.port == "0") break;
  }
  // A machine without IPv6 still has the other address of "localhost".
  if (acceptors.size() == before && failure) return std::move(*failure);
  return {};
}

Result<void> Server::State::load_tls() {
  if (!shared.options.tls) return {};
  tls_stamps = {os::stamp(shared.options.tls->certificate), os::stamp(shared.options.tls->key)};
  auto loaded = TRY(TlsContext::load(*shared.options.tls));
  const std::scoped_lock lock(shared.mutex);
  shared.tls = std::move(loaded);
  return {};
}

void Server::State::reload() {
  const auto loaded = load_tls();
  // The certificate that was good stays in use.
  if (!loaded && shared.options.on_error) shared.options.on_error(loaded.error());
  if (shared.options.on_reload) shared.options.on_reload();
}

void Server::State::take(tcp::socket socket, Loop& loop) {
  if (shared.connections.load() >= shared.options.limits.connections) {
    constexpr std::string_view kFull =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Without TLS it can be told; nobody waits for it.
    if (!shared.options.tls) (void)::send(socket.native_handle(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  std::shared_ptr<const TlsContext> tls;
  {
    const std::scoped_lock lock(shared.mutex);
    tls = shared.tls;
  }
  ++shared.connections;
  asio::co_spawn(loop.context, serve(std::move(socket), loop, std::move(tls)), asio::detached);
}

asio::awaitable<void> Server::State::accept(tcp::acceptor& acceptor) {
  asio::steady_timer pause(loops.front().context);
  while (!shared.is_stopping) {
    Loop& loop = loops[next_loop++ % loops.size()];
    auto [error, socket] = co_await acceptor.async_accept(asio::any_io_executor(loop.context.get_executor()), kAwait);
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
    if (!error) {
      take(std::move(socket), loop);
      continue;
    }
    // Out of descriptors, mostly: others will be given back.
    pause.expires_after(std::chrono::milliseconds(50));
    co_await pause.async_wait(kAwait);
  }
}

asio::awaitable<void> Server::State::take_signals() {
  while (true) {
    auto [error, number] = co_await signals->async_wait(kAwait);
    if (error) co_return;
    if (number == SIGHUP) {
      reload();
      continue;
    }
    if (shared.is_stopping)
      for (Loop& loop : loops) asio::post(loop.context, [&loop] { loop.must_end = Clock::now(); });
    stop();
  }
}

asio::awaitable<void> Server::State::look_at_files() {
  while (!shared.is_stopping) {
    file_timer->expires_after(kLookAtFilesEvery);
    auto [error] = co_await file_timer->async_wait(kAwait);
    if (error) co_return;
    const std::array<std::optional<os::Stamp>, 2> now{os::stamp(shared.options.tls->certificate),
                                                      os::stamp(shared.options.tls->key)};
    if (now != tls_stamps && now[0] && now[1]) reload();
  }
}

asio::awaitable<void> Server::State::sweep_until_done(Loop& loop) {
  while (!loop.shared.is_stopping || !loop.connections.empty()) {
    loop.date = fmt::format("Date: {}\r\n", http_date(::time(nullptr)));
    sweep(loop);
    const bool is_over = Clock::now() > loop.must_end;
    if (is_over && !loop.shared.has_ended.exchange(true) && loop.shared.options.on_end) loop.shared.options.on_end();
    loop.sweeper.expires_after(loop.shared.is_stopping ? std::chrono::milliseconds(20) : kSweepEvery);
    co_await loop.sweeper.async_wait(kAwait);
  }
}

void Server::State::stop() {
  if (shared.is_stopping.exchange(true)) return;
  const auto end = Clock::now() + shared.options.limits.shutdown;
  asio::post(loops.front().context, [this] {
    for (tcp::acceptor& acceptor : acceptors) {
      boost::system::error_code ignored;
      acceptor.close(ignored);
    }
    if (file_timer) file_timer->cancel();
  });
  for (Loop& loop : loops)
    asio::post(loop.context, [&loop, end] {
      loop.must_end = end;
      loop.sweeper.cancel();  // Sweeps now.
    });
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(Options options, Handler& handler) {
  raise_descriptor_limit();
  const unsigned threads = options.threads != 0 ? options.threads : std::min(os::core_count(), 8u);
  auto state = std::make_unique<State>(std::move(options), handler);
  for (unsigned i = 0; i < threads; ++i) state->loops.emplace_back(state->shared);
  for (const std::string& address : state->shared.options.addresses) TRY(state->open(address));
  if (state->acceptors.empty()) return Error(Code::invalid, "no address to listen at").hint("`--listen 127.0.0.1:5000`");
  TRY(state->load_tls());
  if (state->shared.options.takes_signals) state->signals.emplace(state->loops.front().context, SIGTERM, SIGINT, SIGHUP);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> out;
  for (const tcp::acceptor& acceptor : state_->acceptors) {
    boost::system::error_code error;
    const tcp::endpoint at = acceptor.local_endpoint(error);
    if (error) continue;
    const std::string host = at.address().to_string();
    out.push_back(at.address().is_v6() ? fmt::format("[{}]:{}", host, at.port()) : fmt::format("{}:{}", host, at.port()));
  }
  return out;
}

void Server::run() {
  State& state = *state_;
  for (tcp::acceptor& acceptor : state.acceptors)
    asio::co_spawn(state.loops.front().context, state.accept(acceptor), asio::detached);
  if (state.signals) asio::co_spawn(state.loops.front().context, state.take_signals(), asio::detached);
  if (state.shared.options.tls) {
    state.file_timer.emplace(state.loops.front().context);
    asio::co_spawn(state.loops.front().context, state.look_at_files(), asio::detached);
  }
  for (Loop& loop : state.loops) asio::co_spawn(loop.context, State::sweep_until_done(loop), asio::detached);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < state.loops.size(); ++i) threads.emplace_back([&state, i] { state.loops[i].context.run(); });
  // Signals would keep the first loop alive for ever: it ends when none has anything left.
  Loop& first = state.loops.front();
  while (!state.shared.is_stopping || state.shared.connections.load() != 0) first.context.run_one_for(std::chrono::milliseconds(50));
  first.context.poll();
  for (std::thread& thread : threads) thread.join();
  if (state.signals) state.signals->cancel();
  first.context.poll();
  state.shared.waiting.join();
  state.shared.producing.join();
}

void Server::stop() { state_->stop(); }
size_t Server::connections() const { return state_->shared.connections.load(); }

}  // namespace kist::http_server
