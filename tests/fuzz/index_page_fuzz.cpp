// What servers say in heads and pages: index pages, addresses, ranges, configuration files.
#include "fuzz.h"
#include "http/client.h"
#include "http/exchange.h"
#include "http/local_file.h"
#include "http/retry.h"
#include "http/tool_settings.h"
#include "python/simple_index.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  return {
      "<!DOCTYPE html><html><body><a href=\"../../f/six-1-py3-none-any.whl#sha256=aa\" "
      "data-requires-python=\"&gt;=3\" data-yanked=\"\">six-1-py3-none-any.whl</a></body></html>",
      "{\"meta\":{\"api-version\":\"1.1\"},\"name\":\"six\",\"files\":[{\"filename\":\"six-1.tar.gz\","
      "\"url\":\"six-1.tar.gz\",\"hashes\":{\"sha256\":\"aa\"},\"size\":1,\"yanked\":false}]}",
      "https://user:p@ss@host:8443/x?token=abc&page=2#f",
      "bytes 5-9/10",
      "[global]\nindex-url = https://h/\nextra-index-url =\n  https://a/\n  https://b/\n",
      "file:///a%20b",
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  static_cast<void>(python::parse_index_page(text, "https://h/simple/six/"));
  static_cast<void>(python::resolve_url("https://h/simple/six/", text));
  static_cast<void>(http::redact(text));
  static_cast<void>(http::origin_of(text));
  static_cast<void>(http::parse_content_range(text));
  static_cast<void>(http::parse_retry_after(text, 0));
  static_cast<void>(http::local_path(text));
  http::Settings settings;
  static_cast<void>(http::merge_pip_conf(text, "pip.conf", settings));
  // Whatever stands around it, a password between "://user:" and "@host" is not shown.
  const std::string url = "https://user:hunter2@host/" + std::string(text);
  fuzz::expect(http::redact(url).find("hunter2") == std::string::npos || text.find("hunter2") != std::string_view::npos,
               "no password in a redacted address");
  const std::string bare = http::split_credentials(url).first;
  fuzz::expect(bare.find("user:hunter2@") == std::string::npos || text.find("hunter2") != std::string_view::npos, "no credentials in a bare address");
  return 0;
}
