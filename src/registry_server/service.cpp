#include "registry_server/service.h"

#include <openssl/rand.h>
#include <unistd.h>

#include <condition_variable>
#include <ctime>
#include <thread>

#include "base/base64.h"
#include "base/text.h"
#include "http_server/request_text.h"
#include "os/files.h"
#include "registry_server/access_log.h"
#include "registry_server/folder_storage.h"
#include "registry_server/s3_storage.h"
#include "registry_server/store_images.h"
#include "registry_server/upstream_registry.h"

namespace kist::registry_server {
namespace {

constexpr std::string_view kGcLock = "gc.lock";
constexpr std::chrono::seconds kHousekeepingEvery{1};
constexpr int kExpireEvery = 60;  // Rounds of it.

// Survives restarts, so that tokens do too. Readable by the owner alone.
Result<http::Secret> token_key(const std::string& root) {
  const std::string path = os::join(root, "token.key");
  if (os::exists(path)) {
    std::string kept = TRY(os::read_file(path, 4096));
    return http::Secret(std::move(kept));
  }
  unsigned char raw[48];
  if (::RAND_bytes(raw, sizeof raw) != 1) return Error(Code::unavailable, "no random numbers");
  std::string key = encode_base64_url({reinterpret_cast<const char*>(raw), sizeof raw});
  TRY(os::write_file_durably(path, key, 0600));
  return http::Secret(std::move(key));
}

// Of this process, in bytes; 0 when the kernel does not say.
uint64_t resident_bytes() {
  const auto text = os::read_file("/proc/self/statm", 1000);
  if (!text) return 0;
  const auto parts = split(*text, ' ');
  return parts.size() < 2 ? 0 : parse_number(parts[1]).value_or(0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Result<std::unique_ptr<Storage>> open_storage(const Config& config, const http::Config& network) {
  if (!config.s3.endpoint.empty()) {
    TRY(os::make_folders(os::join(config.root, "uploads")));  // Blobs are checked here before they go there.
    std::unique_ptr<Storage> bucket = TRY(S3Storage::open(config.s3, network));
    return bucket;
  }
  std::unique_ptr<Storage> storage = TRY(FolderStorage::open(config.root, config.syncs));
  return storage;
}

Result<GcReport> collect_once(const Config& config, const http::Config& network) {
  const auto storage = TRY(open_storage(config, network));
  const Catalog catalog(*storage);
  const auto lock = TRY(os::FileLock::acquire(os::join(config.root, kGcLock), os::FileLock::Mode::exclusive));
  return collect_garbage(catalog, config.retention, config.gc, ::time(nullptr));
}

struct Service::State {
  State(Config given, ServiceEvents tell, std::unique_ptr<Storage> opened, std::unique_ptr<Access> users)
      : config(std::move(given)), events(std::move(tell)), storage(std::move(opened)), catalog(*storage),
        uploads({.folder = os::join(config.root, "uploads"), .expiry = config.upload_expiry}), access(std::move(users)),
        quotas(config.quotas),
        rate(config.requests_per_second, config.burst > 0 ? config.burst : config.requests_per_second * 10) {}

  Config config;
  ServiceEvents events;
  std::unique_ptr<Storage> storage;
  Catalog catalog;
  Uploads uploads;
  std::unique_ptr<Access> access;
  Metrics metrics;
  Quotas quotas;
  RateLimit rate;
  std::unique_ptr<AccessLog> log;
  std::unique_ptr<Upstream> upstream;
  std::unique_ptr<LocalSource> local;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<http_server::Server> server;

  std::mutex mutex;  // Guards what follows.
  std::condition_variable wake;
  bool is_over = false;

  Result<void> assemble(const http::Config& network);
  void keep_house();
  void collect();
  void reload();
  std::string more_metrics() const;
};

std::string Service::State::more_metrics() const {
  const auto gauge = [](std::string_view name, std::string_view help, uint64_t value) {
    return fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{0} {2}\n", name, help, value);
  };
  std::string out = gauge("kist_registry_connections", "Open connections.", server->connections());
  out += gauge("kist_registry_resident_bytes", "Memory of the process.", resident_bytes());
  if (const auto free = os::free_bytes(config.root)) out += gauge("kist_registry_free_bytes", "Free on the disk.", *free);
  return out;
}

void Service::State::reload() {
  if (auto loaded = access->reload(); !loaded && events.on_error) events.on_error(loaded.error());
  if (log == nullptr) return;
  if (auto opened = log->reopen(); !opened && events.on_error) events.on_error(opened.error());
}

Result<void> Service::State::assemble(const http::Config& network) {
  if (!config.access_log.empty()) log = TRY(AccessLog::open(config.access_log));
  TRY(quotas.measure(catalog));
  uploads.expire();
  if (!config.upstream.url.empty())
    upstream = std::make_unique<UpstreamRegistry>(config.upstream, network, catalog, uploads, config.registry.blob_bytes);
  if (!config.images_of.empty()) local = TRY(StoreImages::open(config.images_of));
  RegistryParts parts{.catalog = catalog, .uploads = uploads, .access = *access, .metrics = metrics, .quotas = quotas,
                      .rate = rate, .upstream = upstream.get(), .local = local.get(), .log = {}, .more_metrics = [this] { return more_metrics(); }};
  if (log != nullptr) parts.log = [this](std::string_view line) { log->add(line); };
  registry = std::make_unique<Registry>(std::move(parts), config.registry);
  http_server::Options options{.addresses = config.listen, .tls = config.tls, .limits = config.limits,
                               .takes_signals = true, .on_reload = [this] { reload(); },
                               .on_end = [this] { if (upstream != nullptr) upstream->stop(); }, .on_error = events.on_error};
  server = TRY(http_server::Server::listen(std::move(options), *registry));
  return {};
}

void Service::State::collect() {
  const auto lock = os::FileLock::try_acquire(os::join(config.root, kGcLock), os::FileLock::Mode::exclusive);
  if (!lock || !*lock) return;  // Somebody else is at it.
  const auto report = collect_garbage(catalog, config.retention, config.gc, ::time(nullptr));
  if (!report && events.on_error) events.on_error(report.error());
  if (report && events.on_collected) events.on_collected(*report);
  // What was taken away counts no more.
  const auto held = catalog.take_away();
  if (held) (void)quotas.measure(catalog);
}

void Service::State::keep_house() {
  auto next_collection = std::chrono::steady_clock::now() + config.gc_every;
  for (int round = 0;; ++round) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, kHousekeepingEvery, [this] { return is_over; });
    if (is_over) return;
    lock.unlock();
    if (log != nullptr) log->flush();
    if (auto loaded = access->reload_if_changed(); !loaded && events.on_error) events.on_error(loaded.error());
    if (round % kExpireEvery == kExpireEvery - 1) uploads.expire();
    if (config.gc_every.count() == 0 || std::chrono::steady_clock::now() < next_collection) continue;
    collect();
    next_collection = std::chrono::steady_clock::now() + config.gc_every;
  }
}

Service::Service(std::unique_ptr<State> state) : state_(std::move(state)) {}
Service::~Service() = default;

Result<std::unique_ptr<Service>> Service::open(Config config, const http::Config& network, ServiceEvents events) {
  auto storage = TRY(open_storage(config, network));
  if (config.access.has_tokens) {
    http::Secret key = TRY(token_key(config.root));
    config.access.token_key = std::move(key);
  }
  auto access = TRY(Access::make(config.access));
  auto state = std::make_unique<State>(std::move(config), std::move(events), std::move(storage), std::move(access));
  TRY(state->assemble(network));
  return std::unique_ptr<Service>(new Service(std::move(state)));
}

std::vector<std::string> Service::urls() const {
  std::vector<std::string> out;
  for (const std::string& address : state_->server->addresses())
    out.push_back(fmt::format("{}://{}", state_->config.tls ? "https" : "http", address));
  return out;
}

void Service::run() {
  std::thread housekeeper([this] { state_->keep_house(); });
  if (state_->events.on_listening) state_->events.on_listening(urls());
  state_->server->run();
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_over = true;
  }
  state_->wake.notify_all();
  housekeeper.join();
  if (state_->log != nullptr) state_->log->flush();
}

void Service::stop() { state_->server->stop(); }

}  // namespace kist::registry_server
