// The client against a server with bad manners (http_server.py): what it says, what it leaves on
// the disk, and that it ends.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <sstream>
#include <thread>

#include "http/curl_client.h"
#include "os/files.h"

namespace kist::http {
namespace {

using std::chrono::seconds;

/// The server as a child process; it ends when its stdin does.
class BadServer {
 public:
  explicit BadServer(const std::string& folder) {
    int in[2], out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::execlp("python3", "python3", KIST_HTTP_SERVER, folder.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    stdin_ = in[1];
    std::string line;
    char byte = 0;
    while (::read(out[0], &byte, 1) == 1 && byte != '\n') line += byte;
    ::close(out[0]);
    std::istringstream words(line);
    std::string name;
    for (int port = 0; words >> name >> port;) ports_[name] = port;
    EXPECT_EQ(ports_.size(), 4u) << "the server did not start: '" << line << "'";
  }
  ~BadServer() {
    ::close(stdin_);
    ::waitpid(pid_, nullptr, 0);
  }
  int port(const std::string& name) const { return ports_.at(name); }

 private:
  pid_t pid_ = -1;
  int stdin_ = -1;
  std::map<std::string, int> ports_;
};

std::string pattern(size_t size) {
  std::string out;
  for (size_t at = 0; at < size; at += 16) {
    char line[20];
    std::snprintf(line, sizeof line, "%015zx\n", at);
    out += line;
  }
  out.resize(size);
  return out;
}

class Counter final : public Progress {
 public:
  void begin(std::string_view, uint64_t, uint64_t) override {}
  void advance(std::string_view, uint64_t items, uint64_t bytes) override {
    items_ += items;
    bytes_ += bytes;
  }
  void end(std::string_view, std::string) override {}
  void warn(std::string message) override { warning_ = std::move(message); }

  std::atomic<uint64_t> items_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
  std::string warning_;
};

class HttpFaultsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new os::TempDir(os::TempDir::make("/tmp", "kist-faults.").value());
    server_ = new BadServer(folder_->path());
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }
  void SetUp() override {
    config_.ca_file = os::join(folder_->path(), "ca.pem");
    config_.stall_timeout = seconds(10);
    config_.first_back_off = std::chrono::milliseconds(20);
    to_ = os::join(out_.path(), "to");
  }

  static std::string address(const std::string& path, const std::string& server = "http",
                             const std::string& host = "127.0.0.1") {
    return fmt::format("{}://{}:{}{}", server == "https" ? "https" : "http", host,
                       server_->port(server), path);
  }
  /// Messages name the port, which differs from run to run.
  static std::string without_port(std::string text) {
    for (const char* name : {"http", "other", "https", "proxy"}) {
      const std::string port = fmt::format(":{}", server_->port(name));
      for (size_t at; (at = text.find(port)) != std::string::npos;)
        text.replace(at, port.size(), fmt::format(":{}", name));
    }
    return text;
  }

  Client& client() {
    if (!client_) client_ = make_curl_client(config_).value();
    return *client_;
  }
  Result<Response> get(const std::string& path, const GetOptions& options = {}) {
    return client().get(address(path), options);
  }
  /// The innermost frame of a failure; what the server was told is in it.
  template <class T>
  static std::string said(const Result<T>& failed) {
    return failed ? "no error" : without_port(failed.error().frames().front());
  }
  static std::string hits(const std::string& path) {
    return make_curl_client({}).value()->get(address("/hits" + path), {}).value().body;
  }
  Download download(const std::string& path, std::optional<size_t> size) const {
    Download out{.urls = {address(path)}, .path = to_, .label = "thing 1.0"};
    if (size) {
      out.size_bytes = *size;
      out.sha256 = oci::Sha256::of(pattern(*size));
    }
    return out;
  }
  Result<void> fetch(const Download& file) {
    return client().download_all(
        {&file, 1}, [](size_t) { return Result<void>(); }, 1, progress_, "fetch");
  }
  void expect_brought(const Download& file, size_t size) {
    const auto done = fetch(file);
    ASSERT_TRUE(done) << done.error().render();
    EXPECT_TRUE(os::read_file(to_).value() == pattern(size));
    EXPECT_EQ(os::list_folder(out_.path()).value(), std::vector<std::string>{"to"});
    EXPECT_EQ(progress_.items_, 1u);
  }
  void keep_part(const std::string& bytes, const std::string& validator = "") {
    ASSERT_TRUE(os::write_file_atomically(to_ + ".part", bytes));
    ASSERT_TRUE(os::write_file_atomically(to_ + ".part.etag", validator));
  }

