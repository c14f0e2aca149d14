#include "http/retry.h"

#include <curl/curl.h>

#include <algorithm>
#include <string>

#include "base/text.h"

namespace kist::http {

bool may_pass(int status) {
  if (status == 408 || status == 425 || status == 429) return true;
  return status >= 500 && status != 501 && status != 505;
}

Milliseconds back_off(Milliseconds first, int repetition, uint32_t entropy) {
  constexpr int64_t kLongest = 8000;
  const int64_t doubled = first.count() << std::clamp(repetition - 1, 0, 10);
  const int64_t base = std::clamp<int64_t>(doubled, 2, kLongest);
  return Milliseconds(base + entropy % (base / 2));
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, int64_t now_unix) {
  const std::string_view text = trim(value);
  if (const auto seconds = parse_number(text))
    return std::chrono::seconds(std::min<uint64_t>(*seconds, 1u << 30));
  const time_t when = curl_getdate(std::string(text).c_str(), nullptr);
  if (when < 0) return std::nullopt;
  return std::chrono::seconds(std::max<int64_t>(0, when - now_unix));
}

}  // namespace kist::http
