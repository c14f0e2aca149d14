#include "http/config.h"

#include <gtest/gtest.h>

#include "http/index_config.h"

namespace kist::http {
namespace {

using Files = std::map<std::string, std::string>;

ToolSettings read(const Environment& environment, const Files& files) {
  auto got = read_tool_settings(environment, [&](const std::string& path) {
    const auto found = files.find(path);
    return found == files.end() ? std::optional<std::string>() : found->second;
  });
  EXPECT_TRUE(got) << got.error().render();
  return std::move(*got);
}

Config config(const Environment& environment, const Files& files = {}) {
  return config_from(environment, read(environment, files));
}

IndexConfig indexes(const Environment& environment, const Files& files = {},
                    const std::string& built_in = "https://built.in/simple") {
  return index_config_from(environment, read(environment, files), built_in);
}

TEST(ToolSettingsTest, PipConfFilesAndVariablesInPipsOrder) {
  const Files files = {
      {"/etc/xdg/pip/pip.conf", "[global]\nindex-url = https://xdg/\ntimeout = 1\ncert = /xdg\n"},
      {"/etc/pip.conf", "[global]\nindex_url = https://etc/\ntimeout: 2\n"},
      {"/h/.pip/pip.conf", "[global]\nindex-url = https://old/\n"},
      {"/h/.config/pip/pip.conf",
       "[install]\nindex-url = https://user-install/\n"
       "[global]\nindex-url = https://user/\n[list]\ncert = /no\n"},
      {"/v/pip.conf", "[global]\nproxy = http://p\n"},
      {"/own.conf", "[global]\ncert = /own\n"},
  };
  const Environment home = {{"HOME", "/h"}, {"VIRTUAL_ENV", "/v"}};
  const Settings all = read(home, files).pip;
  EXPECT_EQ(all.at("index-url").values, std::vector<std::string>{"https://user-install/"});
  EXPECT_EQ(all.at("index-url").source, "/h/.config/pip/pip.conf");
  EXPECT_EQ(all.at("timeout").values, std::vector<std::string>{"2"});
  EXPECT_EQ(all.at("cert").values, std::vector<std::string>{"/xdg"});
  EXPECT_EQ(all.at("proxy").source, "/v/pip.conf");
  EXPECT_EQ(read({{"PIP_CONFIG_FILE", "/own.conf"}}, files).pip.at("cert").source, "/own.conf");
  EXPECT_TRUE(read({{"PIP_CONFIG_FILE", "/dev/null"}}, files).pip.empty());
  const Settings over = read({{"PIP_CERT", "/var"}, {"PIP_TIMEOUT", ""}}, files).pip;
  EXPECT_EQ(over.at("cert").source, "PIP_CERT");
  EXPECT_EQ(over.at("timeout").values, std::vector<std::string>{"2"});
}

TEST(ToolSettingsTest, PipConfListsAndOddities) {
  Settings got;
  const std::string text =
      "\xEF\xBB\xBF# comment\r\n[global]\r\nextra-index-url =\r\n    https://a/\r\n    # not "
      "this\r\n"
      "    https://b/\r\n; nor this\r\nfind-links = /x /y\r\nEMPTY =\r\n";
  ASSERT_TRUE(merge_pip_conf(text, "pip.conf", got));
  EXPECT_EQ(got.at("extra-index-url").values,
            (std::vector<std::string>{"https://a/", "https://b/"}));
  EXPECT_EQ(got.at("find-links").values, (std::vector<std::string>{"/x", "/y"}));
  EXPECT_EQ(got.at("empty").values, std::vector<std::string>{""});
}

TEST(ToolSettingsTest, BrokenFilesAreNamed) {
  const struct {
    const char* path;
    const char* text;
    const char* message;
  } cases[] = {
      {"/etc/pip.conf", "index-url = x\n", "/etc/pip.conf:1: a setting before the first [section]"},
      {"/etc/pip.conf", "[global\n", "/etc/pip.conf:1: a section without ']'"},
      {"/etc/pip.conf", "[global]\n\nindex-url\n", "/etc/pip.conf:3: a line without '='"},
      {"/etc/uv/uv.toml", "index-url = \n",
       "/etc/uv/uv.toml:1:13: Error while parsing key-value pair: expected value, saw '\\n'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = read_tool_settings({}, [&](const std::string& path) {
      return path == c.path ? std::optional<std::string>(c.text) : std::nullopt;
    });
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::invalid);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(ConfigTest, Certificates) {
  const Files files = {{"/etc/pip.conf", "[global]\ncert = /pip\n"}};
  EXPECT_EQ(config({{"SSL_CERT_FILE", "/a"}, {"PIP_CERT", "/b"}}, files).ca_file, "/a");
  EXPECT_EQ(config({{"SSL_CERT_FILE", ""}, {"PIP_CERT", "/b"}}, files).ca_file, "/b");
  EXPECT_EQ(config({{"REQUESTS_CA_BUNDLE", "/c"}}, files).ca_file, "/pip");
  EXPECT_EQ(config({{"REQUESTS_CA_BUNDLE", "/c"}, {"CURL_CA_BUNDLE", "/d"}}).ca_file, "/c");
  EXPECT_EQ(config({{"CURL_CA_BUNDLE", "/d"}}).ca_file, "/d");
  EXPECT_EQ(config({{"SSL_CERT_DIR", "/dir"}}).ca_dir, "/dir");
  EXPECT_EQ(config({}).ca_file, "");
}

TEST(ConfigTest, Proxies) {
  const Config lower = config({{"http_proxy", "a"},
                               {"HTTP_PROXY", "b"},
                               {"https_proxy", "c"},
                               {"HTTPS_PROXY", "d"},
                               {"ALL_PROXY", "e"},
                               {"no_proxy", "f,g"}});
  EXPECT_EQ(lower.proxy_http, "a");
  EXPECT_EQ(lower.proxy_https, "c");
  EXPECT_EQ(lower.proxy_all, "e");
  EXPECT_EQ(lower.no_proxy, "f,g");
  EXPECT_EQ(config({{"HTTP_PROXY", "b"}}).proxy_http, "b");
  EXPECT_EQ(config({{"HTTP_PROXY", "b"}, {"REQUEST_METHOD", "GET"}}).proxy_http, "");
  EXPECT_EQ(config({{"PIP_PROXY", "p"}}).proxy_https, "p");
  const Files uv = {{"/etc/uv/uv.toml", "https-proxy = 'u'\nno-proxy = ['x', 'y']\n"}};
  EXPECT_EQ(config({}, uv).proxy_https, "u");
  EXPECT_EQ(config({}, uv).no_proxy, "x,y");
}

TEST(ConfigTest, PatienceAndWidthWithinReason) {
  EXPECT_EQ(config({{"UV_HTTP_TIMEOUT", "7"}, {"PIP_TIMEOUT", "8"}}).stall_timeout.count(), 7);
  EXPECT_EQ(config({{"PIP_DEFAULT_TIMEOUT", "180"}}).stall_timeout.count(), 180);
  EXPECT_EQ(config({{"UV_HTTP_TIMEOUT", "0"}}).stall_timeout.count(), 1);
  EXPECT_EQ(config({{"UV_HTTP_TIMEOUT", "soon"}}).stall_timeout.count(), 30);
  EXPECT_EQ(config({{"PIP_RETRIES", "9999"}}).retries, 20);
  EXPECT_EQ(config({{"UV_CONCURRENT_DOWNLOADS", "0"}}).connections, 1u);
  EXPECT_EQ(config({{"UV_CONCURRENT_DOWNLOADS", "5000"}}).connections, 64u);
}

TEST(ConfigTest, NetrcAndInsecureHosts) {
  EXPECT_EQ(config({{"HOME", "/h"}}).netrc_path, "/h/.netrc");
  EXPECT_EQ(config({{"HOME", "/h"}, {"NETRC", "/n"}}).netrc_path, "/n");
  EXPECT_EQ(config({}).netrc_path, "");
  EXPECT_EQ(config({{"UV_INSECURE_HOST", "a b"}, {"PIP_TRUSTED_HOST", "c:1 d"}}).insecure_hosts,
            (std::vector<std::string>{"a", "b", "c:1", "d"}));
}

TEST(IndexConfigTest, TheFirstToolThatSaysSomethingIsBelieved) {
  const Files pip = {
      {"/etc/pip.conf", "[global]\nindex-url = https://pip/\nextra-index-url = https://e/\n"}};
  EXPECT_EQ(indexes({}).default_url.reveal(), "https://built.in/simple");
  EXPECT_EQ(indexes({}).source, "built in");
  EXPECT_EQ(indexes({}, {}, "").default_url.reveal(), "");
  EXPECT_EQ(indexes({}, pip).default_url.reveal(), "https://pip/");
  EXPECT_EQ(indexes({}, pip).source, "/etc/pip.conf");
  EXPECT_EQ(indexes({}, pip).extra.at(0).url.reveal(), "https://e/");
  EXPECT_EQ(indexes({{"PIP_INDEX_URL", "https://v/"}}, pip).source, "PIP_INDEX_URL");
  const IndexConfig uv = indexes({{"UV_INDEX_URL", "https://uv/"}}, pip);
  EXPECT_EQ(uv.default_url.reveal(), "https://uv/");
  EXPECT_TRUE(uv.extra.empty());
  EXPECT_EQ(indexes({{"UV_INDEX_URL", "https://1/"}, {"UV_DEFAULT_INDEX", "n=https://2/"}})
                .default_url.reveal(),
            "https://2/");
  // Only an extra one: the default is the built-in one, as uv would have it.
  EXPECT_EQ(indexes({{"UV_INDEX", "https://x/"}}, pip).source, "built in");
}

TEST(IndexConfigTest, UvToml) {
  const Files files = {
      {"/etc/uv/uv.toml", "[[index]]\nname = 'all'\nurl = 'https://all/'\ndefault = true\n"},
      {"/h/.config/uv/uv.toml",
       "[[index]]\nname = 'own'\nurl = 'https://own/'\n"
       "[[index]]\nname = 'pin'\nurl = 'https://pin/'\nexplicit = true\n"
       "[pip]\nfind-links = ['/links']\n"},
  };
  const IndexConfig got = indexes({{"HOME", "/h"}}, files);
  EXPECT_EQ(got.default_url.reveal(), "https://all/");
  ASSERT_EQ(got.extra.size(), 1u);
  EXPECT_EQ(got.extra[0].name, "own");
  EXPECT_EQ(got.find_links.at(0).reveal(), "/links");
  EXPECT_EQ(indexes({{"HOME", "/h"}, {"UV_NO_CONFIG", "1"}}, files).source, "built in");
  EXPECT_EQ(indexes({{"UV_CONFIG_FILE", "/h/.config/uv/uv.toml"}}, files).source, "built in");
}

TEST(IndexConfigTest, NamedIndexesGetTheirCredentials) {
  const IndexConfig got = indexes({{"UV_INDEX", "my-own=https://h:8443/simple https://plain/"},
                                   {"UV_INDEX_MY_OWN_USERNAME", "me"},
                                   {"UV_INDEX_MY_OWN_PASSWORD", "p@:/"}});
  ASSERT_EQ(got.extra.size(), 2u);
  EXPECT_EQ(got.extra[0].url.reveal(), "https://me:p%40%3A%2F@h:8443/simple");
  EXPECT_EQ(got.extra[1].url.reveal(), "https://plain/");
  const auto credentials = credentials_of(got);
  ASSERT_EQ(credentials.size(), 1u);
  EXPECT_EQ(credentials[0].origin, "https://h:8443");
  EXPECT_EQ(credentials[0].user_and_password.reveal(), "me:p@:/");
}

TEST(IndexConfigTest, ANamedDefaultGetsItsCredentialsToo) {
  const Environment own = {{"UV_DEFAULT_INDEX", "own=https://h/simple"},
                           {"UV_INDEX_OWN_USERNAME", "me"},
                           {"UV_INDEX_OWN_PASSWORD", "p"}};
  EXPECT_EQ(indexes(own).default_url.reveal(), "https://me:p@h/simple");
}

TEST(IndexConfigTest, NoIndexMeansNone) {
  const IndexConfig got = indexes(
      {{"PIP_NO_INDEX", "1"}, {"PIP_FIND_LINKS", "/a /b"}, {"UV_DEFAULT_INDEX", "https://x/"}});
  EXPECT_TRUE(got.no_index);
  EXPECT_TRUE(got.default_url.empty());
  EXPECT_EQ(got.find_links.size(), 2u);
}

TEST(IndexConfigTest, VariablesForUv) {
  const Environment environment = {
      {"UV_DEFAULT_INDEX", "https://d/"}, {"UV_INDEX", "n=https://x/ https://y/"},
      {"PIP_FIND_LINKS", "/a"},           {"HTTPS_PROXY", "http://p"},
      {"SSL_CERT_FILE", "/ca"},           {"UV_HTTP_TIMEOUT", "9"}};
  EXPECT_EQ(
      uv_variables(indexes(environment), config(environment)),
      (std::vector<std::string>{"UV_DEFAULT_INDEX=https://d/", "UV_INDEX=n=https://x/ https://y/",
                                "UV_FIND_LINKS=/a", "SSL_CERT_FILE=/ca", "HTTPS_PROXY=http://p",
                                "UV_HTTP_TIMEOUT=9"}));
}

}  // namespace
}  // namespace kist::http