  static os::TempDir* folder_;
  static BadServer* server_;

  os::TempDir out_ = os::TempDir::make("/tmp", "kist-faults-out.").value();
  std::string to_;
  Config config_;
  std::unique_ptr<Client> client_;
  Counter progress_;
};

os::TempDir* HttpFaultsTest::folder_ = nullptr;
BadServer* HttpFaultsTest::server_ = nullptr;

// --- get ---

TEST_F(HttpFaultsTest, GetGivesBodyAndValidators) {
  const auto got = get("/etag");
  ASSERT_TRUE(got) << got.error().render();
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "text");
  EXPECT_EQ(got->etag, "\"v1\"");
  EXPECT_EQ(got->last_modified, "Thu, 01 Jan 2026 00:00:00 GMT");
  const auto again = get("/etag", {.etag = "\"v1\""});
  ASSERT_TRUE(again) << again.error().render();
  EXPECT_EQ(again->status, 304);
  EXPECT_EQ(again->body, "");
}

TEST_F(HttpFaultsTest, GetDecodesAndHandlesChunks) {
  EXPECT_EQ(get("/gzip/100000").value().body, pattern(100000));
  EXPECT_EQ(get("/chunked/100000").value().body, pattern(100000));
  EXPECT_EQ(get("/empty").value().body, "");
}

TEST_F(HttpFaultsTest, GetSaysWhatWentWrong) {
  config_.retries = 0;
  const struct {
    const char* path;
    Code code;
    std::string message;
  } cases[] = {
      {"/nowhere", Code::not_found,
       "get 'http://127.0.0.1:http/nowhere': the server answered 404 (not found), want 200"},
      {"/status/410", Code::not_found,
       "get 'http://127.0.0.1:http/status/410': the server answered 410 (gone), want 200"},
      {"/status/403", Code::denied,
       "get 'http://127.0.0.1:http/status/403': the server answered 403 (not allowed), want 200"},
      {"/status/500", Code::unavailable,
       "get 'http://127.0.0.1:http/status/500': the server answered 500, want 200"},
      {"/status/418", Code::invalid,
       "get 'http://127.0.0.1:http/status/418': the server answered 418, want 200"},
      {"/status/416", Code::invalid,
       "get 'http://127.0.0.1:http/status/416': the server answered 416, want 200"},
      {"/endless-error", Code::not_found,
       "get 'http://127.0.0.1:http/endless-error': the server answered 404 (not found), want 200"},
      {"/endless", Code::invalid,
       "get 'http://127.0.0.1:http/endless': the answer is longer than the limit of 10.0 MB"},
      {"/bomb", Code::invalid,
       "get 'http://127.0.0.1:http/bomb': the answer is longer than the limit of 10.0 MB"},
      {"/long-head", Code::invalid,
       "get 'http://127.0.0.1:http/long-head': the answer's head is longer than 262.1 kB"},
      {"/short/1000", Code::corrupt,
       "get 'http://127.0.0.1:http/short/1000': transfer closed with 500 bytes remaining to read"},
      {"/loop", Code::invalid, "get 'http://127.0.0.1:http/loop': Maximum (10) redirects followed"},
      {"/redirect?to=file:///etc/passwd", Code::invalid,
       "get 'http://127.0.0.1:http/redirect?to=file:///etc/passwd': Protocol \"file\" not "
       "supported "
       "or disabled in libcurl"},
      {"/garbage", Code::invalid,
       "get 'http://127.0.0.1:http/garbage': Received HTTP/0.9 when not allowed"},
      {"/not-gzip", Code::invalid,
       "get 'http://127.0.0.1:http/not-gzip': Error while processing content unencoding: incorrect "
       "header check"},
      {"/reset", Code::unavailable,
       "get 'http://127.0.0.1:http/reset': Recv failure: Connection reset by peer"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    const auto got = get(c.path, {.limit_bytes = 10'000'000});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), c.code) << got.error().render();
    EXPECT_EQ(said(got), c.message);
  }
}

