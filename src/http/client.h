// Getting bytes by HTTP(S) and file: URLs: parallel, resumable, verified while they stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "http/secret.h"
#include "oci/digest.h"

namespace kist::http {

/// For every address of an origin ("https://host:port", lower-case) that names no user itself.
struct OriginCredentials {
  std::string origin;
  Secret user_and_password;  // "user:password", or "user" whose password netrc knows.
};

/// How this machine reaches the network; main/ fills it from the environment, the way curl, pip and
/// uv read it.
struct Config {
  std::string ca_file;     // SSL_CERT_FILE, REQUESTS_CA_BUNDLE, pip's cert; empty: the system's.
  std::string ca_dir;      // SSL_CERT_DIR.
  std::string netrc_path;  // NETRC or ~/.netrc; empty: none.
  std::string proxy_http, proxy_https, proxy_all, no_proxy;
  std::vector<OriginCredentials> credentials;  // Of configured indexes.
  std::vector<std::string> insecure_hosts;     // "host" or "host:port": certificates unchecked.
  std::string user_agent = "kist/" KIST_VERSION;
  size_t connections = 16;  // At once, over all hosts.
  int retries = 3;          // Per download, for what may pass by itself.
  std::chrono::seconds connect_timeout{20};
  // Under 16 bytes a second for so long is a failure: also a server that drips must not hold us.
  std::chrono::seconds stall_timeout{30};
  std::chrono::milliseconds first_back_off{250};  // Before the first retry; doubles each time.
};

struct GetOptions {
  uint64_t limit_bytes = 256u << 20;
  std::vector<std::string> headers;  // "Accept: …"
  std::string etag;                  // Sent as If-None-Match.
};

struct Response {
  int status = 0;  // 200, 304 (only when an etag was given), or another 2xx.
  std::string body;
  std::string etag;
  std::string last_modified;
};

/// One file to bring here.
struct Download {
  std::vector<std::string> urls;       // Tried in order. http, https, file.
  std::optional<oci::Digest> sha256;   // Checked while the bytes stream.
  std::optional<uint64_t> size_bytes;  // Checked as soon as the server says or exceeds it.
  uint64_t limit_bytes = 16ull << 30;  // When the size is not known.
  std::string path;                    // Where the whole, checked file appears (by rename).
  std::string label;                   // For messages: "numpy 2.1.0".
};

/// Called on a worker thread once a file is whole and checked; downloads go on meanwhile.
using OnFile = std::function<Result<void>(size_t index)>;

/// Implementations: CurlClient, and fakes in tests. Threads: any. URLs in errors and logs never
/// show credentials (see redact()).
class Client {
 public:
  virtual ~Client() = default;

  /// Errors: not_found (404, 410), denied (401, 403, 407), unavailable (network, 429, 5xx after the
  /// retries), invalid (too large, bad URL), corrupt (shorter than announced).
  virtual Result<Response> get(const std::string& url, const GetOptions& options) = 0;

  /// Brings all files; `on_file` runs for each on one of `workers` threads. A part that an earlier
  /// try left at `path`.part is continued with a range request, and its bytes are hashed again.
  /// Stops at the first failure, keeping the parts. Reports advance(phase, items, bytes).
  /// Errors: those of get(), and corrupt (digest or size differs; says got and wanted).
  virtual Result<void> download_all(std::span<const Download> files, const OnFile& on_file,
                                    size_t workers, Progress& progress, std::string_view phase) = 0;
};

/// The URL without user name, password, and without query values that look like tokens.
std::string redact(std::string_view url);
/// "https://user:secret@host/x" gives {"https://host/x", "user:secret"}.
std::pair<std::string, std::string> split_credentials(std::string_view url);
/// The other way round; `bare` has none. Reserved characters are escaped.
std::string with_credentials(std::string_view bare, std::string_view user,
                             std::string_view password);
/// "https://host:8443" of "https://user@Host:8443/x"; empty for what has no "://".
std::string origin_of(std::string_view url);

}  // namespace kist::http
