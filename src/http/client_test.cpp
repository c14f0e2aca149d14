#include "http/client.h"

#include <gtest/gtest.h>

namespace kist::http {
namespace {

TEST(RedactTest, HidesWhatIsSecretAndNothingElse) {
  const struct {
    const char* why;
    const char* url;
    const char* want;
  } cases[] = {
      {"plain", "https://host/a/b-1.0.whl", "https://host/a/b-1.0.whl"},
      {"port", "http://host:8080/x", "http://host:8080/x"},
      {"v6", "http://[::1]:80/x", "http://[::1]:80/x"},
      {"user and password", "https://user:secret@host/x", "https://host/x"},
      {"token as user", "https://tok@host/x", "https://host/x"},
      {"'@' in the password", "https://u:p@ss@host/x", "https://host/x"},
      {"'/' in the password", "https://u:p/w@host/x", "https://host/x"},
      {"'#' in the password", "https://u:p#w@host/x", "https://host/x"},
      {"no path", "https://u:p@host", "https://host"},
      {"'@' in the path stays", "git+https://host/r.git@v1.0", "git+https://host/r.git@v1.0"},
      {"token in the query", "https://h/x?token=abc&page=2", "https://h/x?token=***&page=2"},
      {"signed", "https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=***"},
      {"long value", "https://h/x?q=0123456789012345678901", "https://h/x?q=***"},
      {"bare", "https://h/x?0123456789012345678901", "https://h/x?***"},
      {"fragment stays", "https://h/x#sha256=00", "https://h/x#sha256=00"},
      {"'?' in the fragment", "https://h/x#a?token=b", "https://h/x#a?token=b"},
      {"query and fragment", "https://u@h/x?key=1#f", "https://h/x?key=***#f"},
      {"terminal", "https://h/\x1b[31m", "https://h/\\x1b[31m"},
      {"empty", "", ""},
      {"no scheme", "user:pass@host/x", "host/x"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(redact(c.url), c.want);
  }
}

TEST(SplitCredentialsTest, GivesTheUrlWithoutThemAndThemDecoded) {
  const struct {
    const char* url;
    const char* bare;
    const char* credentials;
  } cases[] = {
      {"https://user:secret@host/x", "https://host/x", "user:secret"},
      {"https://host/x", "https://host/x", ""},
      {"https://user@host/x?a=b@c", "https://host/x?a=b@c", "user"},
      {"https://u:p%40ss@host/", "https://host/", "u:p@ss"},
      {"https://u:50%@host/", "https://host/", "u:50%"},
      {"../relative@1", "../relative@1", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.url);
    const auto [bare, credentials] = split_credentials(c.url);
    EXPECT_EQ(bare, c.bare);
    EXPECT_EQ(credentials, c.credentials);
  }
}

}  // namespace
}  // namespace kist::http