TEST_F(HttpFaultsTest, GetTriesAgainWhatMayPass) {
  EXPECT_EQ(get("/flaky/500/2/100/get").value().body, pattern(100));
  EXPECT_EQ(get("/flaky/429/1/100/get").value().body, pattern(100));
  EXPECT_EQ(get("/reset-once/100/get").value().body, pattern(100));
  config_.retries = 2;
  client_.reset();
  EXPECT_EQ(get("/status/503").error().code(), Code::unavailable);
  EXPECT_EQ(hits("/status/503"), "3");
  EXPECT_EQ(get("/status/404").error().code(), Code::not_found);
  EXPECT_EQ(hits("/status/404"), "1");
}

TEST_F(HttpFaultsTest, RetryAfterIsObeyedWithinReason) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(get("/retry-after/1/100/get").value().body, pattern(100));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, seconds(1));
  const auto failed = get("/retry-after/3600/100/get");
  EXPECT_EQ(
      said(failed),
      "get 'http://127.0.0.1:http/retry-after/3600/100/get': the server answered 429 (too many "
      "requests; try again in 60m00s), want 200");
}

TEST_F(HttpFaultsTest, SilenceEnds) {
  config_.retries = 0;
  config_.stall_timeout = seconds(1);
  client();
  const auto begin = std::chrono::steady_clock::now();
  const auto expect_too_slow = [this](const char* path) {
    const auto got = get(path);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::unavailable);
    EXPECT_EQ(said(got), fmt::format("get 'http://127.0.0.1:http{}': Operation too slow. Less than "
                                     "16 bytes/sec transferred the last 1 seconds",
                                     path));
  };
  std::thread other(expect_too_slow, "/drip/1000");
  expect_too_slow("/stall/1000");
  other.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(15));
}

TEST_F(HttpFaultsTest, NobodyListens) {
  config_.retries = 1;
  const auto got = client().get("http://127.0.0.1:1/x", {});
  EXPECT_EQ(got.error().code(), Code::unavailable);
  EXPECT_EQ(
      said(got),
      "get 'http://127.0.0.1:1/x': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't "
      "connect to server");
  EXPECT_EQ(got.error().hint_text(),
            "check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any "
            "network use `--offline`");
}

TEST_F(HttpFaultsTest, UnknownHost) {
  config_.retries = 0;
  const auto got = client().get("http://user:pw@no-such-host.invalid/x", {});
  EXPECT_EQ(got.error().code(), Code::unavailable);
  EXPECT_EQ(said(got),
            "get 'http://no-such-host.invalid/x': Could not resolve host: no-such-host.invalid");
}

// --- credentials ---

TEST_F(HttpFaultsTest, CredentialsComeFromTheUrlOrNetrc) {
  const auto denied = get("/auth/10");
  EXPECT_EQ(denied.error().code(), Code::denied);
  EXPECT_EQ(said(denied),
            "get 'http://127.0.0.1:http/auth/10': the server answered 401 (credentials are missing "
            "or wrong), want 200");
  EXPECT_EQ(denied.error().hint_text(),
            "put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`");
  const std::string port = fmt::format(":{}/auth/10", server_->port("http"));
  EXPECT_EQ(client().get("http://user:se:cret%40@127.0.0.1" + port, {}).value().body, pattern(10));

  config_.netrc_path = os::join(out_.path(), "netrc");
  ASSERT_TRUE(os::write_file_atomically(
      config_.netrc_path, "machine 127.0.0.1\nlogin user\npassword se:cret@\n", 0600));
  client_.reset();
  EXPECT_EQ(get("/auth/10").value().body, pattern(10));
  // A name in the URL, its password in netrc.
  EXPECT_EQ(client().get("http://user@127.0.0.1" + port, {}).value().body, pattern(10));
}

