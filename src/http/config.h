// From the host's variables and the files of pip and uv to http::Config.
#pragma once

#include "http/client.h"
#include "http/tool_settings.h"

namespace kist::http {

/// Pure. What the host's own tools obey, in this order:
///
///   certificates  SSL_CERT_FILE, PIP_CERT or pip's `cert`, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE;
///                 SSL_CERT_DIR beside them
///   proxies       http_proxy, https_proxy, all_proxy, no_proxy and their upper-case forms (but
///                 HTTP_PROXY not in a CGI program, where the client of the web server sets it),
///                 then pip's `proxy` and uv's `http-proxy`, `https-proxy`, `no-proxy`
///   credentials   NETRC, ~/.netrc
///   patience      UV_HTTP_TIMEOUT or pip's `timeout` (seconds), UV_HTTP_RETRIES or pip's `retries`
///   width         UV_CONCURRENT_DOWNLOADS or uv's `concurrent-downloads`, at most 64
///   unverified    UV_INSECURE_HOST, uv's `allow-insecure-host`, pip's `trusted-host`
Config config_from(const Environment& environment, const ToolSettings& settings);

}  // namespace kist::http