TEST_F(HttpFaultsTest, CredentialsOfAnIndexServeItsWholeOrigin) {
  config_.credentials.push_back({address(""), Secret("user:se:cret@")});
  EXPECT_EQ(get("/auth/10").value().body, pattern(10));
  EXPECT_EQ(client().get(address("/auth/10", "other"), {}).error().code(), Code::denied);
  expect_brought(download("/auth/1000", 1000), 1000);
}

TEST_F(HttpFaultsTest, InsecureHostsGoUncheckedAndNobodyElse) {
  config_.ca_file = "";
  config_.ca_dir = out_.path();
  config_.insecure_hosts = {"127.0.0.1"};
  EXPECT_EQ(client().get(address("/etag", "https"), {}).value().body, "text");
  const auto away = address("/redirect?to=" + address("/etag", "https", "localhost"), "https");
  const auto refused = client().get(away, {});
  EXPECT_EQ(refused.error().code(), Code::denied);
  EXPECT_EQ(said(refused),
            "get 'https://127.0.0.1:https/redirect?to=***': redirected to "
            "'https://localhost:https/etag', whose certificate would go unchecked");
  EXPECT_EQ(client().get(address("/etag", "https", "localhost"), {}).error().code(), Code::denied);
}

TEST_F(HttpFaultsTest, CredentialsAreNotTakenToAnotherHost) {
  for (const char* other : {"127.0.0.1", "localhost"}) {
    SCOPED_TRACE(other);
    const std::string to = address("/headers", "other", other);
    const std::string url =
        fmt::format("http://user:secret@127.0.0.1:{}/redirect?to={}", server_->port("http"), to);
    const auto got = client().get(url, {.headers = {"X-Own: 1"}});
    ASSERT_TRUE(got) << got.error().render();
    EXPECT_NE(got->body.find("x-own"), std::string::npos);
    EXPECT_EQ(got->body.find("uthorization"), std::string::npos) << got->body;
    const auto token = get("/redirect?to=" + to, {.headers = {"Authorization: Bearer abc"}});
    EXPECT_EQ(token.value().body.find("uthorization"), std::string::npos) << token->body;
  }
  // To the same host they are.
  const std::string url = fmt::format("http://user:secret@127.0.0.1:{}/redirect?to={}",
                                      server_->port("http"), address("/headers"));
  EXPECT_NE(client().get(url, {}).value().body.find("authorization"), std::string::npos);
}

TEST_F(HttpFaultsTest, MessagesDoNotShowCredentials) {
  config_.retries = 0;
  const std::string url = fmt::format("http://user:hunter2@127.0.0.1:{}/status/500?token=hunter2",
                                      server_->port("http"));
  EXPECT_EQ(client().get(url, {}).error().render().find("hunter2"), std::string::npos);
  Download file{.urls = {url}, .path = to_, .label = "thing 1.0"};
  EXPECT_EQ(fetch(file).error().render().find("hunter2"), std::string::npos);
}

// --- TLS and proxies ---

TEST_F(HttpFaultsTest, TlsNeedsAnAuthorityThatWeKnow) {
  EXPECT_EQ(client().get(address("/etag", "https"), {}).value().body, "text");
  config_.ca_file = "";
  config_.ca_dir = out_.path();
  client_.reset();
  const auto unknown = client().get(address("/etag", "https"), {});
  EXPECT_EQ(unknown.error().code(), Code::denied);
  EXPECT_EQ(
      said(unknown),
      "get 'https://127.0.0.1:https/etag': SSL certificate problem: unable to get local issuer "
      "certificate");
  EXPECT_EQ(unknown.error().hint_text(),
            "if your network has a certificate authority of its own, set "
            "`SSL_CERT_FILE=/path/to/ca.pem`");
  config_.ca_file = "/nowhere/ca.pem";
  client_.reset();
  EXPECT_EQ(client().get(address("/etag", "https"), {}).error().code(), Code::denied);
}

TEST_F(HttpFaultsTest, NoWayBackFromHttpsToHttp) {
  const auto got = client().get(address("/redirect?to=" + address("/etag"), "https"), {});
  EXPECT_EQ(got.error().code(), Code::denied);
  EXPECT_EQ(said(got),
            "get 'https://127.0.0.1:https/redirect?to=***': redirected from https to the "
            "unprotected 'http://127.0.0.1:http/etag'");
  // The other way round is common and fine; but not there and back.
  const std::string there = address("/etag", "https");
  EXPECT_EQ(get("/redirect?to=" + there).value().body, "text");
  const std::string back = address("/redirect?to=" + address("/etag"), "https");
  EXPECT_EQ(get("/redirect?to=" + back).error().code(), Code::denied);
}

TEST_F(HttpFaultsTest, ProxiesAreUsedAsConfigured) {
  const std::string proxy = fmt::format("http://127.0.0.1:{}", server_->port("proxy"));
  config_.proxy_http = config_.proxy_https = proxy;
  EXPECT_EQ(get("/ok/100/proxied").value().body, pattern(100));
  EXPECT_EQ(hits("/proxied/ok/100/proxied"), "1");
  EXPECT_EQ(client().get(address("/etag", "https"), {}).value().body, "text");
  EXPECT_EQ(hits("/tunnelled"), "1");
  config_.no_proxy = "127.0.0.1";
  client_.reset();
  EXPECT_EQ(get("/ok/100/proxied").value().body, pattern(100));
  EXPECT_EQ(hits("/proxied/ok/100/proxied"), "1");

  ASSERT_TRUE(os::write_file_atomically(os::join(folder_->path(), "proxy-auth"), ""));
  config_.no_proxy = "";
  client_.reset();
  const auto denied = get("/ok/100/proxied");
  EXPECT_EQ(denied.error().code(), Code::denied);
  EXPECT_EQ(denied.error().hint_text(),
            "give the proxy's credentials: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`");
  const auto tunnel = client().get(address("/etag", "https"), {});
  EXPECT_EQ(tunnel.error().code(), Code::denied);
  EXPECT_EQ(said(tunnel),
            "get 'https://127.0.0.1:https/etag': the proxy answered 407 (the proxy wants "
            "credentials), want 200");
  config_.proxy_http = config_.proxy_https =
      fmt::format("http://proxy:secret@127.0.0.1:{}", server_->port("proxy"));
  client_.reset();
  EXPECT_EQ(get("/ok/100/proxied").value().body, pattern(100));
  EXPECT_EQ(client().get(address("/etag", "https"), {}).value().body, "text");
  ASSERT_TRUE(os::remove_tree(os::join(folder_->path(), "proxy-auth")));
}

// --- download_all ---

TEST_F(HttpFaultsTest, DownloadsArriveWholeAndLeaveNoLitter) {
  constexpr size_t kSize = 1'000'001;
  expect_brought(download(fmt::format("/ok/{}", kSize), kSize), kSize);
  EXPECT_EQ(progress_.bytes_, kSize);
}

TEST_F(HttpFaultsTest, DownloadsWithoutLengthOrDigest) {
  Download file = download("/chunked/100000", std::nullopt);
  expect_brought(file, 100000);
}

TEST_F(HttpFaultsTest, AnEmptyFileIsAFile) { expect_brought(download("/empty", 0), 0); }

TEST_F(HttpFaultsTest, DownloadRefusals) {
  const struct {
    const char* why;
    const char* path;
    Code code;
    std::string message;
    bool keeps_part;
  } cases[] = {
      {"other bytes", "/wrong/1000", Code::corrupt,
       "thing 1.0 has sha256:f3d86c69c6d8eb8ee79a3a6a04cb2ce7e3e6c11bf4eb1c63bdf5e3bc7eb0f1f6, "
       "want "
       "sha256:",
       false},
      {"announces more", "/announces/1000/1010", Code::corrupt,
       "get 'http://127.0.0.1:http/announces/1000/1010': the server announces 1010 bytes, want "
       "1000",
       false},
      {"announces less", "/announces/1000/990", Code::corrupt,
       "get 'http://127.0.0.1:http/announces/1000/990': the server announces 990 bytes, want 1000",
       false},
      {"sends more", "/long/1000", Code::corrupt,
       "get 'http://127.0.0.1:http/long/1000': the server sends more than the 1000 bytes wanted",
       false},
      {"endless", "/endless", Code::corrupt,
       "get 'http://127.0.0.1:http/endless': the server sends more than the 1000 bytes wanted",
       false},
      {"part unasked", "/unasked/1000", Code::corrupt,
       "get 'http://127.0.0.1:http/unasked/1000': the server answered with the range 'bytes "
       "16-999/1000', asked for the whole",
       false},
      {"missing", "/nowhere", Code::not_found,
       "get 'http://127.0.0.1:http/nowhere': the server answered 404 (not found), want 200", false},
      {"always short", "/short/1000", Code::corrupt,
       "get 'http://127.0.0.1:http/short/1000': the server answered with the range '', asked for",
       true},
  };
  config_.retries = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto failed = fetch(download(c.path, 1000));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), c.code);
    EXPECT_EQ(failed.error().message(), "fetching thing 1.0");
    if (std::string_view(c.why) == "other bytes" || c.keeps_part) {
      EXPECT_FALSE(os::exists(to_));
    } else {
      EXPECT_EQ(said(failed), c.message);
      EXPECT_EQ(os::list_folder(out_.path()).value(), std::vector<std::string>{});
    }
    ASSERT_TRUE(os::remove_tree(to_ + ".part"));
  }
}

TEST_F(HttpFaultsTest, UnknownSizeStopsAtTheLimit) {
  Download file = download("/endless", std::nullopt);
  file.limit_bytes = 5'000'000;
  EXPECT_EQ(said(fetch(file)),
            "get 'http://127.0.0.1:http/endless': the server sends more than the limit of 5.0 MB");
  file.urls = {address("/announces/10/9000000")};
  EXPECT_EQ(said(fetch(file)),
            "get 'http://127.0.0.1:http/announces/10/9000000': the server announces 9.0 MB, the "
            "limit is 5.0 MB");
}

TEST_F(HttpFaultsTest, ACutConnectionIsContinued) {
  constexpr size_t kSize = 1'000'000;
  expect_brought(download(fmt::format("/cut-once/{}/a", kSize), kSize), kSize);
  EXPECT_EQ(progress_.bytes_, kSize);
  EXPECT_EQ(hits(fmt::format("/cut-once/{}/a", kSize)), "2");
}

TEST_F(HttpFaultsTest, AnotherVersionMeanwhileStartsOver) {
  constexpr size_t kSize = 200'000;
  expect_brought(download(fmt::format("/cut-changed/{}/a", kSize), kSize), kSize);
}

TEST_F(HttpFaultsTest, ErrorsThatPassAreTriedAgain) {
  expect_brought(download("/flaky/503/2/1000/dl", 1000), 1000);
}

TEST_F(HttpFaultsTest, ResetConnectionsAreTriedAgain) {
  expect_brought(download("/reset-once/1000/dl", 1000), 1000);
}

TEST_F(HttpFaultsTest, RetryAfterHoldsForDownloadsToo) {
  expect_brought(download("/retry-after/1/1000/dl", 1000), 1000);
}

TEST_F(HttpFaultsTest, AKeptPartIsContinued) {
  constexpr size_t kSize = 100'000;
  keep_part(pattern(kSize).substr(0, 60'000), "\"v1\"");
  // Were the range ignored, "/ok" would still give the right file; the bytes tell.
  Download file = download("/ok/100000", kSize);
  expect_brought(file, kSize);
}

TEST_F(HttpFaultsTest, AKeptPartThatIsWholeNeedsNoServer) {
  keep_part(pattern(1000));
  Download file = download("/nowhere", 1000);
  expect_brought(file, 1000);
}

TEST_F(HttpFaultsTest, AKeptPartThatIsWholeButOfUnknownSize) {
  keep_part(pattern(1000));
  Download file = download("/ok/1000", 1000);
  file.size_bytes.reset();
  expect_brought(file, 1000);
}

TEST_F(HttpFaultsTest, ARottenPartIsThrownAway) {
  const struct {
    const char* why;
    std::string part;
    const char* path;
  } cases[] = {
      {"wrong bytes, ranges work", std::string(600, '!'), "/ok/1000"},
      {"wrong bytes, whole length", std::string(1000, '!'), "/ok/1000"},
      {"too long", pattern(2000), "/ok/1000"},
      {"ranges are ignored", pattern(600), "/noranges/1000"},
      {"another range than asked for", pattern(600), "/shifted/1000"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    progress_.items_ = 0;
    keep_part(c.part);
    expect_brought(download(c.path, 1000), 1000);
    ASSERT_TRUE(os::remove_tree(to_));
  }
}

TEST_F(HttpFaultsTest, WithoutDigestOrValidatorAPartIsNotTrusted) {
  keep_part(std::string(600, '!'));
  expect_brought(download("/ok/1000", std::nullopt), 1000);
}

TEST_F(HttpFaultsTest, TheNextAddressIsTried) {
  Download file = download("/wrong/1000", 1000);
  file.urls.push_back(address("/nowhere"));
  file.urls.push_back(address("/ok/1000"));
  expect_brought(file, 1000);
}

TEST_F(HttpFaultsTest, AFileThatIsThereIsNotFetched) {
  ASSERT_TRUE(os::write_file_atomically(to_, pattern(1000)));
  expect_brought(download("/nowhere", 1000), 1000);
}

// Two clients stand for two processes: the lock is on the open file, not on the process.
TEST_F(HttpFaultsTest, TwoAtOnceFetchOnce) {
  constexpr size_t kSize = 200'000;
  const Download file = download(fmt::format("/paced/{}", kSize), kSize);
  Counter counters[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      auto own = make_curl_client(config_).value();
      const auto done = own->download_all(
          {&file, 1}, [](size_t) { return Result<void>(); }, 1, counters[i], "fetch");
      EXPECT_TRUE(done) << done.error().render();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(os::read_file(to_).value() == pattern(kSize));
  EXPECT_EQ(counters[0].bytes_ + counters[1].bytes_, kSize);
  EXPECT_EQ(counters[0].warning_ + counters[1].warning_,
            "waiting for another process, which is fetching thing 1.0");
}

TEST_F(HttpFaultsTest, TheFirstFailureStopsAllAndKeepsParts) {
  config_.stall_timeout = seconds(30);
  std::vector<Download> files(3, download("/stall/400000", 400000));
  files[0].path = to_ + "0";
  files[1].path = to_ + "1";
  files[2] = download("/flaky/404/9/10/stop", 10);
  files[2].urls = {address("/redirect?to=/slow-404"), address("/status/404")};
  const auto begin = std::chrono::steady_clock::now();
  const auto failed = client().download_all(
      files, [](size_t) { return Result<void>(); }, 2, progress_, "fetch");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Code::not_found);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

TEST_F(HttpFaultsTest, AFullDiskIsOurErrorNotTheServers) {
  Download file = download("/ok/1000", 1000);
  file.path = "/proc/self/nowhere/to";
  file.urls.push_back(address("/ok/1000"));
  const auto failed = fetch(file);
  ASSERT_FALSE(failed);
  EXPECT_EQ(said(failed), "open '/proc/self/nowhere/to.part': No such file or directory");
}

TEST_F(HttpFaultsTest, ManySmallFilesWithManyWorkers) {
  std::vector<Download> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(download(fmt::format("/ok/{}", 1000 + i), 1000 + static_cast<size_t>(i)));
    files.back().path = fmt::format("{}{}", to_, i);
  }
  std::atomic<int> handled = 0;
  const auto done = client().download_all(
      files,
      [&](size_t index) -> Result<void> {
        EXPECT_EQ(os::stamp(files[index].path)->size_bytes, 1000 + index);
        ++handled;
        return {};
      },
      4, progress_, "fetch");
  ASSERT_TRUE(done) << done.error().render();
  EXPECT_EQ(handled, 200);
  EXPECT_EQ(progress_.items_, 200u);
}

}  // namespace
}  // namespace kist::http
